"""What the scripts do to a job is what `model.TRANSITIONS` allows: every state against every verb."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from exs.model import FINAL, HELD, RQ_STATUS, TRANSITIONS, Again, JobState, Outcome
from exs.store import keys
from store.actors import CANCELED, CRASHED, DONE, PRUNED, Lab, Slot

S = JobState
Verb = Callable[[Lab, Slot, str], object]


def _finish(outcome: Outcome) -> Verb:
    return lambda lab, slot, job: slot.finish(outcome)


VERBS: dict[str, Verb] = {
    "claim": lambda lab, slot, job: lab.slot("other").claim(),
    "renew": lambda lab, slot, job: slot.renew(),
    "done": _finish(DONE),
    "pruned": _finish(PRUNED),
    "crashed": _finish(CRASHED),
    "canceled": _finish(CANCELED),
    "release": lambda lab, slot, job: slot.release(),
    "lose": lambda lab, slot, job: lab.store.slot_dead(["s1"], "killed"),
    "reap": lambda lab, slot, job: lab.reap(),
    "cancel": lambda lab, slot, job: lab.store.cancel([job]),
    "kill": lambda lab, slot, job: lab.store.cancel([job], kill=True),
    "pause": lambda lab, slot, job: lab.store.pause([job], "ann"),
    "activate": lambda lab, slot, job: lab.store.activate([job]),
    "activate while it stops": lambda lab, slot, job: (lab.store.activate([job]), slot.release()),
    "pause all": lambda lab, slot, job: lab.store.pause_experiment("e", "ann"),
    "activate all": lambda lab, slot, job: lab.store.activate_experiment("e"),
    "retry": lambda lab, slot, job: lab.store.retry([job]),
    "force": lambda lab, slot, job: lab.store.retry([job], force=True),
    "push": lambda lab, slot, job: lab.push(1),
    "push --force": lambda lab, slot, job: lab.push(1, again=Again(of=FINAL)),
}


def _paused(lab: Lab, slot: Slot, job: str) -> None:
    VERBS["pause"](lab, slot, job)
    slot.release()


#: How a job that slot s1 claimed comes into each state.
REACHED: dict[JobState, Verb] = {
    S.QUEUED: VERBS["release"],
    S.RUNNING: VERBS["renew"],
    S.PAUSING: VERBS["pause"],
    S.PAUSED: _paused,
    S.DONE: VERBS["done"],
    S.PRUNED: VERBS["pruned"],
    S.CRASHED: VERBS["crashed"],
    S.CANCELED: VERBS["canceled"],
}

seen: set[tuple[JobState, JobState]] = set()


def in_state(lab: Lab, state: JobState) -> tuple[Slot, str]:
    lab.push(1)
    slot = lab.slot("s1")
    job = slot.must_claim().job
    REACHED[state](lab, slot, job)
    assert lab.state(job) is state
    assert lab.store.audit() == []
    return slot, job


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("state", S)
def test_every_state_against_every_verb(lab: Lab, state: JobState, verb: str) -> None:
    slot, job = in_state(lab, state)
    VERBS[verb](lab, slot, job)
    after = lab.state(job)
    assert after is state or after in TRANSITIONS[state]
    assert lab.client.hget(keys.RQ_JOB + job, "status") == RQ_STATUS[after]
    assert (lab.store.job(job).attempt != "") == (after in HELD)
    assert lab.store.audit() == []
    seen.add((state, after))
    VERBS[verb](lab, slot, job)  # repeated, as after a lost reply
    assert lab.store.audit() == []


def test_every_transition_of_the_model_is_made_by_some_verb() -> None:
    if not seen:
        pytest.skip("runs after the test above")
    allowed = {(before, after) for before, targets in TRANSITIONS.items() for after in targets}
    assert allowed <= seen
    assert {pair for pair in seen if pair[0] is not pair[1]} <= allowed


@pytest.mark.parametrize("state", S)
def test_remove_forgets_what_nobody_holds(lab: Lab, state: JobState) -> None:
    _, job = in_state(lab, state)
    counts = lab.store.remove([job])
    assert counts["running" if state in HELD else "removed"] == 1
    assert lab.store.audit() == []
    if state not in HELD:
        assert lab.store.remove_experiment("e")
        assert not [key for key in lab.client.keys("*") if job in key or key.endswith(":e")]


def test_remove_forgets_one_that_waits_for_its_retry(lab: Lab) -> None:
    lab.push(1, retries=1)
    slot = lab.slot()
    job = slot.must_claim().job
    slot.finish(CRASHED)
    assert lab.store.remove([job])["removed"] == 1
    lab.hasten()
    assert slot.claim() is None
    assert lab.store.audit() == []
