"""Claim, renew, finish, release: who holds a job, in which order, and that nobody else can end it."""

from __future__ import annotations

import pytest

from exs.model import Fenced, JobState, Offer, Outcome, Resources
from exs.store import keys
from exs.store.push import new_id
from store.actors import CANCELED, CRASHED, DONE, Lab


def test_a_claim_repeated_after_a_lost_reply_is_the_same_job(lab: Lab) -> None:
    lab.push(1, 2)
    first = lab.slot()
    attempt = new_id()
    claim = first.claim(attempt)
    assert claim is not None
    assert first.claim(attempt) == claim
    assert lab.states() == ["RUNNING", "QUEUED"]
    assert lab.store.audit() == []


def test_a_claim_carries_what_was_pushed(lab: Lab) -> None:
    lab.push(7, resources=Resources(gpus=1))
    claim = lab.slot(gpus=("0",)).must_claim()
    assert (claim.experiment, claim.index, claim.number, dict(claim.params)) == ("e", 0, 1, {"i": 7})
    assert lab.store.spec("e", claim.spec).cwd == "/tmp"
    assert claim.problem == ""


def test_finishing_twice_is_accepted_once(lab: Lab) -> None:
    lab.push(1)
    slot = lab.slot()
    claim = slot.must_claim()
    assert [slot.finish(), slot.finish()] == [Fenced.OURS, Fenced.OURS]
    row = lab.store.job(claim.job)
    assert (row.state, row.result, row.exit_code) == (JobState.DONE, {"loss": 0.5}, 0)
    assert slot.finish(CRASHED) is Fenced.OURS  # the same fence again: the same answer, and nothing is changed
    assert lab.state(claim.job) is JobState.DONE
    assert lab.store.audit() == []


def test_a_frozen_slot_that_thaws_is_fenced_out(lab: Lab) -> None:
    """F14: slot 1 freezes, is lost, slot 2 runs the job; then slot 1 goes on as if nothing had happened."""
    lab.push(1)
    frozen, other = lab.slot("s1"), lab.slot("s2")
    job = frozen.must_claim().job
    lab.silence(job, 10_000)
    assert lab.reap() == 1
    assert other.must_claim().job == job
    assert frozen.renew() == (Fenced.FENCED, "")
    assert frozen.finish(DONE) is Fenced.FENCED
    assert frozen.release() is Fenced.FENCED
    assert lab.state(job) is JobState.RUNNING
    assert other.finish(CRASHED) is Fenced.OURS
    assert frozen.finish(DONE) is Fenced.FENCED
    assert lab.state(job) is JobState.CRASHED
    assert lab.store.audit() == []


def test_the_outcome_of_a_removed_job_is_gone(lab: Lab) -> None:
    lab.push(1)
    slot = lab.slot()
    job = slot.must_claim().job
    slot.release()
    assert lab.store.remove([job])["removed"] == 1
    assert slot.finish() is Fenced.GONE
    assert slot.renew()[0] is Fenced.GONE
    assert not lab.client.exists(keys.RQ_JOB + job)


def test_an_outcome_that_is_no_end_is_refused_and_changes_nothing(lab: Lab) -> None:
    lab.push(1)
    slot = lab.slot()
    slot.must_claim()
    with pytest.raises(Exception, match="cannot become QUEUED"):
        slot.finish(Outcome(JobState.QUEUED))
    assert slot.renew()[0] is Fenced.OURS
    assert lab.store.audit() == []


def test_a_released_job_returns_to_its_place_unpunished(lab: Lab) -> None:
    lab.push(1, 2, retries=1)
    slot = lab.slot()
    first = slot.must_claim()
    assert [slot.release(), slot.release()] == [Fenced.OURS, Fenced.OURS]
    again = lab.slot("s2").must_claim()
    assert (again.job, again.number) == (first.job, 2)
    row = lab.store.job(first.job)
    assert (row.lost, [attempt.detail for attempt in row.history]) == (0, ["asked to stop"])


def test_a_crash_with_retries_left_waits_and_runs_again(lab: Lab) -> None:
    lab.push(1, retries=1)
    slot = lab.slot()
    job = slot.must_claim().job
    slot.finish(CRASHED)
    waiting = lab.store.job(job)
    assert (waiting.state, waiting.failure, waiting.exit_code) == (JobState.QUEUED, "error", 3)
    assert 0 < waiting.retry_at - lab.store.now() <= lab.store.settings.timing.retry_wait
    assert slot.claim() is None
    assert lab.store.audit() == []
    lab.hasten()
    assert slot.must_claim().number == 2
    slot.finish(CRASHED)
    row = lab.store.job(job)
    assert row.state is JobState.CRASHED
    assert [attempt.number for attempt in row.history] == [1]
    assert lab.store.audit() == []


def test_each_wait_for_a_retry_is_twice_the_last_up_to_a_limit(lab: Lab) -> None:
    lab.push(1, retries=8)
    slot = lab.slot()
    waits = []
    for _ in range(8):
        job = slot.must_claim().job
        slot.finish(CRASHED)
        waits.append(round(lab.store.job(job).retry_at - lab.store.now()))
        lab.hasten()
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_history_has_each_attempt_once_however_it_ended(lab: Lab) -> None:
    lab.push(1, retries=1)
    slot = lab.slot()
    job = slot.must_claim().job
    slot.release()
    slot.must_claim()
    lab.store.slot_dead(["s1"], "killed")
    slot.must_claim()
    slot.finish(CRASHED)
    lab.store.cancel([job])  # while it waits for its retry
    lab.store.retry([job])
    slot.must_claim()
    slot.finish(DONE)
    row = lab.store.job(job)
    assert [attempt.number for attempt in row.history] == [1, 2, 3]
    assert [attempt.failure for attempt in row.history] == ["", "lost", "error"]
    assert (row.state, row.attempts) == (JobState.DONE, 4)


def test_history_is_bounded(lab: Lab) -> None:
    lab.push(1)
    slot = lab.slot()
    for _ in range(keys.HISTORY + 20):
        job = slot.must_claim().job
        slot.release()
    history = lab.store.job(job).history
    assert len(history) == keys.HISTORY
    assert history[-1].number == keys.HISTORY + 20


def test_nothing_of_an_earlier_attempt_is_shown_of_a_running_one(lab: Lab) -> None:
    lab.push(1)
    slot = lab.slot()
    job = slot.must_claim().job
    slot.finish(
        Outcome(JobState.CRASHED, detail="exit code 3", exit_code=3, directory="/d", log="/d/l", max_rss=9, tail="x")
    )
    lab.store.retry([job])
    slot.must_claim()
    row = lab.store.job(job)
    assert (row.detail, row.exit_code, row.directory, row.log, row.max_rss, row.tail) == ("", None, "", "", 0, "")
    assert row.history[0].directory == "/d"


class TestOrder:
    def test_jobs_of_one_experiment_run_by_index(self, lab: Lab) -> None:
        lab.push(*range(6))
        slot = lab.slot()
        taken = []
        for _ in range(6):
            taken.append(slot.must_claim().index)
            slot.finish()
        assert taken == list(range(6))

    def test_priority_goes_before_age(self, lab: Lab) -> None:
        lab.push(1, name="old")
        lab.push(2, name="urgent", priority=1)
        lab.push(3, name="idle", priority=99)
        slot = lab.slot()
        assert [slot.must_claim().experiment for _ in range(3)] == ["urgent", "old", "idle"]

    def test_the_lowest_index_over_the_shapes_of_an_experiment(self, lab: Lab) -> None:
        lab.push(0, 1, resources=Resources(gpus=1))
        lab.push(2, 3, resources=Resources(gpus=0))
        lab.push(4, resources=Resources(gpus=1))
        gpu, cpu = lab.slot("g", gpus=("0",)), lab.slot("c")
        assert cpu.must_claim().index == 2
        assert [gpu.must_claim().index for _ in range(3)] == [0, 1, 4]
        assert cpu.must_claim().index == 3
        assert gpu.claim() is None
        assert lab.store.audit() == []

    def test_only_one_experiment_is_claimed_from(self, lab: Lab) -> None:
        lab.push(1, name="other", priority=1)
        lab.push(2, 3, name="mine")
        slot = lab.slot(only="mine")
        assert [slot.must_claim().experiment for _ in range(2)] == ["mine", "mine"]
        assert slot.claim() is None
        assert lab.states("other") == ["QUEUED"]

    def test_pools_are_apart(self, lab: Lab) -> None:
        lab.push(1, name="here", pool="a100")
        assert lab.slot("s1").claim() is None
        assert lab.slot("s2", pools=("default", "a100")).must_claim().experiment == "here"

    def test_a_push_that_names_another_pool_moves_what_waits(self, lab: Lab) -> None:
        lab.push(1)
        lab.push(1, 2, pool="a100")
        assert lab.slot("s1").claim() is None
        assert lab.slot("s2", pools=("a100",)).must_claim().index == 0
        assert lab.store.experiment("e").pool == "a100"


@pytest.mark.parametrize(
    ("wants", "fits"),
    [
        (Resources(), {"cpu", "gpu0", "pair", "uuid"}),
        (Resources(gpus=0), {"cpu"}),
        (Resources(gpus=1), {"gpu0", "pair", "uuid"}),
        (Resources(gpus=2), {"pair"}),
        (Resources(gpus=1, gpu_memory=1 << 35), {"pair"}),
        (Resources(gpus=1, indices=("0", "3")), {"gpu0"}),
        (Resources(indices=("0", "1")), {"gpu0", "pair"}),
        (Resources(indices=("MIG-GPU-1/2/3",)), {"uuid"}),
    ],
)
def test_a_job_goes_only_where_it_fits(lab: Lab, wants: Resources, fits: set[str]) -> None:
    lab.push(1, resources=wants)
    offers = {
        "cpu": {},
        "gpu0": {"gpus": ("0",), "gpu_memory": 1 << 34},
        "pair": {"gpus": ("0", "1"), "gpu_memory": 1 << 36},
        "uuid": {"gpus": ("MIG-GPU-1/2/3",), "gpu_memory": 1 << 33},
    }
    took = set()
    for name, offer in offers.items():
        slot = lab.slot(name, **offer)
        if slot.claim():
            took.add(name)
            slot.release()
    assert took == fits


class TestMaxRunning:
    def test_is_kept_over_several_queues(self, lab: Lab) -> None:
        lab.push(0, 1, resources=Resources(gpus=1), max_running=2)
        lab.push(2, 3, resources=Resources(gpus=0), max_running=2)
        gpu, cpu, more = lab.slot("g", gpus=("0",)), lab.slot("c"), lab.slot("m", gpus=("1",))
        gpu.must_claim()
        cpu.must_claim()
        assert more.claim() is None
        cpu.finish()
        assert more.must_claim().index == 1
        assert cpu.claim() is None

    @pytest.mark.parametrize("end", ["finish", "release", "lose", "cancel"])
    def test_room_is_made_by_every_end(self, lab: Lab, end: str) -> None:
        lab.push(0, 1, 2, max_running=1)
        slot, other = lab.slot("s1"), lab.slot("s2")
        job = slot.must_claim().job
        assert other.claim() is None
        if end == "finish":
            slot.finish()
        elif end == "release":
            slot.release()
        elif end == "lose":
            lab.store.slot_dead(["s1"], "killed")
        else:
            lab.store.cancel([job])
            slot.finish(CANCELED)
        assert other.claim() is not None
        assert lab.slot("s3").claim() is None
        assert lab.store.audit() == []


class TestWakeUp:
    def tokens(self, lab: Lab) -> set[str]:
        return {key.removeprefix(keys.WAKE) for key in lab.client.keys(keys.WAKE + "*")}

    def test_a_push_wakes_no_more_slots_than_it_has_jobs(self, lab: Lab) -> None:
        for name in ("s1", "s2", "s3"):
            assert lab.slot(name).claim() is None
        lab.push(1, 2)
        assert len(self.tokens(lab)) == 2
        assert all(0 < lab.client.ttl(keys.WAKE + name) <= keys.WAKE_TTL for name in self.tokens(lab))

    def test_only_slots_that_fit_are_woken(self, lab: Lab) -> None:
        lab.slot("cpu").claim()
        lab.slot("other", only="other").claim()
        lab.slot("gpu", gpus=("0",)).claim()
        lab.push(1, 2, resources=Resources(gpus=1))
        assert self.tokens(lab) == {"gpu"}

    def test_no_token_is_left_for_a_slot_that_went_silent(self, lab: Lab) -> None:
        lab.slot("silent").claim()
        idle = lab.client.hget(keys.IDLE + "default", "silent")
        long_ago = "|".join([*idle.split("|")[:2], "1000", ""])
        lab.client.hset(keys.IDLE + "default", "silent", long_ago)
        lab.slot("waits").claim()
        lab.push(1)
        assert self.tokens(lab) == {"waits"}
        assert lab.client.hgetall(keys.IDLE + "default") == {}

    def test_a_woken_slot_finds_the_job_at_once(self, lab: Lab) -> None:
        slot = lab.slot()
        assert slot.claim() is None
        lab.push(1)
        lab.store.wait_for_work(slot.offer, 3.0)
        assert slot.must_claim().index == 0


class TestCancel:
    def test_a_waiting_job_is_canceled_at_once(self, lab: Lab) -> None:
        lab.push(1, 2)
        first, _ = lab.ids()
        assert lab.store.cancel([first]) == {"canceled": 1, "asked": 0, "already": 0, "missing": 0}
        assert lab.store.cancel([first])["already"] == 1
        assert lab.slot().must_claim().index == 1
        assert lab.store.audit() == []

    def test_a_job_that_waits_for_its_retry_is_canceled_and_never_comes_back(self, lab: Lab) -> None:
        lab.push(1, retries=3)
        slot = lab.slot()
        job = slot.must_claim().job
        slot.finish(CRASHED)
        lab.store.cancel([job])
        lab.hasten()
        assert slot.claim() is None
        assert lab.state(job) is JobState.CANCELED
        assert lab.client.zcard(keys.LATER) == 0
        assert lab.store.audit() == []

    def test_a_running_job_hears_it_with_its_next_renewal(self, lab: Lab) -> None:
        lab.push(1)
        slot = lab.slot()
        job = slot.must_claim().job
        assert lab.store.cancel([job])["asked"] == 1
        assert slot.renew() == (Fenced.OURS, "cancel")
        lab.store.cancel([job], kill=True)
        lab.store.cancel([job])  # never the reverse
        assert slot.renew() == (Fenced.OURS, "kill")
        slot.finish(CANCELED)
        assert lab.state(job) is JobState.CANCELED
        assert lab.store.audit() == []

    @pytest.mark.parametrize(
        ("outcome", "state"), [(DONE, "DONE"), (CRASHED, "CANCELED"), (CANCELED, "CANCELED"), (None, "CANCELED")]
    )
    def test_that_races_the_end_gives_one_of_done_and_canceled(
        self, lab: Lab, outcome: Outcome | None, state: str
    ) -> None:
        lab.push(1, retries=3)
        slot = lab.slot()
        job = slot.must_claim().job
        lab.store.cancel([job])
        if outcome is None:
            slot.release()
        else:
            slot.finish(outcome)
        assert lab.state(job).value == state
        assert slot.claim() is None
        assert lab.store.audit() == []


def test_a_slot_that_rq_forgot_is_told_to_register_anew(lab: Lab) -> None:
    lab.push(1)
    slot = lab.slot()
    lab.client.hset(keys.RQ_WORKER + "s1", mapping={"birth": "2026-01-01T00:00:00.000000Z", "queues": "default"})
    claim = slot.must_claim()
    offer: Offer = slot.offer
    assert lab.store.renew(claim.job, claim.attempt, offer)[1]
    lab.client.delete(keys.RQ_WORKER + "s1")
    assert not lab.store.renew(claim.job, claim.attempt, offer)[1]


def test_a_late_outcome_of_an_earlier_attempt_leaves_the_busy_slot_alone(lab: Lab) -> None:
    lab.push(1, 2)
    slot = lab.slot()
    first = slot.must_claim()
    second = slot.must_claim()
    lab.store.release(first.job, first.attempt, "spooled", slot.offer)
    (row,) = lab.store.workers()
    assert (row.state, row.job) == ("busy", second.job)


def test_rq_suspend_stops_claims_and_nothing_else(lab: Lab) -> None:
    lab.push(1, 2)
    slot = lab.slot()
    slot.must_claim()
    lab.client.set(keys.RQ_SUSPENDED, 1)
    assert lab.slot("s2").claim() is None
    assert slot.finish() is Fenced.OURS
    lab.client.delete(keys.RQ_SUSPENDED)
    assert lab.slot("s2").must_claim().index == 1
