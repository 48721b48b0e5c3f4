"""`exs queue`: Determined's job list, one line per experiment; and what an update changed, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from exs.answers import Change, PoolQueue, QueueRow
from exs.model import Json
from exs.view.screen import Screen
from exs.view.tables import WHOLE, Column, bars
from exs.view.text import safe
from exs.view.when import iso, utc

_TYPE = "TYPE_EXPERIMENT"
#: What a narrow screen does without, highest first.
_SPARE = {"Type": 3, "User": 2, "Submitted": 1}


@dataclass
class QueueTable:
    """The queue of one pool, in Determined's columns."""

    queue: PoolQueue

    def lines(self, screen: Screen) -> Iterator[str]:
        cells = [list(record.values()) for record in self.records()]
        columns = [
            Column(header, [safe(str(row[at])) for row in cells], right=header in self._RIGHT, least=WHOLE)
            for at, header in enumerate(self._headers())
        ]
        for column in columns:
            if column.header in ("Job Name", "User"):
                column.least = 8
            column.spare = _SPARE.get(column.header, 0)
        return bars(columns, screen)

    def document(self) -> Mapping[str, Json]:
        return {"jobs": [self._job(ahead, row) for ahead, row in enumerate(self.queue.rows)]}

    def records(self) -> Iterator[Mapping[str, Json]]:
        for ahead, row in enumerate(self.queue.rows):
            share = f"{row.weight:g}" if self.queue.fair_share else row.priority
            cells: tuple[Json, ...] = (
                "N/A" if self.queue.fair_share else ahead, row.id, _TYPE, row.experiment, share, utc(row.created_at),
                f"{row.acquired}/{row.needed}", _state(row), row.user,
            )  # fmt: skip
            yield dict(zip(self._headers(), cells, strict=True))

    def ids(self) -> Iterator[str]:
        return (row.id for row in self.queue.rows)

    _RIGHT = ("#", "Priority", "Weight")

    def _headers(self) -> tuple[str, ...]:
        share = "Weight" if self.queue.fair_share else "Priority"
        return ("#", "ID", "Type", "Job Name", share, "Submitted", "Slots (acquired/needed)", "Status", "User")

    def _job(self, ahead: int, row: QueueRow) -> Mapping[str, Json]:
        """The fields of Determined's API, and whether it is paused."""
        return {
            "summary": {"state": _state(row), "jobsAhead": -1 if self.queue.fair_share else ahead},
            "type": _TYPE,
            "submissionTime": iso(row.created_at),
            "username": row.user,
            "resourcePool": row.pool,
            "isPreemptible": row.preemptible,
            "priority": row.priority,
            "weight": row.weight,
            "entityId": row.experiment,
            "jobId": row.id,
            "requestedSlots": row.needed,
            "allocatedSlots": row.acquired,
            "name": row.experiment,
            "progress": row.done / row.jobs if row.jobs else 0.0,
            "paused": row.paused,
        }


def _state(row: QueueRow) -> str:
    return "STATE_SCHEDULED" if row.acquired else "STATE_QUEUED"


# ------------------------------------------------------------------ what an update did

_PLACES = {"ahead-of": "ahead of", "behind-of": "behind", "to-top": "ahead of"}
_WORDS = {"resource-pool": "pool", "max-slots": "jobs at a time"}


def changed(change: Change) -> str:
    """One line for people."""
    notes = "".join(f"; {note}" for note in _notes(change))
    return safe(f"{change.subject}: {_what(change)}{notes}")


def records_of(changes: Sequence[Change]) -> list[dict[str, Json]]:
    """For programs: what each operation did, in order."""
    kept = ("subject", "operation", "before", "after", "pool", "beside", "running")
    return [
        {**{name: value for name, value in asdict(change).items() if name in kept}, "changed": _made(change)}
        for change in changes
    ]


def _made(change: Change) -> bool:
    return change.moved if change.operation in _PLACES else change.before != change.after


def _what(change: Change) -> str:
    before, after = (_spelled(change.operation, value) for value in (change.before, change.after))
    if change.operation in _PLACES:
        return _placed(change)
    word = _WORDS.get(change.operation, change.operation)
    return f"{word} {before} -> {after}" if _made(change) else f"{word} {after} already"


#: What is said of a job that has no place to leave.
_HAS_NONE = {
    "RUNNING": "runs already",
    "PAUSING": "runs still",
    "LATER": "waits for its next attempt, and comes first then",
}


def _placed_job(change: Change) -> str:
    if change.job not in ("QUEUED", "PAUSED"):
        return _HAS_NONE.get(change.job, f"is over: {change.job}")
    if change.first:
        why = f": {change.beside} does not wait" if change.beside else ""
        return f"first of its experiment{'' if change.moved else ' already'}{why}"
    return f"{_PLACES[change.operation]} {change.beside}{'' if change.moved else ' already'}"


def _placed(change: Change) -> str:
    if change.job and change.subject != change.beside:
        return _placed_job(change)
    if change.subject == change.beside:
        return "first already" if change.operation == "to-top" else "not moved: it stands where it stands"
    where = f"{_PLACES[change.operation]} {change.beside}"
    priority = f", priority {change.before} -> {change.after}" if change.before != change.after else ""
    return f"{where}{priority}" if change.moved else f"{where} already"


def _spelled(operation: str, value: str) -> str:
    if operation != "max-slots":
        return value
    return value or "any number"


def _notes(change: Change) -> Iterator[str]:
    if change.over:
        yield "nothing of it runs or waits"
    if change.operation == "resource-pool" and _made(change):
        if change.running:
            yield f"{change.running} running {'goes' if change.running == 1 else 'go'} on in {change.before}"
        if not change.workers:
            yield f"no worker serves {change.after} yet"
    if change.operation == "weight" and not change.fair_share:
        yield f"pool {change.pool} goes by priority, where weights do not count"
    if change.operation == "priority" and change.fair_share:
        yield f"pool {change.pool} shares by weight, where priorities do not count"
