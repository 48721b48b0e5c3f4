"""Pieces of log files from the node that has them to whoever asks, through Redis and without a shared file system.

The asker names a job, a command and an offset; the node's agent finds the file itself. Nothing here names a path
that the agent would have to trust.
"""

from __future__ import annotations

from dataclasses import dataclass

from exs.errors import BrokenRecord
from exs.store import keys, records
from exs.store.base import Base
from exs.store.connect import sentences
from exs.store.push import new_id

_TTL = 60
_END = b"\0"


@dataclass(frozen=True)
class LogRequest:
    """A wish for up to `limit` bytes of a log from `offset` (negative: from the end)."""

    id: str
    job: str
    command: str  #: "" for the last one that wrote a log
    offset: int
    limit: int


@dataclass(frozen=True)
class LogChunk:
    """A piece of a log. `offset` is where `data` begins, `size` the size of the file when it was read."""

    data: bytes
    offset: int
    size: int
    problem: str = ""  #: why there is no data


class Logs(Base):
    """Both ends of the exchange."""

    def ask_log(self, node: str, job: str, command: str, offset: int, limit: int, wait: float) -> LogChunk | None:
        """A piece of a job's log from its node; None when the node does not answer within `wait` seconds."""
        request = new_id()
        body = records.dumps({"id": request, "job": job, "command": command, "offset": offset, "limit": limit})
        answer = keys.ANSWER + request
        with sentences(self._url), self._client.pipeline(transaction=True) as pipe:
            pipe.rpush(keys.ASK + node, body)
            pipe.expire(keys.ASK + node, _TTL)
            pipe.execute()
        reply = self._blpop(answer, wait)
        if reply is None:
            return None
        head, _, data = reply.partition(_END)
        facts = records.loads(head, f"the answer about the log of {job}")
        try:
            return LogChunk(data, int(facts["offset"]), int(facts["size"]), str(facts.get("problem", "")))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise BrokenRecord(f"the answer about the log of {job} is not readable.") from None

    def next_log_request(self, node: str, seconds: float) -> LogRequest | None:
        """The next request to this node, waited for at most `seconds`. Requests that cannot be read are dropped."""
        reply = self._blpop(keys.ASK + node, seconds)
        if reply is None:
            return None
        try:
            f = records.loads(reply, "log request")
            return LogRequest(str(f["id"]), str(f["job"]), str(f["command"]), int(f["offset"]), int(f["limit"]))
        except (BrokenRecord, KeyError, TypeError, ValueError):
            return None

    def answer_log(self, request: LogRequest, chunk: LogChunk) -> None:
        """Send a piece back; it vanishes by itself when nobody takes it."""
        head = records.dumps({"offset": chunk.offset, "size": chunk.size, "problem": chunk.problem})
        answer = keys.ANSWER + request.id
        with sentences(self._url), self._client.pipeline(transaction=True) as pipe:
            pipe.rpush(answer, head.encode() + _END + chunk.data)
            pipe.expire(answer, _TTL)
            pipe.execute()
