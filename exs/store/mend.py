"""Repair of what RQ's own clients wrote past us: the dashboard, `rq` commands, a stock `rq worker`."""

from __future__ import annotations

from dataclasses import dataclass

from exs.store import keys, records
from exs.store.base import Base
from exs.store.connect import sentences

#: Jobs that one script call looks at: about 2 ms of Redis.
_PAGE = 500
#: The same where each is likely to be moved.
_MARKED = 100
#: Looks at all jobs of an experiment, when others go on to move them.
_ROUNDS = 4
#: Calls in a row for what is marked; a stock worker may take again as fast as jobs are put back.
_CALLS = 50


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

    def mend(self, name: str) -> int:
        """Put every job of NAME back where its state says; returns how many were not there.

        What a person asked for through RQ's tools is honoured: cancel, requeue, delete.
        """
        mended = found = 0
        for _ in range(_ROUNDS):
            n, amiss, drift = self._mend_marked(name)
            mended += n
            if not amiss and not found:
                break
            found, pruned = self._look_at_all(name)
            mended += found
            if not found and self._call("settle", name, drift, pruned):
                break
        return mended

    def strangers(self) -> list[Stranger]:
        """Stock RQ workers on queues of ours, by name."""
        now, *replies = self._call("workers")
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

    def _mend_marked(self, name: str) -> tuple[int, bool, str]:
        """Put back what RQ's clients left a mark on, which is nearly everything: how many, is some left, the drift."""
        mended = 0
        for _ in range(_CALLS):
            n, amiss, drift = self._call("mend_marked", name, _MARKED)
            mended += n
            if not n:
                break
        return mended, bool(amiss), records.text(drift)

    def _look_at_all(self, name: str) -> tuple[int, int]:
        """How many jobs were put back or forgotten, and how many are PRUNED."""
        at = mended = pruned = 0
        while at >= 0:
            at, n, seen = self._call("mend", name, at, _PAGE)
            mended += n
            pruned += seen
        return mended, pruned
