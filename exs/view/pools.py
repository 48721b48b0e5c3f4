"""`exs pool list` and `exs pool show`: the pools of slots, how each schedules, who works and waits there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from exs.model import DEFAULT_POOL, HELD, JobState, Json, Scheduler
from exs.rows import ExperimentRow, PoolSettings, SlotRow
from exs.view import records
from exs.view.experiments import active
from exs.view.screen import Screen
from exs.view.tables import WHOLE, Column, plain
from exs.view.text import safe


@dataclass
class Pool:
    """One pool: its settings, the slots that serve it, and the experiments in it that are active."""

    name: str
    settings: PoolSettings
    slots: Sequence[SlotRow]
    experiments: Sequence[ExperimentRow]

    def jobs(self, *states: JobState) -> int:
        """How many jobs are in these states."""
        return sum(row.counts.get(state, 0) for row in self.experiments for state in states)

    def document(self) -> dict[str, Json]:
        """As JSON."""
        return {
            "pool": self.name,
            "scheduler": self.settings.scheduler.value,
            "preemption": self.settings.preemption,
            "backfill": self.settings.backfill,
            "slots": len(self.slots),
            **records.slot_counts(self.slots),
            "running": self.jobs(*HELD),
            "waiting": self.jobs(JobState.QUEUED),
            "experiments": [row.name for row in self.experiments],
        }


def pools(
    configured: Mapping[str, PoolSettings], slots: Sequence[SlotRow], experiments: Sequence[ExperimentRow]
) -> list[Pool]:
    """Every pool that was set, that a slot serves or in which an experiment is active: `default`, then by name."""
    running = [row for row in experiments if active(row) and row.kind != "pull"]  # no slot takes their jobs
    names = {DEFAULT_POOL, *configured, *(row.pool for row in running)}
    names.update(name for slot in slots for name in slot.pools if name)
    return [
        Pool(
            name,
            configured.get(name, PoolSettings()),
            [slot for slot in slots if name in slot.pools],
            [row for row in running if row.pool == name],
        )
        for name in sorted(names, key=lambda name: (name != DEFAULT_POOL, name))
    ]


@dataclass
class PoolTable:
    """One line per pool."""

    rows: Sequence[Pool]

    def lines(self, screen: Screen) -> Iterator[str]:
        rows = self.rows
        counts = [records.slot_counts(row.slots) for row in rows]

        def numbers(header: str, found: Sequence[int], spare: int = 0) -> Column:
            return Column(header, [str(number) for number in found], right=True, least=WHOLE, spare=spare)

        return plain(
            [
                Column("pool", [safe(row.name) for row in rows], least=12),
                numbers("slots", [len(row.slots) for row in rows]),
                numbers("busy", [count["busy"] for count in counts]),
                numbers("idle", [count["idle"] for count in counts]),
                Column("scheduler", [scheduler(row.settings) for row in rows], least=WHOLE),
                numbers("experiments", [len(row.experiments) for row in rows]),
                numbers("run", [row.jobs(*HELD) for row in rows], spare=1),
                numbers("wait", [row.jobs(JobState.QUEUED) for row in rows], spare=1),
            ],
            screen,
        )

    def document(self) -> Mapping[str, Json]:
        return {"pools": [row.document() for row in self.rows]}

    def records(self) -> Iterator[Mapping[str, Json]]:
        return (row.document() | {"experiments": len(row.experiments)} for row in self.rows)

    def ids(self) -> Iterator[str]:
        return (row.name for row in self.rows)


@dataclass
class PoolPage:
    """One pool with its experiments, in the order in which they would run."""

    pool: Pool

    def lines(self, screen: Screen) -> Iterator[str]:
        pool = self.pool
        counts = records.slot_counts(pool.slots)
        nodes = len({row.node for row in pool.slots})
        shown = ", ".join(f"{number} {safe(state)}" for state, number in counts.items())
        yield screen.paint(safe(pool.name), "bold")
        yield f"  scheduler    {scheduler(pool.settings)}"
        yield f"  slots        {len(pool.slots)}: {shown}, on {nodes} node{'' if nodes == 1 else 's'}"
        if not pool.slots:
            yield f"               none serves it: exs worker --pool {safe(pool.name)}"
        yield f"  experiments  {len(pool.experiments)} active"
        if pool.experiments:
            yield from (f"  {line}" for line in plain(self._columns(), screen))

    def document(self) -> Mapping[str, Json]:
        return self.pool.document() | {"experiments": [records.experiment(row) for row in self.pool.experiments]}

    def records(self) -> Iterator[Mapping[str, Json]]:
        yield self.pool.document() | {"experiments": len(self.pool.experiments)}

    def ids(self) -> Iterator[str]:
        return (row.name for row in self.pool.experiments)

    def _columns(self) -> list[Column]:
        fair = self.pool.settings.scheduler is Scheduler.FAIR_SHARE
        rows = sorted(self.pool.experiments, key=lambda row: (0 if fair else row.priority, row.created_at))
        place = [f"{row.weight:g}" if fair else str(row.priority) for row in rows]
        running = [sum(row.counts.get(state, 0) for state in HELD) for row in rows]
        return [
            Column("name", [safe(row.name) for row in rows], least=12),
            Column("weight" if fair else "priority", place, right=True, least=WHOLE),
            Column("run", [str(number) for number in running], right=True, least=WHOLE),
            Column("wait", [str(row.counts.get(JobState.QUEUED, 0)) for row in rows], right=True, least=WHOLE),
        ]


def scheduler(settings: PoolSettings) -> str:
    """A scheduler and what is switched on: `priority, preemption`."""
    switches = {"preemption": settings.preemption, "backfill": settings.backfill}
    return ", ".join([settings.scheduler.value, *(name for name, on in switches.items() if on)])
