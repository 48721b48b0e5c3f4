"""The log of one job, wherever it lies: a file of this machine, a file of another node, or the stored end of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from exs.cli.session import host, settings
from exs.errors import NotFound
from exs.model import HELD, Failure, JobState
from exs.paths import log_date
from exs.rows import JobRow
from exs.view.jobs import selector

if TYPE_CHECKING:
    from exs.store.logs import LogChunk
    from exs.store.store import Store

#: Seconds that a node has to answer. Its agent sits on a blocking read; a slow network is what this is for.
PATIENCE = 3.0


class Unreachable(NotFound):
    """The node that has the log does not answer."""


class JobLog:
    """Reads the log of `command` of one job; "" is the last command that wrote one.

    `attempt`: its number, 0 for the newest; `row` has its history then. Raises NotFound where there is none.
    """

    def __init__(self, store: Store, row: JobRow, command: str = "", attempt: int = 0) -> None:
        self._store = store
        self._row = row = of_attempt(row, attempt)
        self._command = command
        self._attempt = attempt
        self._path = self._local_path()
        self._chunk = settings().limits.log_chunk

    def read(self, offset: int) -> LogChunk:
        """A piece from `offset`, counted from the end if negative. Raises Unreachable, or NotFound with the reason."""
        if self._path is not None:
            return _from_file(self._path, offset, self._chunk)
        row = self._row
        if row.failure == Failure.SPAWN and row.attempts == 1 and not row.log:
            raise NotFound(f"{selector(row)} has no log, because it could not be started: {row.detail}")
        chunk = self._store.ask_log(row.node, row.id, self._command, offset, self._chunk, PATIENCE, self._attempt)
        if chunk is None:
            raise Unreachable(
                f"{row.node}, which has the log of {selector(row)}, does not answer.",
                "A worker there must run to send it: exs workers shows them, exs worker starts one.",
            )
        if chunk.problem:
            raise NotFound(f"no log of {selector(row)}: {chunk.problem}")
        return chunk

    def pieces(self, offset: int) -> Iterator[LogChunk]:
        """Everything from `offset` to the end as it is now; at least one piece, which may be empty."""
        while True:
            chunk = self.read(offset)
            offset = chunk.offset + len(chunk.data)
            yield chunk
            if not chunk.data or offset >= chunk.size:
                return

    def start_of_last(self, lines: int) -> int:
        """Offset at which the last `lines` lines begin. The end of the text counts as the end of a line."""
        end = self.read(-1).size
        if lines <= 0:
            return end
        wanted = lines + 1
        begin = end
        first = True
        while begin > 0:
            begin = max(0, end - self._chunk)
            data = self.read(begin).data[: end - begin]
            if first and data and not data.endswith(b"\n"):
                wanted -= 1
            first = False
            at = len(data)
            while (at := data.rfind(b"\n", 0, at)) >= 0:
                wanted -= 1
                if wanted <= 0:
                    return begin + at + 1
            end = begin
        return 0

    def _local_path(self) -> Path | None:
        """The file, if this machine is the job's node and has it."""
        row = self._row
        # The record names the log of the attempt that ended last, which is not the one that runs.
        if row.node != host() or not row.log or row.state in HELD:
            return None
        path: Path | None = Path(row.log)
        if path is not None and self._command:
            path = _of_command(path, self._command, row, log_date(path.name) if self._attempt else "")
        return path if path is not None and path.is_file() else None


def of_attempt(row: JobRow, number: int) -> JobRow:
    """The job as it was in an earlier attempt: where it ran, where its log is. Raises NotFound for one it never had."""
    if not number or number == row.attempts:
        return row
    past = next((one for one in row.history if one.number == number), None)
    if past is None:
        had = f"It has had {row.attempts}." if row.attempts else "It never started."
        raise NotFound(f"{selector(row)} has no attempt {number}.", f"{had} exs show {selector(row)} lists them.")
    return replace(
        row, node=past.node, gpus=past.gpus, log=past.log, directory=past.directory or row.directory, tail="",
        state=JobState.CRASHED, failure="",
    )  # fmt: skip


def _of_command(other: Path, command: str, row: JobRow, date: str) -> Path | None:
    """The newest log of `command` beside the log `other` of the same job, of the attempt whose logs have that date.

    Each attempt writes one of its own.
    """
    # With --no-param-dir all jobs share a directory, and the job's name ends their names.
    suffixes = (f".{row.name}-{row.id}", f".{row.name}", "")
    suffix = next(suffix for suffix in suffixes if other.name.endswith(suffix))
    name = re.compile(rf"log\.{re.escape(command)}\.[0-9]{{4}}-.*{re.escape(suffix)}\Z", re.DOTALL)
    try:
        found = [path for path in other.parent.iterdir() if name.match(path.name)]
        found = [path for path in found if log_date(path.name) == date] if date else found
        return max(found, key=lambda path: path.stat().st_mtime_ns, default=None)
    except OSError:
        return None


def _from_file(path: Path, offset: int, limit: int) -> LogChunk:
    from exs.store.logs import LogChunk

    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            begin = max(0, size + offset) if offset < 0 else min(offset, size)
            file.seek(begin)
            return LogChunk(file.read(limit), begin, size)
    except OSError as error:
        raise NotFound(f"cannot read the log {path}: {error.strerror}.") from None
