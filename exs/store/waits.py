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
ending      those that could end before it would be done (lua/lib/ending.lua)
held 2/4    slots of a node are held for the job that is next, 2 of the 4 that it wants
soon        a slot that could is idle, and about to take it
busy        those that could have jobs
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from exs.answers import Verdict
from exs.model import HELD, JobState, Resources
from exs.rows import ExperimentRow, JobRow, SlotRow
from exs.store import shapes

#: A word that will not change by itself: nothing but a person or another worker helps.
STUCK = frozenset({"pull", "archived", "paused", "no worker", "unfit", "drained", "suspended", "ending"})


class Waits:
    """Why jobs wait for these slots. `quiet`: seconds of silence after which a slot does not count.

    `lasting`: queue -> seconds that the job which is next there is expected to take at most, as slots with an end see
    it; a queue of which nobody knows that is left out. `now`: Redis time.
    """

    def __init__(
        self, slots: Sequence[SlotRow], quiet: float, now: float = 0.0, lasting: Mapping[str, float] | None = None
    ) -> None:
        self._quiet = quiet
        self._slots = slots
        self._live = [slot for slot in slots if slot.seen_ago <= quiet]
        self._open = [slot for slot in self._live if slot.drain is None and not slot.leaves]
        self._awake = [slot for slot in self._open if slot.state != "suspended"]
        self._now = now
        self._lasting = lasting or {}
        self._idle = [slot for slot in self._awake if slot.state == "idle" and not slot.held_for]
        #: Of the nodes that hold slots for a job, the one that holds the most.
        holds = sorted(
            (slot.hold for slot in self._awake if slot.hold and slot.hold.wanted), key=lambda hold: hold.held
        )
        self._holds = {hold.experiment: hold for hold in holds}
        self._choosy = any(slot.only for slot in slots)
        self._known: dict[tuple[Resources, str, str, float], str] = {}
        self._nodes: dict[str, list[SlotRow]] = {}
        for slot in self._live:
            self._nodes.setdefault(slot.node, []).append(slot)

    def note(self, rows: Iterable[ExperimentRow]) -> None:
        """Set `why` of experiments of which jobs wait."""
        for row in rows:
            if row.kind != "pull" and row.counts.get(JobState.QUEUED, 0):
                words = [self.word(row, queue) for queue, n in row.queued.items() if n] or ["retry"]
                row.why = ", ".join(dict.fromkeys(words))

    def note_jobs(self, row: ExperimentRow, jobs: Iterable[JobRow]) -> None:
        """Set `why` of jobs of one experiment that wait; of those that wait for their next attempt it is `retry`."""
        words = {queue: self.word(row, queue) for queue in row.needs}
        for job in jobs:
            if job.state is JobState.QUEUED:
                job.why = "retry" if job.retry_at else words.get(job.queue, "")

    def word(self, row: ExperimentRow, queue: str) -> str:
        """Why jobs of this experiment wait in one of its queues."""
        needs = row.needs.get(queue)
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
        key = (needs, row.pool, row.name if self._choosy else "", self._lasting.get(queue, 0.0))
        if key not in self._known:
            self._known[key] = self._word(*key)
        return self._known[key]

    def _word(self, needs: Resources, pool: str, name: str, seconds: float) -> str:
        for slots, word in ((self._live, "unfit"), (self._open, "drained"), (self._awake, "suspended")):
            if not shapes.runnable(needs, slots, pool, name):
                return word
        if not shapes.runnable(needs, [slot for slot in self._awake if not self._ends(slot, seconds)], pool, name):
            return "ending"
        idle = [slot for slot in self._idle if not self._ends(slot, seconds)]
        return "soon" if shapes.runnable(needs, idle, pool, name) else "busy"

    def _ends(self, slot: SlotRow, seconds: float) -> bool:
        """Whether a slot ends within that time, so that claim leaves a job that takes so long to others."""
        return bool(slot.ends) and slot.ends - self._now < seconds

    def verdict(self, slot: SlotRow, row: ExperimentRow, queue: str) -> Verdict:
        """What the slot says to the job that is next in a queue."""
        needs = row.needs.get(queue)
        if slot.seen_ago > self._quiet:
            return Verdict(slot, "silent")
        lacks = "its needs cannot be read" if needs is None else ""
        if needs is not None:
            lacks = shapes.misfit(needs, slot, row.pool, row.name, self._nodes.get(slot.node, ()))
        if lacks:
            return Verdict(slot, "unfit", lacks)
        if slot.drain is not None:
            return Verdict(slot, "drained")
        if self._ends(slot, self._lasting.get(queue, 0.0)):
            return Verdict(slot, "ending")
        if slot.held_for:
            return Verdict(slot, "held", f"held for {slot.held_for}")
        return Verdict(slot, slot.state if slot.state in ("suspended", "busy") else "idle")
