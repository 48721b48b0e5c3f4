"""What becomes of a job that failed: the policy of its sweep, GPUs that are too small, nodes that are excluded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from exs.model import After, Failure, JobState, Outcome, Spec
from exs.store import keys
from store.actors import CRASHED, DONE, SPEC, Lab, Slot

S = JobState


def failing(**how: Any) -> Outcome:
    return replace(CRASHED, **how)


def run_out(lab: Lab, slot: Slot, outcome: Outcome, most: int = 20) -> int:
    """Claim and fail the one job until it is over or nobody gets it; returns the attempts."""
    for attempts in range(most):
        if slot.claim() is None:
            lab.hasten()
            if slot.claim() is None:
                return attempts
        slot.finish(outcome)
    raise AssertionError(f"it still runs after {most} attempts")


@pytest.mark.parametrize(
    ("retries", "how", "attempts", "state"),
    [
        (2, {}, 3, S.CRASHED),
        (0, {}, 1, S.CRASHED),
        (5, {"after": After.FAIL.value, "kind": "exit 3"}, 1, S.CRASHED),
        (0, {"after": After.RETRY.value, "again": 2, "kind": "oom"}, 3, S.CRASHED),
        (5, {"after": After.RETRY.value, "again": 0, "kind": "oom"}, 1, S.CRASHED),
        (2, {"after": After.RETRY.value, "kind": "error"}, 3, S.CRASHED),
        (0, {"after": After.REQUEUE.value, "kind": "error"}, 3, S.CRASHED),  # the crash budget
        (0, {"after": After.REQUEUE.value, "again": 4, "kind": "error"}, 5, S.CRASHED),
    ],
)
def test_how_often_a_job_runs(lab: Lab, retries: int, how: dict[str, Any], attempts: int, state: JobState) -> None:
    lab.push(1, retries=retries)
    assert run_out(lab, lab.slot(), failing(**how)) == attempts
    (row,) = lab.store.jobs("e")
    assert (row.state, row.attempts) == (state, attempts)
    assert lab.store.audit() == []


def test_each_kind_of_failure_is_counted_by_itself(lab: Lab) -> None:
    lab.push(1, retries=1)
    slot = lab.slot()
    kinds: list[dict[str, Any]] = [
        {"again": 1, "after": "retry", "kind": "oom"},
        {"again": 1, "after": "retry", "kind": "exit 75"},
        {},
    ]
    for how in kinds:
        slot.must_claim()
        slot.finish(failing(**how))
        lab.hasten()
    slot.must_claim()
    slot.finish(failing(**kinds[0]))
    assert lab.states() == ["CRASHED"]
    assert lab.store.job(lab.ids()[0]).attempts == 4


def test_what_is_queued_again_by_a_person_has_everything_anew(lab: Lab) -> None:
    lab.push(1)
    slot = lab.slot()
    how = failing(after="retry", again=1, kind="oom")
    assert run_out(lab, slot, how) == 2
    lab.store.retry(lab.ids())
    assert run_out(lab, slot, how) == 2


def test_a_pause_keeps_the_job_and_its_place(lab: Lab) -> None:
    """The disk is full, say: nothing is lost, and a person goes on when it is not."""
    lab.push(1, 2, retries=0)
    slot = lab.slot()
    first = slot.must_claim().job
    slot.finish(failing(after="pause", kind="exit 28", detail="exit code 28"))
    row = lab.store.experiment("e")
    assert row.paused and row.paused_by == "on_failure of exit 28: job e/0: exit code 28"
    assert lab.states() == ["QUEUED", "QUEUED"] and slot.claim() is None
    lab.store.activate_experiment("e")
    assert slot.must_claim().job == first
    assert lab.store.job(first).attempts == 2 and lab.store.audit() == []


@pytest.mark.parametrize(
    ("rule", "states"),
    [
        (["fail", None], ["CRASHED"]),
        (["requeue", 1], ["QUEUED", "CRASHED"]),
        (["requeue", None], ["QUEUED", "QUEUED", "CRASHED"]),
        (["pause", None], ["QUEUED"]),
    ],
)
def test_a_loss_has_a_policy_too(lab: Lab, rule: list[Any], states: list[str]) -> None:
    lab.push(1, spec=replace(SPEC, on_failure={"lost": rule}))
    slot = lab.slot()
    for state in states:
        lab.hasten()
        slot.must_claim()
        lab.store.slot_dead(["s1"], "killed")
        assert lab.states() == [state]
    assert lab.store.experiment("e").paused is (rule[0] == "pause")
    (row,) = lab.store.jobs("e")
    if states[-1] == "CRASHED":
        assert row.failure == ("lost" if rule[0] == "fail" else "poison")
    assert lab.store.audit() == []


def test_a_policy_of_the_last_push_counts(lab: Lab) -> None:
    lab.push(1, spec=replace(SPEC, on_failure={"lost": ["fail", None]}))
    lab.push(1, 2)
    lab.slot().must_claim()
    lab.store.slot_dead(["s1"], "killed")
    assert lab.states() == ["QUEUED", "QUEUED"]


def test_poison_may_pause(lab: Lab) -> None:
    lab.push(1, 2, spec=replace(SPEC, on_failure={"poison": ["pause", None]}))
    slot = lab.slot()
    job = slot.must_claim().job
    for _ in range(3):
        if slot.held is None:
            lab.hasten()
            assert slot.must_claim().job == job
        lab.store.slot_dead(["s1"], "killed")
        slot.held = None
    assert lab.states() == ["CRASHED", "QUEUED"]
    assert lab.store.experiment("e").paused_by.startswith("on_failure of poison: job e/0")


def test_a_failed_gpu_is_no_failure_of_the_job(lab: Lab) -> None:
    lab.push(1)
    lab.slot().must_claim()
    lab.store.slot_dead(["s1"], "GPU 0 fell off the bus", Failure.GPU)
    (row,) = lab.store.jobs("e")
    assert (row.state, row.failure, row.lost) == (S.QUEUED, "gpu", 1)


# ------------------------------------------------------------ elsewhere

GIB = 1 << 30
TOO_SMALL = replace(
    CRASHED, failure=Failure.OOM, detail="out of memory: CUDA out of memory, exit code 1", device_memory=True
)


def gpu_slot(lab: Lab, name: str, gib: int, node: str = "") -> Slot:
    """A slot of one GPU that lives: RQ's registration lists it in its pool."""
    slot = lab.slot(name, gpus=("0",), gpu_memory=gib * GIB, node=node or f"{name}-node")
    key = keys.RQ_WORKER + name
    assert slot.claim() is None
    lab.client.hset(key, mapping={"exs_memory": gib * GIB})
    lab.client.sadd(f"{keys.RQ_WORKERS}:default", key)
    return slot


def test_a_job_does_not_come_back_to_a_node_that_is_excluded(lab: Lab) -> None:
    lab.push(1, retries=1)
    bad, beside, other = lab.slot("a", node="n1"), lab.slot("b", node="n1"), lab.slot("c", node="n2")
    job = bad.must_claim().job
    bad.finish(failing(exclude_node=True, detail="exit code 3; not again on this node (log policy ECC: ECC error)"))
    lab.hasten()
    assert bad.claim() is None and beside.claim() is None
    row = lab.store.job(job)
    assert row.excluded == ("n1",) and row.state is S.QUEUED
    assert other.must_claim().job == job
    other.finish(DONE)
    assert lab.states() == ["DONE"] and lab.store.audit() == []


def test_who_retries_a_job_lets_it_run_anywhere_again(lab: Lab) -> None:
    lab.push(1, retries=1)
    bad, other = lab.slot("a", node="n1"), lab.slot("c", node="n2")
    bad.must_claim()
    bad.finish(failing(exclude_node=True))
    lab.hasten()
    other.must_claim()
    other.finish(CRASHED)
    lab.store.retry(lab.ids())
    assert bad.claim() is not None and lab.store.job(lab.ids()[0]).excluded == ()


def test_who_ran_elsewhere_often_enough_says_so(lab: Lab) -> None:
    lab.push(1)
    how = failing(
        after="requeue", kind="error", exclude_node=True, detail="exit code 3; runs elsewhere (on_failure: error)"
    )
    for name in ("n1", "n2", "n3"):
        slot = lab.slot(name, node=name)
        slot.must_claim()
        slot.finish(how)
        lab.hasten()
    (row,) = lab.store.jobs("e")
    assert row.state is S.CRASHED and row.detail == how.detail + "; given up after 3 runs"


@pytest.mark.parametrize(("rule", "state"), [("fail", S.CRASHED), ("pause", S.QUEUED)])
def test_a_failed_gpu_has_a_policy_too(lab: Lab, rule: str, state: JobState) -> None:
    lab.push(1, spec=replace(SPEC, on_failure={"gpu": [rule, None]}))
    slot = lab.slot()
    slot.must_claim()
    lab.store.slot_dead(["s1"], "killed")  # a loss, which it does not speak of
    assert lab.states() == ["QUEUED"]
    slot.must_claim()
    lab.store.slot_dead(["s1"], "GPU 0 fell off the bus", Failure.GPU)
    assert lab.states() == [state.value]
    assert lab.store.experiment("e").paused is (rule == "pause")


def test_two_nodes_can_be_excluded(lab: Lab) -> None:
    lab.push(1, retries=5)
    one, two, three = (lab.slot(name, node=name) for name in ("n1", "n2", "n3"))
    for slot in (one, two):
        slot.must_claim()
        slot.finish(failing(exclude_node=True))
        lab.hasten()
    assert one.claim() is None and two.claim() is None
    assert lab.store.job(lab.ids()[0]).excluded == ("n1", "n2")
    assert three.claim() is not None


def test_requeue_runs_it_on_another_node_and_costs_no_retry(lab: Lab) -> None:
    lab.push(1, retries=0)
    one, two = (lab.slot(name, node=name) for name in ("n1", "n2"))
    one.must_claim()
    one.finish(failing(after="requeue", kind="error", exclude_node=True))
    assert one.claim() is None and two.claim() is not None


def test_a_gpu_that_is_too_small_sends_a_job_to_a_larger_one_once(lab: Lab) -> None:
    small, same, large = gpu_slot(lab, "s", 11), gpu_slot(lab, "t", 11), gpu_slot(lab, "l", 24)
    larger = gpu_slot(lab, "x", 80)
    lab.push(1, retries=0)
    job = small.must_claim().job
    small.finish(TOO_SMALL)
    row = lab.store.job(job)
    assert row.state is S.QUEUED and row.detail.endswith("; goes to a slot with more than 11 GiB")
    assert row.least_memory == 11 * GIB + 1
    assert small.claim() is None and same.claim() is None
    assert large.must_claim().job == job
    large.finish(TOO_SMALL)  # once: its retries decide now
    assert lab.states() == ["CRASHED"] and larger.claim() is None
    assert lab.store.audit() == []


def test_a_retry_is_not_spent_on_a_gpu_that_is_too_small(lab: Lab) -> None:
    small, large = gpu_slot(lab, "s", 11), gpu_slot(lab, "l", 24)
    lab.push(1, retries=1)
    small.must_claim()
    small.finish(TOO_SMALL)
    for _ in range(2):
        large.must_claim()
        large.finish(CRASHED)
        lab.hasten()
    assert lab.states() == ["CRASHED"]


@pytest.mark.parametrize("why", ["no larger one lives", "its sweep says fail", "it was the machine's memory"])
def test_it_stays_where_it_is(lab: Lab, why: str) -> None:
    small = gpu_slot(lab, "s", 11)
    if why != "no larger one lives":
        gpu_slot(lab, "l", 24)
    lab.push(1, retries=0)
    small.must_claim()
    how = {"its sweep says fail": {"after": "fail"}, "it was the machine's memory": {"device_memory": False}}
    small.finish(replace(TOO_SMALL, **how.get(why, {})))
    assert lab.states() == ["CRASHED"]


def test_an_older_sweep_has_the_digest_that_it_had(lab: Lab) -> None:
    """What is new in a Spec is stored only where it is used: older workers run the others."""
    from exs.store.records import spec_text

    assert "on_failure" not in spec_text(SPEC)[0] and "log_policies" not in spec_text(SPEC)[0]
    policies = Spec(SPEC.commands, "/tmp", on_failure={"error": ["fail", None]})
    lab.push(1, spec=policies)
    claim = lab.slot().must_claim()
    assert lab.store.spec("e", claim.spec).on_failure == {"error": ["fail", None]}


@pytest.mark.parametrize("outcome", [DONE, CRASHED])
def test_a_finished_slot_is_free(lab: Lab, outcome: Outcome) -> None:
    lab.push(1, 2)
    slot = lab.slot()
    slot.must_claim()
    slot.finish(outcome)
    (row,) = lab.store.workers()
    assert (row.state, row.done, row.failed) == ("idle", outcome is DONE, outcome is CRASHED)
    assert lab.client.hget(keys.EXPERIMENT + "e", "running") == "0"


def test_a_retry_of_many_looks_for_their_queue_once(lab: Lab) -> None:
    lab.push(*range(20))
    jobs = lab.ids()
    lab.store.cancel(jobs)
    lab.client.config_resetstat()
    assert lab.store._call("retry", 0, "", *(f"{job} *|||not=a" for job in jobs))[0] == 20
    assert lab.client.info("commandstats").get("cmdstat_hgetall", {"calls": 0})["calls"] < 5
    assert {lab.client.hget(keys.RQ_JOB + job, "origin") for job in jobs} == {"e~2"}
    assert lab.store.audit() == []
