"""The audit of invariant I1: every job stands in exactly one place, and the counts add up."""

from __future__ import annotations

from collections.abc import Iterator

from exs.model import JobRow, JobState
from exs.store import records
from exs.store.look import Watchers

#: Where a job of each state must stand, and nowhere else. A QUEUED one that waits for its next attempt: _WAITING.
PLACES: dict[JobState, frozenset[str]] = {
    JobState.QUEUED: frozenset({"queue"}),
    JobState.RUNNING: frozenset({"wip", "lease"}),
    JobState.PAUSING: frozenset({"wip", "lease"}),
    JobState.PAUSED: frozenset({"deferred"}),
    JobState.DONE: frozenset({"finished"}),
    JobState.PRUNED: frozenset({"finished"}),
    JobState.CRASHED: frozenset({"failed"}),
    JobState.CANCELED: frozenset({"canceled"}),
}
_WAITING = frozenset({"scheduled", "later"})


class Auditor(Watchers):
    """Looks for jobs that are lost, doubled or miscounted."""

    def audit(self) -> list[str]:
        """One sentence per finding, none when the queue is consistent. Safe while workers claim.

        Each job is judged by one atomic look at all its places; a count by the jobs it should equal, and only
        when the two still differ after a second look.
        """
        findings: list[str] = []
        for experiment in self.experiments():
            findings += self._audit_jobs(experiment.name)
            findings += self._audit_count(experiment.name)
        return findings

    def _audit_jobs(self, name: str) -> Iterator[str]:
        rows = self.jobs(name)
        for start in range(0, len(rows), 200):
            batch = rows[start : start + 200]
            replies = self._call_many([("audit_job", (row.id,)) for row in batch])
            for row, reply in zip(batch, replies, strict=True):
                yield from self._judge(row, records.text(reply[0]), {records.text(place) for place in reply[1]})

    def _judge(self, row: JobRow, state: str, places: set[str]) -> Iterator[str]:
        if not state:
            return  # removed since
        label = f"job {row.id} ({row.experiment}/{row.index})"
        if state not in JobState.__members__:
            yield f"{label} has the unknown state {state!r}."
            return
        expected = PLACES[JobState(state)]
        if places != expected and not (state == "QUEUED" and places == _WAITING):
            found = ", ".join(sorted(places)) or "nowhere"
            yield f"{label} is {state} but stands in {found} instead of {', '.join(sorted(expected))}."

    def _audit_count(self, name: str) -> Iterator[str]:
        for _ in range(2):
            rows = self._call("experiments", name)
            if not rows:
                return
            row = records.experiment_row(rows[0])
            if sum(row.counts.values()) == row.jobs:
                return
        counts = ", ".join(f"{n} {state.value}" for state, n in row.counts.items() if n)
        yield f"experiment {name} has {row.jobs} jobs, but {counts or 'none'} in its queues and registries."
