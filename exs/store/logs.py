"""Pieces of files from the node that has them to whoever asks, through Redis and without a shared file system.

What is asked for is a log of a job, or a file of its run directory. The asker names the job, and a command and attempt
or a path inside the directory; the node's agent finds the directory itself and lets nobody out of it (logserve.py).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from exs.errors import BrokenRecord
from exs.model import Json
from exs.rows import RunFile, RunFiles
from exs.store import keys, records
from exs.store.base import Base
from exs.store.connect import sentences
from exs.store.push import new_id

_TTL = 60
_END = b"\0"
#: Bytes of a file of which a node makes one checksum per request: 0.2 s, in which other requests wait.
SUMMED = 64 << 20


@dataclass(frozen=True)
class LogRequest:
    """A wish for up to `limit` bytes from `offset` (negative: from the end).

    `what`: `log`; `file` for a file of the run directory, `sum` for the SHA-256 of those bytes of it, `list` for what
    files there are, all others being without meaning.
    """

    id: str
    job: str
    command: str = ""  #: whose log, "" for the last command that wrote one
    offset: int = 0
    limit: int = 0
    what: str = "log"
    path: str = ""  #: inside the run directory
    attempt: int = 0  #: whose log, 0 for the newest


@dataclass(frozen=True)
class LogChunk:
    """A piece of a file. `offset` is where `data` begins, `size` the size of the file when it was read."""

    data: bytes
    offset: int
    size: int
    problem: str = ""  #: why there is no data
    what: str = "log"  #: of the request; an agent of a version that knows logs alone answers to everything with one


class Logs(Base):
    """Both ends of the exchange."""

    def ask_log(
        self, node: str, job: str, command: str, offset: int, limit: int, wait: float, attempt: int = 0
    ) -> LogChunk | None:
        """A piece of a job's log from its node; None when the node does not answer within `wait` seconds."""
        request = LogRequest(new_id(), job, command, offset, limit, attempt=attempt)
        self.send_requests(node, [request])
        return self.answer_to(request, wait)

    def run_files(self, node: str, job: str, wait: float) -> RunFiles | None:
        """What stands in a job's run directory; None when the node does not answer. Raises BrokenRecord with the reason
        where there is none."""
        request = LogRequest(new_id(), job, what="list")
        self.send_requests(node, [request])
        chunk = self.answer_to(request, wait)
        if chunk is None:
            return None
        if chunk.problem:
            raise BrokenRecord(chunk.problem)
        return files_from(records.loads(chunk.data, f"the list of files of {job}"), job)

    def send_requests(self, node: str, requests: Sequence[LogRequest]) -> None:
        """Ask a node, which answers in this order; `answer_to` reads each answer."""
        with sentences(self._url), self._client.pipeline(transaction=True) as pipe:
            pipe.rpush(keys.ASK + node, *(records.dumps(asdict(request)) for request in requests))
            pipe.expire(keys.ASK + node, _TTL)
            pipe.execute()

    def answer_to(self, request: LogRequest, wait: float) -> LogChunk | None:
        """The answer to what was sent; None when there is none within `wait` seconds. Raises BrokenRecord."""
        deadline = time.monotonic() + wait
        reply = None
        while reply is None and (left := deadline - time.monotonic()) > 0:
            reply = self._blpop(keys.ANSWER + request.id, left)
        if reply is None:
            return None
        about = f"the answer about job {request.job}"
        head, _, data = reply.partition(_END)
        facts = records.loads(head, about)
        try:
            what = str(facts.get("what", "log"))
            chunk = LogChunk(data, int(facts["offset"]), int(facts["size"]), str(facts.get("problem", "")), what)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise BrokenRecord(f"{about} is not readable.") from None
        if chunk.what != request.what and not chunk.problem:
            raise BrokenRecord(
                f"the worker that has the files of job {request.job} is of a version that sends logs alone."
            )
        return chunk

    def next_log_request(self, node: str, seconds: float) -> LogRequest | None:
        """The next request to this node, waited for at most `seconds`. Requests that cannot be read are dropped."""
        reply = self._blpop(keys.ASK + node, seconds)
        if reply is None:
            return None
        try:
            f = records.loads(reply, "log request")
            return LogRequest(
                str(f["id"]), str(f["job"]), str(f.get("command", "")), int(f.get("offset", 0)),
                int(f.get("limit", 0)), str(f.get("what", "log")), str(f.get("path", "")), int(f.get("attempt", 0)),
            )  # fmt: skip
        except (BrokenRecord, KeyError, TypeError, ValueError, AttributeError):
            return None

    def answer_log(self, request: LogRequest, chunk: LogChunk) -> None:
        """Send a piece back; it vanishes by itself when nobody takes it."""
        facts = {
            "offset": chunk.offset,
            "size": chunk.size,
            "problem": records.plain(chunk.problem),
            "what": chunk.what,
        }
        answer = keys.ANSWER + request.id
        with sentences(self._url), self._client.pipeline(transaction=True) as pipe:
            pipe.rpush(answer, records.dumps(facts).encode() + _END + chunk.data)
            pipe.expire(answer, _TTL)
            pipe.execute()


def files_text(found: RunFiles) -> bytes:
    """A list of files as `files_from` reads it."""
    record = {
        "directory": records.plain(found.directory),
        "files": [[file.path, file.size, file.modified] for file in found.files],
        "left_out": {records.plain(path): why for path, why in found.left_out.items()},
        "more": found.more,
    }
    return records.dumps(record).encode()


def files_from(record: Json, job: str) -> RunFiles:
    """A list of files that a node has sent. Raises BrokenRecord for what is none."""
    try:
        files = tuple(RunFile(str(path), int(size), int(modified)) for path, size, modified in record["files"])
        left_out: Mapping[str, Json] = record["left_out"]
        return RunFiles(
            str(record["directory"]),
            files,
            {str(path): str(why) for path, why in left_out.items()},
            bool(record["more"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise BrokenRecord(f"the list of files of job {job} is not readable.") from None
