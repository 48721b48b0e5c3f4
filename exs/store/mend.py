"""Repair of what RQ's own clients wrote past us: the dashboard, `rq` commands, a stock `rq worker`."""

from __future__ import annotations

import time
from dataclasses import dataclass

from exs.store import keys, records
from exs.store.base import Base
from exs.store.connect import sentences

#: Jobs that one script call looks at: about 2 ms of Redis.
_PAGE = 300
#: The same where each is likely to be moved.
_MARKED = 50


@dataclass(frozen=True)
class Stranger:
    """A stock RQ worker that listens on queues of ours, or took jobs of ours within the last hour."""

    name: str
    queues: tuple[str, ...] = ()  #: of ours; () when it has left
    took_ago: float | None = None  #: seconds since a job that it took was put back; None when none was

    def __str__(self) -> str:
        where = f"listens on {', '.join(self.queues)}" if self.queues else "took jobs of exs and has left"
        return f"the stock rq worker {self.name} {where}"


class Menders(Base):
    """Puts jobs back, and says who took them."""

    def mend(self, name: str, seconds: float = 60.0) -> None:
        """Put the jobs of NAME back where their states say, for at most so long; the next reap goes on.

        What a person asked for through RQ's tools is honoured: cancel, requeue, delete.
        """
        deadline = time.monotonic() + seconds
        found, more = 1, 0
        while found and time.monotonic() < deadline:
            found, more = self._call("mend_marked", name, _MARKED)
        while more and time.monotonic() < deadline:
            more = self._call("mend", name, _PAGE)

    def strangers(self) -> list[Stranger]:
        """Stock RQ workers on queues of ours, by name."""
        now, replies = self._workers()
        with sentences(self._url):
            took = dict(self._client.zrange(keys.STRANGERS, 0, -1, withscores=True))
        listening = {reply[0]: reply[4] for reply in replies if reply[4]}
        return [
            Stranger(
                records.text(name),
                tuple(records.text(listening[name]).split(",")) if name in listening else (),
                max(0.0, (now - took[name]) / 1000) if name in took else None,
            )
            for name in sorted({*listening, *took})
        ]
