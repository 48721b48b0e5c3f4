"""`exs` and `exs list`: one line per experiment, and how many workers are busy and idle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from exs.model import FINAL, JobState, Json
from exs.rows import ExperimentRow, SlotRow, UnusedGpu
from exs.view import records
from exs.view.counts import NO_WORKER
from exs.view.screen import Screen
from exs.view.tables import WHOLE, Column, plain
from exs.view.text import safe
from exs.view.when import ago, duration, rough

_S = JobState


@dataclass
class ExperimentTable:
    """`rows` as the store gives them; of those that are over only the newest `finished` are shown, the others
    counted; None shows all."""

    rows: Sequence[ExperimentRow]
    slots: Sequence[SlotRow]
    now: float
    finished: int | None = None
    unused: Sequence[UnusedGpu] = ()

    def lines(self, screen: Screen) -> Iterator[str]:
        rows = self._shown()
        jobs = [sum(row.counts.get(state, 0) for row in rows) for state in (_S.RUNNING, _S.QUEUED, _S.PAUSED)]
        if rows:
            noun = "experiment" if len(rows) == 1 else "experiments"
            yield f"{len(rows)} {noun}, {jobs[0]} running, {jobs[1]} waiting" + (
                f", {jobs[2]} paused" if jobs[2] else ""
            )
            yield from plain(self._columns(rows), screen)
        else:
            yield "nothing is active" if self.rows else "no experiments yet: exs push sweep.yaml"
        hidden = len(self.rows) - len(rows)
        if hidden:
            yield screen.paint(f"+ {hidden} finished: exs list{' -a' if self.finished else ''}", "dim")
        yield workers_line(self.slots)
        yield from unused_lines(self.unused)
        if any(row.counts.get(_S.QUEUED, 0) and row.kind != "pull" for row in rows) and not self._alive():
            yield NO_WORKER

    def document(self) -> Mapping[str, Json]:
        return {
            "experiments": [records.experiment(row) for row in self._shown()],
            "workers": records.slot_counts(self.slots),
            "unused_gpus": [records.unused_gpu(row) for row in self.unused],
        }

    def records(self) -> Iterator[Mapping[str, Json]]:
        return (records.flat(records.experiment(row)) for row in self._shown())

    def ids(self) -> Iterator[str]:
        return (row.name for row in self._shown())

    def _alive(self) -> bool:
        return any(row.state in ("busy", "idle") for row in self.slots)

    def _shown(self) -> list[ExperimentRow]:
        """What still runs or waits by priority, then what is finished, each newest first."""
        rows = sorted(self.rows, key=lambda row: (not active(row), -row.created_at))
        rows.sort(key=lambda row: row.priority if active(row) else 100)
        running = sum(map(active, rows))
        return rows if self.finished is None else rows[: running + self.finished]

    def _columns(self, rows: Sequence[ExperimentRow]) -> list[Column]:
        def counted(header: str, style: str, *states: JobState) -> Column:
            numbers = [sum(row.counts.get(state, 0) for state in states) for row in rows]
            return Column(
                header,
                [str(number) for number in numbers],
                right=True,
                least=WHOLE,
                style=lambda at: style if numbers[at] else "dim",
            )

        columns = [
            Column("name", [safe(row.name) for row in rows], least=12, style=lambda at: "bold"),
            counted("done", "green", _S.DONE, _S.PRUNED),
            counted("run", "cyan", _S.RUNNING, _S.PAUSING),
            counted("wait", "", _S.QUEUED),
        ]
        if any(row.counts.get(_S.PAUSED, 0) for row in rows):
            columns.append(counted("paused", "yellow", _S.PAUSED))
        columns.append(counted("fail", "red", _S.CRASHED))
        if any(row.counts.get(_S.CANCELED, 0) for row in rows):
            columns.append(counted("canceled", "yellow", _S.CANCELED))
        lefts = [left(row) for row in rows]
        if any(lefts):
            columns.append(Column("left", lefts, right=True, least=WHOLE, spare=1))
        # What the note says of an experiment is not said twice, and what passes in a moment not at all.
        whys = ["" if row.paused or not active(row) or row.why == "soon" else safe(row.why) for row in rows]
        if any(whys):
            columns.append(Column("why", whys, least=WHOLE, spare=1))
        columns.append(
            Column("pushed", [ago(row.created_at, self.now) for row in rows], right=True, least=WHOLE, spare=2)
        )
        if len({row.user for row in rows}) > 1:
            columns.append(Column("user", [safe(row.user) for row in rows], spare=3))
        notes = [_note(row) for row in rows]
        if any(notes):
            columns.append(Column("note", notes, least=16, spare=1))
        return columns


def active(row: ExperimentRow) -> bool:
    """True if something of it runs, waits or is paused."""
    return any(number for state, number in row.counts.items() if state not in FINAL)


def shown(row: ExperimentRow) -> bool:
    """False for what is archived; what RQ's own tools put back to work is shown all the same."""
    return not row.archived or active(row)


def left(row: ExperimentRow) -> str:
    """How long it will take, `12m`; "" where nobody knows."""
    return rough(row.pace.left) if row.pace is not None and row.pace.left is not None else ""


def pace_line(row: ExperimentRow) -> str:
    """How far an experiment has come, and how long it will take: `34%, about 12m left (a job takes 40s)`; "" for
    nothing to say."""
    if row.pace is None:
        return ""
    if row.pace.typical is None and not left(row):
        return f"{row.pace.share:.0%} of it is over"
    parts = [f"{row.pace.share:.0%}", f"about {left(row)} left" if left(row) else ""]
    if row.pace.typical is not None:
        parts[-1] += f" (a job takes {duration(row.pace.typical)})"
    return ", ".join(filter(None, map(str.strip, parts)))


def paused(row: ExperimentRow) -> str:
    """`paused by alice`, of an experiment that is."""
    return f"paused by {safe(row.paused_by)}" if row.paused_by else "paused"


def unused_lines(gpus: Sequence[UnusedGpu]) -> Iterator[str]:
    """One line for each GPU that gets no job, and why."""
    return (f"GPU {safe(row.gpu)} of {safe(row.node)} gets no job: {safe(row.why)}" for row in gpus)


def workers_line(slots: Sequence[SlotRow]) -> str:
    """The line every list ends with: `workers: 6 busy, 1 idle`, on how many nodes."""
    counts = records.slot_counts(slots)
    nodes = len({row.node for row in slots})
    where = f" on {nodes} nodes" if nodes > 1 else ""
    return f"workers: {', '.join(f'{number} {safe(state)}' for state, number in counts.items())}{where}"


def _note(row: ExperimentRow) -> str:
    notes = []
    if not row.committed:
        notes.append("push not complete: push it again")
    if row.archived:
        notes.append("archived")
    if row.paused:
        notes.append(paused(row))
    if row.preempted_by and row.counts.get(_S.QUEUED, 0) + row.counts.get(_S.PAUSING, 0):
        notes.append(f"preempted by {safe(row.preempted_by)}")
    if row.waiting_retry:
        notes.append(f"{row.waiting_retry} to be retried")
    if row.max_running is not None and active(row):
        notes.append(f"at most {row.max_running} at a time")
    crashed = row.counts.get(_S.CRASHED, 0)
    if crashed and not active(row):
        notes.append(f"exs retry {safe(row.name)}")
    return ", ".join(notes)
