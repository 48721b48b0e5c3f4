"""Random lives of a queue: whatever its users do in whatever order, no job is lost, doubled or miscounted."""

from __future__ import annotations

import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exs.model import Again, Claim, Fenced, JobState, Outcome, Resources
from exs.rows import JobRow
from exs.store.store import Store
from store.actors import CANCELED, CRASHED, DONE, PRUNED, Lab, Slot

OUTCOMES = (DONE, PRUNED, CRASHED, CANCELED)
NAMES = ("a", "b")
SLOTS = 4
VERBS = (
    *("push", "claim", "claim", "claim", "finish", "finish", "both", "again", "stale", "release", "cancel", "kill"),
    *("retry", "force", "remove", "dead", "hasten", "silence"),
)
STEP = st.tuples(st.sampled_from(VERBS), st.integers(0, 7), st.integers(0, 7))


class Life:
    """The queue, and what an onlooker knows of it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.slots = [lab.slot(f"s{i}", gpus=("0",) if i % 2 else ()) for i in range(SLOTS)]
        self.past: list[tuple[Slot, Claim]] = []
        self.accepted: dict[str, str] = {}  # attempt -> answer
        self.numbers: dict[str, int] = {}  # job -> number of its last attempt
        self.lowered = False  # a push has set a limit below what already ran

    # ------------------------------------------------------------ what users do; a and b choose whom and what

    def push(self, a: int, b: int) -> None:
        limit = {0: 1, 1: 2}.get(b)
        self.lowered = self.lowered or (
            limit is not None and any(row.state is JobState.RUNNING for row in self._rows())
        )
        wants = Resources(gpus=(None, 0, 1)[a % 3])
        options = {"again": Again(of=frozenset({JobState.DONE}))} if b == 7 else {}
        self.lab.push(*range(a, a + 3), name=NAMES[b % 2], retries=b % 3, max_running=limit, resources=wants, **options)

    def claim(self, a: int, b: int) -> None:
        slot = self.slots[a % SLOTS]
        self._claimed(slot, slot.claim())

    def both(self, a: int, b: int) -> None:
        slot = self.slots[a % SLOTS]
        if slot.held is None:
            return
        before, outcome, attempt = slot.held, OUTCOMES[b % 4], f"both{len(self.past)}"
        fence, claim = self.lab.store.finish_and_claim(before.job, before.attempt, outcome, slot.offer, attempt)
        self._answered(before, fence)
        slot.held = claim
        self._claimed(slot, claim)

    def again(self, a: int, b: int) -> None:
        """A claim whose reply was lost."""
        slot = self.slots[a % SLOTS]
        if slot.held is not None and self._holds(slot.held):
            assert slot.claim(slot.held.attempt) is not None

    def finish(self, a: int, b: int) -> None:
        self._end(self.slots[a % SLOTS], OUTCOMES[b % 4])

    def release(self, a: int, b: int) -> None:
        self._end(self.slots[a % SLOTS], None)

    def stale(self, a: int, b: int) -> None:
        """Somebody who was away ends an attempt of long ago."""
        if self.past:
            slot, claim = self.past[(a * 8 + b) % len(self.past)]
            fence = self.lab.store.finish(claim.job, claim.attempt, OUTCOMES[b % 4], slot.offer)
            self._answered(claim, fence)

    def cancel(self, a: int, b: int) -> None:
        self.lab.store.cancel(self._some(a, b))

    def kill(self, a: int, b: int) -> None:
        self.lab.store.cancel(self._some(a, b), kill=True)

    def retry(self, a: int, b: int) -> None:
        self.lab.store.retry(self._some(a, b))

    def force(self, a: int, b: int) -> None:
        self.lab.store.retry(self._some(a, b), force=True)

    def remove(self, a: int, b: int) -> None:
        self.lab.store.remove(self._some(a, b))

    def dead(self, a: int, b: int) -> None:
        slot = self.slots[a % SLOTS]
        self.lab.store.slot_dead([slot.offer.slot], "killed")

    def hasten(self, a: int, b: int) -> None:
        self.lab.hasten()

    def silence(self, a: int, b: int) -> None:
        for row in self._rows()[a : a + 2]:
            if row.state is JobState.RUNNING:
                self.lab.silence(row.id, 10_000)
        self.lab.reap()

    # ------------------------------------------------------------ what must hold

    def check(self) -> None:
        assert self.lab.store.audit() == []
        held = [row for row in self._rows() if row.state is JobState.RUNNING]
        assert len({row.attempt for row in held}) == len(held)
        for experiment in self.lab.store.experiments():
            if experiment.max_running is not None and not self.lowered:
                assert experiment.counts[JobState.RUNNING] <= experiment.max_running

    def drain(self) -> None:
        """Progress: what nobody stops runs until nothing is left to claim."""
        for row in self._rows():
            if row.state is JobState.RUNNING:
                self.lab.silence(row.id, 10_000)
        self.lab.reap()
        for _ in range(200):
            self.lab.hasten()
            claims = [slot for slot in self.slots if slot.claim()]
            for slot in claims:
                slot.finish(DONE)
            if not claims:
                break
        assert {row.state for row in self._rows()} <= {*(o.state for o in OUTCOMES)}
        assert self.lab.store.audit() == []

    def _claimed(self, slot: Slot, claim: Claim | None) -> None:
        if claim is None:
            return
        row = self.lab.store.job(claim.job)
        assert (row.state, row.attempt, row.slot) == (JobState.RUNNING, claim.attempt, slot.offer.slot)
        assert claim.number > self.numbers.get(claim.job, 0)  # I3
        self.numbers[claim.job] = claim.number
        self.past.append((slot, claim))

    def _end(self, slot: Slot, outcome: Outcome | None) -> None:
        if slot.held is not None:
            claim, slot.held = slot.held, slot.held
            self._answered(claim, slot.release() if outcome is None else slot.finish(outcome))
            slot.held = None

    def _answered(self, claim: Claim, fence: Fenced) -> None:
        """One attempt is accepted once and for all, or never (I2)."""
        before = self.accepted.get(claim.attempt)
        if fence is Fenced.OURS:
            assert before in (None, "ours")
            self.accepted[claim.attempt] = "ours"
        elif before is None:
            self.accepted[claim.attempt] = "never"

    def _holds(self, claim: Claim) -> bool:
        return any(row.id == claim.job and row.attempt == claim.attempt for row in self._rows())

    def _rows(self) -> list[JobRow]:
        return [row for experiment in self.lab.store.experiments() for row in self.lab.store.jobs(experiment.name)]

    def _some(self, a: int, b: int) -> list[str]:
        return [row.id for row in self._rows()][a : a + 1 + b % 3]


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEP, min_size=10, max_size=80))
def test_any_life_keeps_the_invariants(store: Store, client: redis.Redis, steps: list[tuple[str, int, int]]) -> None:
    client.flushall()
    life = Life(Lab(store, client))
    life.push(0, 2)
    life.push(3, 5)
    for verb, a, b in steps:
        getattr(life, verb)(a, b)
        life.check()
    life.drain()
