"""Pools: labels of slots, each with a scheduler of its own."""

from __future__ import annotations

from exs.model import Scheduler
from exs.rows import PoolSettings
from exs.store import records
from exs.store.base import Base

#: Queues of experiments that one script call puts in place: about a millisecond.
_SORTED = 100


def _switch(value: bool) -> str:
    return "on" if value else "off"


class Pools(Base):
    """How the jobs of a pool are scheduled."""

    def set_pool(
        self,
        pool: str,
        *,
        scheduler: Scheduler | None = None,
        preemption: bool | None = None,
        backfill: bool | None = None,
    ) -> bool:
        """Change what is named of a pool and put its experiments where that wants them; True if anything changed.

        Safe to repeat, also after it was broken off. Jobs that run go on, but for what preemption takes.
        """
        given = {
            "scheduler": scheduler.value if scheduler else None,
            "preemption": None if preemption is None else _switch(preemption),
            "backfill": None if backfill is None else _switch(backfill),
        }
        words = [word for name, value in given.items() if value is not None for word in (name, value)]
        changed = bool(self._call("pool_set", pool, *words))
        after = "-inf"
        while reply := self._call("pool_sort", pool, after, _SORTED):
            after = records.text(reply)
        return changed

    def pools(self) -> dict[str, PoolSettings]:
        """The pools that were ever set, by name. Every other one is as `PoolSettings()` says."""
        return {records.text(name): _settings(records.pairs(flat)) for name, flat in self._call("pools")}


def _settings(fields: dict[str, bytes]) -> PoolSettings:
    fair = fields.get("scheduler") == Scheduler.FAIR_SHARE.value.encode()
    return PoolSettings(
        scheduler=Scheduler.FAIR_SHARE if fair else Scheduler.PRIORITY,
        preemption=fields.get("preemption") == b"on",
        backfill=fields.get("backfill") == b"on",
    )
