"""What a push finds and does, counted over its batches."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from exs.answers import OlderCode, Pushed
from exs.model import Again, JobState
from exs.store import records

#: Ids of new jobs that a receipt names.
_SOME = 20
#: The states that a count of `Pushed` and `OlderCode` counts.
_COUNTED = {
    "queued": (JobState.QUEUED, JobState.RUNNING, JobState.PAUSING, JobState.PAUSED),
    "done": (JobState.DONE, JobState.PRUNED),
    "crashed": (JobState.CRASHED,),
    "canceled": (JobState.CANCELED,),
}
_Counts = dict[str, int]


@dataclass
class Tally:
    """What the answers to the batches of a push, or of a plan, add up to."""

    id: str = ""
    new: int = 0
    before: int | None = None
    counts: _Counts = field(default_factory=dict)
    older: _Counts = field(default_factory=dict)
    reshaped: int = 0
    collected: list[str] = field(default_factory=list)
    first_ids: list[str] = field(default_factory=list)

    def add(self, reply: list[Any]) -> None:
        """Add the answer of push.lua or points.lua."""
        _, new, before, counts, collected, some, id8, older, reshaped = reply
        self.id = records.text(id8)
        self.new += new
        self.reshaped += reshaped
        self.before = before if self.before is None else self.before
        for flat, into in ((counts, self.counts), (older, self.older)):
            for state, n in zip(map(records.text, flat[::2]), flat[1::2], strict=True):
                into[state] = into.get(state, 0) + int(n)
        self.collected += [records.text(job) for job in collected]
        self.first_ids += [records.text(job) for job in some[: _SOME - len(self.first_ids)]]

    def pushed(self, name: str, code: str, again: Again, forced: int | None = None) -> Pushed:
        """`forced`: how many were queued again; None for all that `again` asks for."""
        older = {state: n for state, n in self.older.items() if not _is_in(state, again.of, again.older)}
        left = {
            state: n - (self.older.get(state, 0) if _is_in(state, again.older) else 0)
            for state, n in self.counts.items()
            if not _is_in(state, again.of)
        }
        found = sum(n for state, n in self.counts.items() if state != "STAGED")
        return Pushed(
            experiment=name,
            id=self.id,
            new=self.new + self.counts.get("STAGED", 0),
            **_named(left),
            forced=sum(self.counts.values()) - sum(left.values()) if forced is None else forced,
            gone=max(0, (self.before or 0) - found),
            first_ids=tuple(self.first_ids),
            older=OlderCode(**_named(older)) if code else None,
            other_resources=self.reshaped,
        )


def _is_in(state: str, *sets: Collection[JobState]) -> bool:
    return any(known.value == state for states in sets for known in states)


def _named(counts: Mapping[str, int]) -> dict[str, int]:
    """The counts by state as the counts that a person is told."""
    return {name: sum(counts.get(state.value, 0) for state in states) for name, states in _COUNTED.items()}
