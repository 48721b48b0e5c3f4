"""How far experiments have come, and how long they will take: from how long their jobs took."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from exs.model import FINAL, HELD, JobState
from exs.rows import ExperimentRow, Pace
from exs.store import estimate, rows
from exs.store.base import Base
from exs.store.estimate import Running
from exs.store.scripts import Arg

#: Jobs of an experiment that are measured, those that are done and those that run, and experiments per script call:
#: 2 ms of Redis.
_MEASURED = 50
_EXPERIMENTS = 10


class Paces(Base):
    """Asked for what runs; an experiment that waits has no pace."""

    def note_pace(self, found: Iterable[ExperimentRow]) -> None:
        """Set `pace` of experiments of which jobs run; one round trip if there are any, else none."""
        running = [row for row in found if any(row.counts.get(state, 0) for state in HELD)]
        pages = [running[at : at + _EXPERIMENTS] for at in range(0, len(running), _EXPERIMENTS)]
        calls: list[tuple[str, Sequence[Arg]]] = [("pace", (_MEASURED, *(row.name for row in page))) for page in pages]
        for page, (_, *replies) in zip(pages, self._call_many(calls) if calls else [], strict=True):
            for row, reply in zip(page, replies, strict=True):
                row.pace = _pace(row, *reply)


def _pace(row: ExperimentRow, took: Sequence[int], running: Sequence[Any]) -> Pace:
    measured = sorted(ms / 1000 for ms in took)
    now = [Running(ms / 1000, rows.share(progress)) for ms, progress in zip(running[::2], running[1::2], strict=True)]
    held = sum(row.counts.get(state, 0) for state in HELD)
    waiting = 0 if row.paused else row.counts.get(JobState.QUEUED, 0)
    over = sum(row.counts.get(state, 0) for state in FINAL)
    parts = [part for one in now if (part := estimate.part_done(one, measured)) is not None]
    share = (over + sum(parts)) / row.jobs if row.jobs else 0.0
    typical = estimate.quantile(measured, 0.5) if measured else None
    return Pace(min(1.0, share), estimate.left(now, held, waiting, measured), typical, len(measured))
