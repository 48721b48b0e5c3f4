"""The two-sided breaker and the canary: what they stop, what they leave alone, and what they give back."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from exs.model import FORCED, JobState, Outcome
from exs.settings import Limits, Settings
from exs.store import keys
from exs.store.store import open_store
from store.actors import CRASHED, DONE, ME, SPEC, Lab, Slot, points

S = JobState
NO_MODULE = replace(CRASHED, alike="error: exit code 1: ModuleNotFoundError: No module named 'foo'", seconds=1.0)
NO_DISK = replace(CRASHED, alike="error: exit code 1: OSError: No space left on device", seconds=1.0)


def slots(lab: Lab, count: int) -> list[Slot]:
    return [lab.slot(f"s{n}") for n in range(count)]


def fail(slot: Slot, outcome: Outcome = NO_MODULE) -> str:
    job = slot.must_claim().job
    slot.finish(outcome)
    return job


def register(lab: Lab, *names: str) -> list[Slot]:
    """Slots that live: they are in RQ's list of their pool, have asked for work and had none."""
    found = [lab.slot(name) for name in names]
    for slot in found:
        assert slot.claim() is None
        lab.client.sadd(f"{keys.RQ_WORKERS}:default", keys.RQ_WORKER + slot.offer.slot)
    return found


def test_the_same_failure_on_three_slots_pauses(lab: Lab) -> None:
    lab.push(*range(10))
    for slot in slots(lab, 3):
        fail(slot)
    row = lab.store.experiment("e")
    assert row.paused
    assert row.paused_by == f"breaker: 3 jobs on 3 slots failed alike and none succeeded: {NO_MODULE.alike}"
    assert lab.slot("s9").claim() is None
    assert lab.states() == ["CRASHED"] * 3 + ["QUEUED"] * 7
    assert lab.store.audit() == []


def test_other_failures_do_not(lab: Lab) -> None:
    lab.push(*range(10))
    for slot, outcome in zip(slots(lab, 3), (NO_MODULE, NO_DISK, NO_MODULE), strict=True):
        fail(slot, outcome)
    assert not lab.store.experiment("e").paused


def test_one_job_that_fails_everywhere_does_not(lab: Lab) -> None:
    """Its retries are its own business."""
    lab.push(*range(2), retries=5)
    good = lab.slot("good")
    good.must_claim()  # the other one runs
    for slot in slots(lab, 4):
        fail(slot)
        lab.hasten()
    assert not lab.store.experiment("e").paused


def test_a_success_in_between_starts_anew(lab: Lab) -> None:
    lab.push(*range(10))
    one, two, three = slots(lab, 3)
    fail(one)
    fail(two)
    three.must_claim()
    three.finish(DONE)
    fail(three)
    assert not lab.store.experiment("e").paused


def test_one_slot_burns_five_jobs_at_most(lab: Lab) -> None:
    lab.push(*range(1000))
    slot = lab.slot("only")
    for _ in range(5):
        assert not lab.store.experiment("e").paused
        fail(slot)
    row = lab.store.experiment("e")
    assert row.paused_by.startswith("breaker: 5 jobs on one slot failed alike and none succeeded: ")


def test_once_some_have_succeeded_it_takes_twenty(lab: Lab) -> None:
    """A corner of a grid that fails must not stop the rest of it."""
    lab.push(*range(100))
    one, two, three = slots(lab, 3)
    one.must_claim()
    one.finish(DONE)
    alike = replace(NO_MODULE, seconds=3600.0)  # no slot is to blame
    for n in range(20):
        assert not lab.store.experiment("e").paused
        fail((one, two, three)[n % 3], alike)
    assert "20 jobs on 3 slots failed alike and none succeeded meanwhile" in lab.store.experiment("e").paused_by


def test_who_activates_it_has_a_new_start(lab: Lab) -> None:
    lab.push(*range(10))
    for slot in slots(lab, 3):
        fail(slot)
    lab.store.activate_experiment("e")
    fail(lab.slot("s0"))
    fail(lab.slot("s1"))
    assert not lab.store.experiment("e").paused
    fail(lab.slot("s2"))
    assert lab.store.experiment("e").paused


def test_it_can_be_switched_off(lab: Lab) -> None:
    lab.push(*range(10), breaker=False)
    for slot in slots(lab, 8):
        fail(slot)
    assert not lab.store.experiment("e").paused
    lab.push(*range(10))
    for slot in slots(lab, 2):
        fail(slot)
    assert not lab.store.experiment("e").paused  # nothing is left that a pause would save


# ------------------------------------------------------------ slots


def bad_slot(lab: Lab) -> tuple[Slot, Slot, list[str]]:
    """A slot that failed three jobs at once, of an experiment of which one has succeeded on another."""
    bad, good = register(lab, "bad@01", "good@02")
    lab.push(*range(10))
    good.must_claim()
    good.finish(DONE)
    return bad, good, [fail(bad) for _ in range(3)]


def test_a_slot_on_which_different_jobs_fail_is_quarantined(lab: Lab) -> None:
    bad, good, failed = bad_slot(lab)
    assert bad.claim() is None
    assert [lab.state(job) for job in failed] == [S.QUEUED] * 3
    row = next(row for row in lab.store.workers() if row.name == "bad@01")
    assert "3 jobs in a row failed here" in str(lab.client.hget(keys.DRAINED, "bad")), row
    assert not lab.store.experiment("e").paused
    for job in failed:  # unpunished, and at their places
        assert good.must_claim().job == job
        good.finish(DONE)
    assert lab.store.audit() == []


def test_a_slot_whose_jobs_fail_elsewhere_too_is_given_back(lab: Lab) -> None:
    bad, good, failed = bad_slot(lab)
    assert fail(good) == failed[0]
    assert lab.client.hget(keys.DRAINED, "bad") is None
    for _ in range(4):  # and it is not blamed for the same again
        fail(bad)
    assert lab.client.hget(keys.DRAINED, "bad") is None
    assert bad.claim() is not None


def test_the_only_slot_is_not_quarantined(lab: Lab) -> None:
    (slot,) = register(lab, "only@01")
    lab.push(*range(10))
    slot.must_claim()
    slot.finish(DONE)
    for _ in range(4):
        fail(slot)
    assert lab.client.hlen(keys.DRAINED) == 0 and slot.claim() is not None


def test_a_slot_that_fails_while_others_are_at_work_is_quarantined(lab: Lab) -> None:
    """Theirs take hours: nothing has succeeded yet, and nothing else fails."""
    bad, good = register(lab, "bad@01", "good@02")
    lab.push(*range(10))
    lab.began(good.must_claim().job, 30.0)
    for _ in range(3):
        fail(bad)
    assert lab.client.hget(keys.DRAINED, "bad") and not lab.store.experiment("e").paused


def test_a_sweep_that_fails_everywhere_quarantines_no_slot(lab: Lab) -> None:
    """Each failure has words of its own, and each job has run somewhere for longer than another took to fail."""
    found = register(lab, *(f"s{n}@0{n}" for n in range(4)))
    lab.push(*range(40))
    for turn in range(4):
        held = [slot.must_claim().job for slot in found]
        for job in held:
            lab.began(job, 30.0)
        for n, slot in enumerate(found):
            slot.finish(replace(CRASHED, alike=f"error: exit code 1: word {turn}-{n}", seconds=1.0))
    assert lab.client.hlen(keys.DRAINED) == 0


def test_a_job_that_fails_in_other_words_elsewhere_gives_a_slot_back_too_and_is_blamed_on_none(lab: Lab) -> None:
    _, good, failed = bad_slot(lab)
    words = (replace(NO_MODULE, alike=f"error: exit code 1: {n}") for n in range(9))
    assert [fail(good, next(words)) for _ in range(3)] == failed
    assert lab.client.hlen(keys.DRAINED) == 0
    assert [lab.state(job) for job in failed] == [S.CRASHED] * 3


def test_a_quarantine_ends_by_itself(lab: Lab) -> None:
    bad, _, _ = bad_slot(lab)
    drain = json.loads(lab.client.hget(keys.DRAINED, "bad"))
    assert (drain["kind"], drain["until"] - drain["at"]) == ("quarantine", 1_800_000)
    lab.client.hset(keys.DRAINED, "bad", json.dumps({**drain, "until": drain["at"]}))
    assert bad.claim() is not None


def test_a_person_s_drain_stays_a_person_s(lab: Lab) -> None:
    bad, good = register(lab, "bad@01", "good@02")
    lab.push(*range(10))
    good.must_claim()
    good.finish(DONE)
    fail(bad)
    fail(bad)
    bad.must_claim()
    lab.store.drain(["bad"], by="ann", why="repair")
    bad.finish(NO_MODULE)
    assert json.loads(lab.client.hget(keys.DRAINED, "bad"))["by"] == "ann"


def test_a_success_on_a_slot_clears_it(lab: Lab) -> None:
    bad, good = register(lab, "bad@01", "good@02")
    lab.push(*range(20))
    good.must_claim()
    good.finish(DONE)
    for _ in range(3):
        fail(bad)
        fail(bad)
        bad.must_claim()
        bad.finish(DONE)
    assert lab.client.hlen(keys.DRAINED) == 0


def test_slow_failures_are_the_jobs_own(lab: Lab) -> None:
    bad, good = register(lab, "bad@01", "good@02")
    lab.push(*range(20))
    good.must_claim()
    good.finish(DONE)
    for _ in range(5):
        fail(bad, replace(NO_MODULE, seconds=600.0))
    assert lab.client.hlen(keys.DRAINED) == 0


def test_jobs_of_different_experiments_count_together(lab: Lab) -> None:
    bad, good = register(lab, "bad@01", "good@02")
    for name in ("a", "b", "c"):
        lab.push(*range(5), name=name)
        good.must_claim()
        good.finish(DONE)
        lab.store.pause_experiment(name, "test")
    for name in ("a", "b", "c"):
        lab.store.activate_experiment(name)
        fail(bad, NO_DISK)
        lab.store.pause_experiment(name, "test")
    assert lab.client.hget(keys.DRAINED, "bad")
    assert [lab.store.experiment(name).counts[S.CRASHED] for name in "abc"] == [0, 0, 0]


# ------------------------------------------------------------ canary


def test_the_canary_goes_first(lab: Lab) -> None:
    lab.push(*range(5), canary=1)
    one, two = slots(lab, 2)
    first = one.must_claim()
    assert first.index == 0 and two.claim() is None
    one.finish(DONE)
    assert {one.must_claim().index, two.must_claim().index} == {1, 2}
    assert lab.store.audit() == []


def test_several_canaries_run_together_and_all_must_succeed(lab: Lab) -> None:
    lab.push(*range(9), canary=3)
    found = slots(lab, 5)
    assert [slot.claim() is not None for slot in found] == [True] * 3 + [False] * 2
    found[0].finish(DONE)
    assert found[0].claim() is None
    found[1].finish(DONE)
    found[2].finish(DONE)
    assert all(slot.claim() is not None for slot in found)


@pytest.mark.parametrize("batch", [3, 500])
def test_what_runs_again_has_its_canary_too(lab: Lab, queue_url: str, batch: int) -> None:
    store = open_store(queue_url, Settings(limits=Limits(push_batch=batch)))
    one, two = slots(lab, 2)
    lab.push(*range(5))
    for outcome in (DONE, DONE, DONE, CRASHED, CRASHED):
        one.must_claim()
        one.finish(outcome)
    assert store.push("e", SPEC, points(*range(5)), ME, canary=1).forced == 0
    assert lab.push(5).new == 1 and one.must_claim() and lab.push(6).new == 1 and two.must_claim()
    one.finish(DONE)
    two.finish(DONE)
    assert store.push("e", SPEC, points(*range(5)), ME, canary=1, again=FORCED).forced == 3
    assert one.must_claim().index == 0 and two.claim() is None
    one.finish(DONE)
    assert two.must_claim().index == 1 and one.must_claim().index == 2
    assert lab.store.audit() == []


def test_a_canary_that_fails_pauses_the_rest(lab: Lab) -> None:
    lab.push(*range(5), canary=1)
    one, two = slots(lab, 2)
    fail(one)
    row = lab.store.experiment("e")
    assert row.paused and row.paused_by == "canary: job e/0 failed: exit code 3"
    assert two.claim() is None
    lab.store.retry([lab.ids()[0]])
    lab.store.activate_experiment("e")
    assert one.must_claim().index == 0 and two.claim() is None
    one.finish(DONE)
    assert two.must_claim().index == 1


def test_a_canary_with_retries_has_them_before_others_run(lab: Lab) -> None:
    lab.push(*range(5), canary=1, retries=2)
    one, two = slots(lab, 2)
    for _ in range(3):
        assert one.must_claim().index == 0 and two.claim() is None
        one.finish(NO_MODULE)
    assert lab.store.experiment("e").paused


def test_a_canary_that_is_lost_runs_again(lab: Lab) -> None:
    lab.push(*range(5), canary=1)
    one, two = slots(lab, 2)
    one.must_claim()
    lab.store.slot_dead(["s0"], "killed")
    assert two.must_claim().index == 0 and one.claim() is None


@pytest.mark.parametrize("limit", [None, 2])
def test_max_running_holds_afterwards(lab: Lab, limit: int | None) -> None:
    lab.push(*range(9), canary=1, max_running=limit)
    found = slots(lab, 4)
    found[0].must_claim()
    found[0].finish(DONE)
    assert sum(slot.claim() is not None for slot in found) == (limit or 4)


def test_a_push_that_brings_nothing_new_needs_no_canary(lab: Lab) -> None:
    spec = replace(SPEC, cwd="/tmp")
    lab.push(*range(3), canary=1, spec=spec)
    one, two = slots(lab, 2)
    one.must_claim()
    one.finish(DONE)
    lab.push(*range(3), canary=1, spec=spec)
    assert one.claim() is not None and two.claim() is not None
