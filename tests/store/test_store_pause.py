"""Pause and activate, of an experiment and of single jobs: nothing is lost, places are kept, nothing is punished."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exs.model import Fenced, JobState, Outcome, Resources
from exs.store import keys
from store.actors import CRASHED, DONE, Lab

S = JobState
STOPPED = Outcome(
    S.QUEUED, detail="paused (exit code 0)", requeue=True, directory="/run/x", log="/run/x/log", exit_code=0
)


def claimed(lab: Lab, *names: str) -> list[int]:
    """The indices of what is claimed by slots of these names, one after the other."""
    found = []
    for name in names:
        claim = lab.slot(name).claim()
        if claim is not None:
            found.append(claim.index)
    return found


def test_a_paused_experiment_gives_no_job_and_keeps_its_queue(lab: Lab) -> None:
    lab.push(1, 2, 3)
    lab.push(4, name="other")
    assert lab.store.pause_experiment("e", "ann: out of disk") == ("paused", "ann: out of disk")
    assert lab.store.pause_experiment("e", "bob") == ("already", "ann: out of disk")
    assert lab.slot().must_claim().experiment == "other"
    assert lab.slot("s2").claim() is None
    assert lab.client.llen(keys.RQ_QUEUE + "e") == 3
    row = lab.store.experiment("e")
    assert (row.paused, row.paused_by) == (True, "ann: out of disk")
    lab.push(5)  # what comes meanwhile waits too
    assert lab.slot("s2").claim() is None
    assert lab.store.audit() == []
    assert lab.store.activate_experiment("e") == ("active", "ann: out of disk")
    assert lab.store.activate_experiment("e") == ("already", "")
    assert claimed(lab, "s2", "s3", "s4", "s5", "s6") == [0, 1, 2, 3]
    row = lab.store.experiment("e")
    assert (row.paused, row.paused_by) == (False, "")


def test_reap_and_retries_make_no_job_of_a_paused_experiment_claimable(lab: Lab) -> None:
    lab.push(1, 2, retries=1)
    slot = lab.slot()
    slot.must_claim()
    lab.store.pause_experiment("e", "ann")
    slot.finish(CRASHED)
    lab.hasten()
    lab.reap()
    assert lab.states() == ["QUEUED", "QUEUED"]
    assert slot.claim() is None


def test_what_has_nothing_to_run_and_what_is_not_there_cannot_be_paused(lab: Lab) -> None:
    lab.push(1)
    slot = lab.slot()
    slot.must_claim()
    slot.finish(DONE)
    assert lab.store.pause_experiment("e", "ann") == ("over", "")
    assert lab.store.pause_experiment("none", "ann") == ("missing", "")
    assert lab.store.activate_experiment("none") == ("missing", "")
    lab.push(2)
    assert slot.claim()


def test_a_queued_job_leaves_its_queue_and_comes_back_to_its_place(lab: Lab) -> None:
    lab.push(*range(6))
    ids = lab.ids()
    counts = {"paused": 3, "asked": 0, "already": 0, "over": 0, "missing": 1}
    assert lab.store.pause([ids[1], ids[4], ids[2], "nosuchjob2"], "ann") == counts
    assert lab.client.zrange(keys.RQ_DEFERRED + "e", 0, -1, withscores=True) == [(ids[1], 1), (ids[2], 2), (ids[4], 4)]
    assert lab.store.job(ids[1]).paused_by == "ann"
    assert lab.store.paused("e") == [ids[1], ids[2], ids[4]]
    assert lab.store.audit() == []
    assert claimed(lab, "a") == [0]
    assert lab.store.activate(ids)["queued"] == 3
    assert lab.store.activate(ids) == {"queued": 0, "resuming": 0, "already": 6, "over": 0, "missing": 0}
    assert lab.store.job(ids[1]).paused_by == ""
    assert claimed(lab, *"bcdefg") == [1, 2, 3, 4, 5]
    assert lab.store.audit() == []


def test_a_long_queue_is_paused_and_activated_whole(lab: Lab) -> None:
    lab.push(*range(3000))
    ids = lab.ids()
    assert lab.store.pause(ids[500:2500], "ann")["paused"] == 2000
    assert lab.client.llen(keys.RQ_QUEUE + "e") == 1000
    assert lab.store.activate(ids)["queued"] == 2000
    assert lab.client.lrange(keys.RQ_QUEUE + "e", 0, -1) == ids
    assert lab.store.audit() == []


@pytest.mark.parametrize("parts", [[(0, 300)], [(0, 120)], [(180, 300)], [(0, 70), (90, 91), (230, 300)], [(60, 240)]])
def test_whatever_part_of_a_queue_comes_back_it_is_in_order(lab: Lab, parts: list[tuple[int, int]]) -> None:
    lab.push(*range(300))
    ids = lab.ids()
    some = [job for first, end in parts for job in ids[first:end]]
    lab.store.pause(some, "ann")
    assert lab.store.activate(some)["queued"] == len(some)
    assert lab.client.lrange(keys.RQ_QUEUE + "e", 0, -1) == ids
    assert lab.store.audit() == []


def test_the_middle_of_a_very_long_queue_is_activated_in_portions(lab: Lab) -> None:
    """A place behind 100,000 others costs Redis a walk: a script stops after so many, and the next goes on."""
    lab.push(*range(60_000))
    ids = lab.ids()
    lab.store.pause(ids[50_000:50_020], "ann")
    *_, left = lab.store._call("activate", 0, *ids[50_000:50_020])
    assert 0 < left < 20
    assert lab.store.activate(ids[50_000:50_020])["queued"] == left
    assert lab.client.lrange(keys.RQ_QUEUE + "e", 0, -1) == ids


def test_a_job_that_waits_for_its_retry_can_be_paused(lab: Lab) -> None:
    lab.push(1, retries=2)
    slot = lab.slot()
    job = slot.must_claim().job
    slot.finish(CRASHED)
    assert lab.store.pause([job], "ann")["paused"] == 1
    assert lab.client.hget(keys.EXPERIMENT + "e", "waiting") == "0"
    lab.hasten()
    assert slot.claim() is None
    lab.store.activate([job])
    assert slot.must_claim().number == 2
    assert lab.client.hget(keys.RQ_JOB + job, "rt") == "1"
    assert lab.store.audit() == []


def test_a_running_job_is_pausing_until_its_slot_has_ended_it(lab: Lab) -> None:
    lab.push(1, 2)
    slot = lab.slot()
    job = slot.must_claim().job
    assert lab.store.pause([job], "ann")["asked"] == 1
    assert lab.store.pause([job], "bob")["already"] == 1
    assert slot.renew() == (Fenced.OURS, "pause")
    row = lab.store.job(job)
    assert (row.state, row.paused_by, row.want) == (S.PAUSING, "ann", "pause")
    assert lab.store.held("e") == [job]
    answers = [lab.store.release(job, row.attempt, STOPPED.detail, slot.offer, STOPPED) for _ in range(2)]
    assert answers == [Fenced.OURS, Fenced.OURS]
    row = lab.store.job(job)
    assert (row.state, row.detail, row.directory, row.log) == (S.PAUSED, "paused (exit code 0)", "/run/x", "/run/x/log")
    assert (row.exit_code, row.want, row.lost) == (0, "", 0)
    assert [past.number for past in row.history] == [1]
    assert slot.must_claim().index == 1  # it is off its slot, and nothing of it is in the way
    assert lab.store.audit() == []
    lab.store.activate([job])
    assert lab.slot("s2").must_claim().number == 2
    assert lab.store.audit() == []


def test_an_exit_without_a_word_of_stopping_is_done_and_a_crash_before_it_uses_a_retry(lab: Lab) -> None:
    lab.push(1, 2, 3, retries=1)
    first, second = lab.slot("a"), lab.slot("b")
    jobs = [first.must_claim().job, second.must_claim().job]
    lab.store.pause(jobs, "ann")
    assert first.finish(DONE) is Fenced.OURS
    assert second.finish(CRASHED) is Fenced.OURS
    assert lab.states() == ["DONE", "PAUSED", "QUEUED"]
    assert lab.client.hget(keys.RQ_JOB + jobs[1], "rt") == "1"
    assert lab.store.audit() == []
    lab.store.activate(jobs)
    again = lab.slot("b")
    assert again.must_claim().index == 1
    lab.store.pause([jobs[1]], "ann")
    again.finish(CRASHED)
    assert lab.state(jobs[1]) is S.CRASHED


@pytest.mark.parametrize("how", ["slot", "node"])
def test_a_job_that_is_lost_while_it_pauses_is_paused_and_not_counted_as_lost(lab: Lab, how: str) -> None:
    lab.push(1)
    slot = lab.slot()
    job = slot.must_claim().job
    lab.store.pause([job], "ann")
    if how == "slot":
        assert lab.store.slot_dead(["s1"], "killed") == 1
    else:
        lab.began(job, ago=10_000)
        lab.silence(job, 10_000)
        assert lab.reap() == 1
    row = lab.store.job(job)
    assert (row.state, row.lost) == (S.PAUSED, 0)
    assert slot.release() is Fenced.FENCED
    assert lab.store.audit() == []
    lab.store.activate([job])
    assert lab.slot("s2").must_claim().job == job


def test_activate_of_a_job_that_is_still_stopping_queues_it_when_it_has_stopped(lab: Lab) -> None:
    lab.push(1, 2, 3)
    slot, other = lab.slot("a"), lab.slot("b")
    job = slot.must_claim().job
    other.must_claim()
    lab.store.pause([job], "ann")
    assert lab.store.activate([job])["resuming"] == 1
    assert lab.store.activate([job])["already"] == 1
    assert lab.state(job) is S.PAUSING
    slot.release()
    other.release()
    assert lab.states() == ["QUEUED"] * 3
    assert claimed(lab, "c", "d", "e") == [0, 1, 2]
    assert lab.store.audit() == []


def test_pause_of_a_job_that_is_preempted_or_being_canceled(lab: Lab) -> None:
    lab.push(1, 2)
    slot, other = lab.slot("a"), lab.slot("b")
    first, second = slot.must_claim().job, other.must_claim().job
    lab.store.pause([first], "ann")
    lab.store.activate([first])
    assert lab.store.pause([first], "bob")["asked"] == 1
    lab.store.cancel([second])
    assert lab.store.pause([second], "bob")["already"] == 1
    assert other.renew() == (Fenced.OURS, "cancel")
    slot.release()
    other.release()
    assert lab.states() == ["PAUSED", "CANCELED"]
    assert lab.store.audit() == []


@pytest.mark.parametrize("kill", [False, True])
def test_cancel_of_a_paused_job_and_of_one_that_pauses(lab: Lab, kill: bool) -> None:
    lab.push(1, 2)
    slot = lab.slot()
    running = slot.must_claim().job
    waiting = lab.ids()[1]
    lab.store.pause([running, waiting], "ann")
    assert lab.store.cancel([running, waiting], kill=kill) == {"canceled": 1, "asked": 1, "already": 0, "missing": 0}
    assert slot.renew() == (Fenced.OURS, "kill" if kill else "cancel")
    assert lab.store.activate([running, waiting]) == {"queued": 0, "resuming": 0, "already": 1, "over": 1, "missing": 0}
    slot.release()
    assert lab.states() == ["CANCELED", "CANCELED"]
    assert lab.store.retry([running, waiting])["queued"] == 2
    assert claimed(lab, "b", "c") == [0, 1]
    assert lab.store.audit() == []


def test_a_pause_frees_a_place_below_max_running(lab: Lab) -> None:
    lab.push(1, 2, max_running=1)
    slot = lab.slot()
    job = slot.must_claim().job
    lab.store.pause([job], "ann")
    assert lab.slot("b").claim() is None
    slot.release()
    assert lab.slot("b").must_claim().index == 1


def test_an_experiment_of_several_queues_is_paused_whole(lab: Lab) -> None:
    lab.push(1)
    lab.push(2, resources=Resources(gpus=0))
    lab.store.pause_experiment("e", "ann")
    slot = lab.slot()
    assert slot.claim() is None
    lab.store.activate_experiment("e")
    assert claimed(lab, "a", "b") == [0, 1]


def test_an_idle_slot_is_woken_by_activate(lab: Lab) -> None:
    lab.push(1)
    job = lab.ids()[0]
    for pause, activate in (
        (lambda: lab.store.pause([job], "ann"), lambda: lab.store.activate([job])),
        (lambda: lab.store.pause_experiment("e", "ann"), lambda: lab.store.activate_experiment("e")),
    ):
        lab.client.delete(keys.WAKE + "s1")
        pause()
        assert lab.slot().claim() is None
        assert not lab.client.exists(keys.WAKE + "s1")
        activate()
        assert lab.client.llen(keys.WAKE + "s1") == 1


def test_a_handed_back_job_that_was_to_be_paused_is_paused(lab: Lab) -> None:
    """The worker was told to stop at once while its job paused."""
    lab.push(1)
    slot = lab.slot()
    job = slot.must_claim().job
    lab.store.pause([job], "ann")
    handed_back = replace(STOPPED, detail="handed back by its worker (ended by SIGTERM)")
    assert lab.store.release(job, slot.held.attempt, handed_back.detail, slot.offer, handed_back) is Fenced.OURS
    assert lab.state(job) is S.PAUSED
