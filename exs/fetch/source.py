"""Where the files of a run directory come from."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Protocol

from exs.errors import NotFound
from exs.rows import JobRow, RunFile, RunFiles
from exs.store.logs import LogRequest
from exs.store.push import new_id
from exs.store.store import Store

#: Pieces asked for ahead: 2 MiB in Redis at most, and a network of 50 ms still carries 40 MiB/s.
_AHEAD = 8
#: Seconds that a node has to answer; it may be summing up another's large file.
PATIENCE = 10.0


class Silent(NotFound):
    """The node that has the files does not answer."""


class Source(Protocol):
    """Where a run directory is. Each method raises ExsError."""

    def listed(self) -> RunFiles:
        """What is there."""

    def pieces(self, file: RunFile, offset: int) -> Iterator[bytes]:
        """A file from `offset` to the size that it had when it was listed; ends early if it has become shorter."""

    def summed(self, file: RunFile, offset: int, length: int) -> str:
        """SHA-256 of a part of a file, in hex digits."""


class NodeFiles:
    """The run directory of a job on another machine, asked of its agent."""

    def __init__(self, store: Store, row: JobRow, patience: float = PATIENCE) -> None:
        self._store = store
        self._row = row
        self._patience = patience

    def listed(self) -> RunFiles:
        found = self._store.run_files(self._row.node, self._row.id, self._patience)
        if found is None:
            raise self._silent()
        return found

    def pieces(self, file: RunFile, offset: int) -> Iterator[bytes]:
        size = self._store.settings.limits.log_chunk
        sent: deque[LogRequest] = deque()
        ahead = offset
        while offset < file.size:
            fresh: list[LogRequest] = []
            while ahead < file.size and len(sent) + len(fresh) < _AHEAD:
                fresh.append(self._request("file", file.path, ahead, min(size, file.size - ahead)))
                ahead += size
            if fresh:
                self._store.send_requests(self._row.node, fresh)
                sent.extend(fresh)
            request = sent.popleft()
            data = self._answer(request)
            yield data
            offset += len(data)
            if len(data) < request.limit:
                if offset < ahead and not data:
                    return
                for late in sent:  # a node with a smaller limit of its own: what was asked for ahead does not fit
                    self._answer(late)
                sent.clear()
                ahead, size = offset, max(1, len(data))

    def summed(self, file: RunFile, offset: int, length: int) -> str:
        return self._ask("sum", file.path, offset, length).decode("ascii", "replace")

    def _ask(self, what: str, path: str, offset: int, limit: int) -> bytes:
        request = self._request(what, path, offset, limit)
        self._store.send_requests(self._row.node, [request])
        return self._answer(request)

    def _request(self, what: str, path: str, offset: int, limit: int) -> LogRequest:
        return LogRequest(new_id(), self._row.id, offset=offset, limit=limit, what=what, path=path)

    def _answer(self, request: LogRequest) -> bytes:
        chunk = self._store.answer_to(request, self._patience)
        if chunk is None:
            raise self._silent()
        if chunk.problem:
            raise NotFound(f"{request.path} of {_name(self._row)}: {chunk.problem}")
        return chunk.data

    def _silent(self) -> Silent:
        return Silent(
            f"{self._row.node}, which has the files of {_name(self._row)}, does not answer.",
            "A worker there must run to send them: exs workers shows them, exs worker starts one.",
        )


def _name(row: JobRow) -> str:
    return f"{row.experiment}/{row.index}"
