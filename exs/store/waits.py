"""Why jobs wait, in a word, and what each slot says to one: rules over rows, no Redis.

The words, the first that holds:
pull        only `next_job()` and `exs pull` take them
archived    its experiment is out of use
paused      its experiment is paused
canary      its first jobs must succeed before
max_slots   as many of its experiment run as may
no worker   nobody is there
unfit       no slot that is there could ever run it
drained     those that could are drained
suspended   `rq suspend`
held 2/4    slots of a node are held for the job that is next, 2 of the 4 that it wants
soon        a slot that could is idle, and about to take it
busy        those that could have jobs
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from exs.answers import Verdict
from exs.model import HELD, JobState, Resources
from exs.rows import ExperimentRow, JobRow, SlotRow
from exs.store import shapes

#: A word that will not change by itself: nothing but a person or another worker helps.
STUCK = frozenset({"pull", "archived", "paused", "no worker", "unfit", "drained", "suspended"})


class Waits:
    """Why jobs wait for these slots. `quiet`: seconds of silence after which a slot does not count."""

    def __init__(self, slots: Sequence[SlotRow], quiet: float) -> None:
        self._quiet = quiet
        self._slots = slots
        self._live = [slot for slot in slots if slot.seen_ago <= quiet]
        self._open = [slot for slot in self._live if slot.drain is None and not slot.leaves]
        self._awake = [slot for slot in self._open if slot.state != "suspended"]
        self._idle = [slot for slot in self._awake if slot.state == "idle" and not slot.held_for]
        #: Of the nodes that hold slots for a job, the one that holds the most.
        holds = sorted(
            (slot.hold for slot in self._awake if slot.hold and slot.hold.wanted), key=lambda hold: hold.held
        )
        self._holds = {hold.experiment: hold for hold in holds}
        self._choosy = any(slot.only for slot in slots)
        self._known: dict[tuple[Resources, str, str], str] = {}
        self._nodes: dict[str, list[SlotRow]] = {}
        for slot in self._live:
            self._nodes.setdefault(slot.node, []).append(slot)

    def note(self, rows: Iterable[ExperimentRow]) -> None:
        """Set `why` of experiments of which jobs wait."""
        for row in rows:
            if row.kind != "pull" and row.counts.get(JobState.QUEUED, 0):
                words = [self.word(row, row.needs[queue]) for queue, n in row.queued.items() if n] or ["retry"]
                row.why = ", ".join(dict.fromkeys(words))

    def note_jobs(self, row: ExperimentRow, jobs: Iterable[JobRow]) -> None:
        """Set `why` of jobs of one experiment that wait; of those that wait for their next attempt it is `retry`."""
        words = {queue: self.word(row, needs) for queue, needs in row.needs.items()}
        for job in jobs:
            if job.state is JobState.QUEUED:
                job.why = "retry" if job.retry_at else words.get(job.queue, "")

    def word(self, row: ExperimentRow, needs: Resources | None) -> str:
        """Why jobs of this experiment with these needs wait; None for needs that nobody can read."""
        running = sum(row.counts.get(state, 0) for state in HELD)
        if row.kind == "pull":
            return "pull"
        if row.archived:
            return "archived"
        if row.paused:
            return "paused"
        if row.canary and running >= row.canary:
            return "canary"
        if row.max_running is not None and running >= row.max_running:
            return "max_slots"
        if not self._live:
            return "no worker"
        if needs is None:
            return "unfit"
        hold = self._holds.get(row.name)
        if hold is not None and any(one.gpus == hold.wanted for one in needs.alternatives):
            return f"held {hold.held}/{hold.wanted}"
        key = (needs, row.pool, row.name if self._choosy else "")
        if key not in self._known:
            self._known[key] = self._word(*key)
        return self._known[key]

    def _word(self, needs: Resources, pool: str, name: str) -> str:
        for slots, word in ((self._live, "unfit"), (self._open, "drained"), (self._awake, "suspended")):
            if not shapes.runnable(needs, slots, pool, name):
                return word
        return "soon" if shapes.runnable(needs, self._idle, pool, name) else "busy"

    def verdict(self, slot: SlotRow, row: ExperimentRow, needs: Resources | None) -> Verdict:
        """What the slot says to such a job."""
        if slot.seen_ago > self._quiet:
            return Verdict(slot, "silent")
        lacks = "its needs cannot be read" if needs is None else ""
        if needs is not None:
            lacks = shapes.misfit(needs, slot, row.pool, row.name, self._nodes.get(slot.node, ()))
        if lacks:
            return Verdict(slot, "unfit", lacks)
        if slot.drain is not None:
            return Verdict(slot, "drained")
        if slot.held_for:
            return Verdict(slot, "held", f"held for {slot.held_for}")
        return Verdict(slot, slot.state if slot.state in ("suspended", "busy") else "idle")
