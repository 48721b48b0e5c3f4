"""Claim, renew, finish, release: who holds a job, in which order, and that nobody else can end it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from exs.model import Fenced, JobState, Offer, Outcome, Resources
from exs.store import keys
from exs.store.push import new_id
from store.actors import CANCELED, CRASHED, DONE, Lab, Slot


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


@pytest.mark.parametrize("ends", [lambda slot: slot.finish(CRASHED), Slot.release], ids=["finish", "release"])
def test_who_was_heard_once_hears_so_again_after_others_had_the_job(lab: Lab, ends: Callable[[Slot], Fenced]) -> None:
    """The reply is lost, and before the call is repeated another slot has run the job."""
    lab.push(1, retries=1)
    first, lost, last = (lab.slot(name) for name in ("first", "lost", "last"))
    first.must_claim()
    assert ends(first) is Fenced.OURS
    lab.hasten()
    lost.must_claim()
    lab.store.slot_dead(["lost"], "killed")
    held = last.must_claim()
    assert (ends(first), ends(lost)) == (Fenced.OURS, Fenced.FENCED)
    assert last.finish() is Fenced.OURS
    assert (ends(first), ends(lost)) == (Fenced.OURS, Fenced.FENCED)
    row = lab.store.job(held.job)
    assert (row.state, row.attempts) == (JobState.DONE, 3)
    assert lab.store.audit() == []


def test_directory_and_log_come_back_as_the_slot_gave_them(lab: Lab) -> None:
    """They are stored without what the job's name tells; with any of them missing, and in any directory."""
    lab.push(1)
    name = lab.store.jobs("e")[0].name
    own = f"/data/{name}"
    cases = [
        (own, f"{own}/log.run"), (f"{own}-k3m9", f"{own}-k3m9/log.run"), ("/data", f"/data/log.run.{name}"),
        (own, ""), ("", "/data/log"), ("", ""), (f"/{name}", f"/{name}/log"), ("/data", "/other/log"),
    ]  # fmt: skip
    for directory, log in cases:
        slot = lab.slot()
        claim = slot.must_claim()
        lab.store.renew(claim.job, claim.attempt, slot.offer, directory, log)
        row = lab.store.job(claim.job)
        assert (row.directory, row.log) == (directory, log), "while it runs"
        slot.finish(Outcome(JobState.CRASHED, directory=directory, log=log))
        row = lab.store.job(claim.job)
        assert (row.directory, row.log) == (directory, log), "when it has ended"
        lab.store.retry([claim.job])
    past = lab.store.job(claim.job).history[-1]
    assert (past.directory, past.log) == cases[-1]
    slot = lab.slot()
    claim = slot.must_claim()
    slot.finish(Outcome(JobState.DONE, directory="/data/", log="/data//log"))
    row = lab.store.job(claim.job)
    assert (row.directory, row.log) == ("/data/.", "/data//log"), "the same place"


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
