"""Late is not lost: what ends an attempt that nobody ends, and what must not."""

from __future__ import annotations

import pytest

from exs.model import Fenced, JobState
from exs.store import keys
from store.actors import CRASHED, DONE, Lab, wait_until

LOST_AFTER = 300.0
LEASE = 30.0


def held(lab: Lab, **push: float) -> str:
    lab.push(1, **push)
    return lab.slot("s1").must_claim().job


def test_a_late_job_is_shown_as_late_and_goes_on(lab: Lab) -> None:
    lab.push(1)
    slot = lab.slot("s1")
    job = slot.must_claim().job
    lab.silence(job, LOST_AFTER - 10)
    assert lab.reap() == 0
    assert LOST_AFTER - 11 < lab.store.job(job).lease_late < LOST_AFTER
    assert slot.renew()[0] is Fenced.OURS
    assert lab.store.job(job).lease_late == 0
    assert slot.finish(DONE) is Fenced.OURS


def test_a_job_is_lost_after_lost_after(lab: Lab) -> None:
    job = held(lab)
    lab.silence(job, LOST_AFTER + 1.5)
    assert lab.reap() == 1
    row = lab.store.job(job)
    assert (row.state, row.lost, row.failure) == (JobState.QUEUED, 1, "lost")
    assert row.history[0].detail == "no word from s1-node for 331 s"
    assert lab.store.audit() == []


def test_an_experiment_can_have_a_lost_after_of_its_own(lab: Lab) -> None:
    job = held(lab, lost_after=5.0)
    lab.silence(job, 6)
    assert lab.reap() == 1


@pytest.mark.parametrize(
    ("ran", "silent", "lost"), [(86400, 3500, 0), (86400, 3700, 1), (7200, 350, 0), (7200, 400, 1)]
)
def test_a_long_job_is_given_a_share_of_its_run_time_but_at_most_an_hour(
    lab: Lab, ran: float, silent: float, lost: int
) -> None:
    job = held(lab)
    lab.began(job, ran)
    lab.silence(job, silent)
    assert lab.reap() == lost


def test_nobody_is_lost_within_a_lease_of_a_gap_in_the_fleets_contact(lab: Lab) -> None:
    """R5: Redis was away for an hour; those who come back must not find that the first of them ended all others."""
    job = held(lab)
    lab.silence(job, 3600)
    lab.contact(unbroken=7200, last=3600)  # the outage
    assert lab.store.reap()[0] == 0
    lab.contact(unbroken=LEASE - 1)
    assert lab.store.reap()[0] == 0
    lab.contact(unbroken=LEASE + 1)
    assert lab.store.reap()[0] == 1


def test_the_first_reap_of_an_empty_or_restarted_server_ends_nothing(lab: Lab) -> None:
    job = held(lab)
    lab.silence(job, 3600)
    lab.client.delete(keys.PULSE)
    assert lab.store.reap()[0] == 0
    assert lab.state(job) is JobState.RUNNING


def test_a_newer_boot_of_the_node_ends_it_as_soon_as_its_lease_is_late(lab: Lab) -> None:
    job = held(lab)
    lab.store.node_up("s1-node", "boot-2", "machine", 1)
    assert lab.reap() == 0
    lab.silence(job, 1)
    assert lab.reap() == 1
    assert lab.store.job(job).history[0].detail == "node s1-node has restarted"


def test_a_node_that_reboots_forgets_the_slots_of_its_earlier_boot(lab: Lab) -> None:
    """A machine whose power fails tells of no slot; its list would grow with each time."""
    there = keys.NODE_SLOTS + "n"
    lab.store.node_up("n", "b1", "0123456789", 1)
    lab.client.sadd(there, "n:gpu0@old")
    lab.store.node_up("n", "b1", "0123456789", 2)
    assert lab.client.smembers(there) == {"n:gpu0@old"}, "slots outlive their agent"
    lab.store.node_up("n", "b2", "0123456789", 1)
    assert not lab.client.exists(there)


def test_another_machine_of_the_same_name_gets_another_name(lab: Lab) -> None:
    assert lab.store.node_up("n", "b1", "0123456789", 1) == "n"
    assert lab.store.node_up("n", "b9", "fedcba9876", 1) == "n-fedc"
    assert lab.store.node_up("n", "b2", "0123456789", 2) == "n"


def test_a_node_is_remembered_while_its_slots_speak(lab: Lab) -> None:
    """A container has a new name each time it starts: its record must not stay for ever."""
    lab.store.node_up("s1-node", "boot-1", "machine", 1)
    lab.push(1)
    slot = lab.slot()
    for speaks in (slot.must_claim, slot.renew):
        lab.client.expire(keys.NODE + "s1-node", 10)
        speaks()
        assert lab.client.ttl(keys.NODE + "s1-node") > 86400
    assert not lab.store.forgot("s1-node")


def test_a_dead_slot_gives_its_job_back_at_once_and_leaves_the_lists(lab: Lab) -> None:
    lab.push(1)
    dead, other = lab.slot("s1"), lab.slot("s2")
    job = dead.must_claim().job
    assert lab.store.slot_dead(["s1", "never-was"], "its slot died") == 1
    assert lab.store.slot_dead(["s1"], "its slot died") == 0
    assert [row.name for row in lab.store.workers()] == []
    assert other.must_claim().job == job
    assert dead.finish() is Fenced.FENCED
    assert lab.store.audit() == []


def test_a_dead_slot_does_not_take_down_what_it_no_longer_holds(lab: Lab) -> None:
    lab.push(1)
    slot = lab.slot("s1")
    job = slot.must_claim().job
    slot.finish()
    assert lab.store.slot_dead(["s1"], "its slot died") == 0
    assert lab.state(job) is JobState.DONE


def test_a_job_that_kills_its_slots_is_poison_after_the_crash_budget(lab: Lab) -> None:
    """F16; the second loss waits, so that a poison job does not race through a fleet."""
    job = held(lab)
    assert lab.store.slot_dead(["s1"], "killed") == 1
    assert lab.slot("s2").must_claim().job == job
    assert lab.store.slot_dead(["s2"], "killed") == 1
    assert lab.slot("s3").claim() is None
    assert lab.store.experiment("e").waiting_retry == 1
    lab.hasten()
    assert lab.slot("s3").must_claim().job == job
    assert lab.store.slot_dead(["s3"], "killed") == 1
    row = lab.store.job(job)
    assert (row.state, row.failure, row.detail) == (
        JobState.CRASHED,
        "poison",
        "lost with its slot 3 times; last: killed",
    )
    assert [attempt.number for attempt in row.history] == [1, 2]
    assert lab.store.audit() == []
    lab.store.retry([job])  # gives it its budget back
    assert lab.slot("s4").must_claim().number == 4
    assert lab.store.slot_dead(["s4"], "killed") == 1
    assert lab.state(job) is JobState.QUEUED


def test_a_lost_job_whose_end_was_asked_for_is_canceled(lab: Lab) -> None:
    job = held(lab)
    lab.store.cancel([job])
    lab.store.slot_dead(["s1"], "killed")
    assert lab.state(job) is JobState.CANCELED
    assert lab.store.audit() == []


def test_the_late_do_not_hide_the_lost_behind_them(lab: Lab) -> None:
    lab.push(*range(120))
    jobs = [lab.slot(f"s{i}").must_claim().job for i in range(120)]
    for job in jobs[:-1]:
        lab.began(job, 86400)
        lab.silence(job, 1000)
    lab.silence(jobs[-1], 400)
    assert lab.reap() == 1
    assert lab.state(jobs[-1]) is JobState.QUEUED


def test_what_waits_for_its_next_attempt_is_queued_even_between_two_reaps(lab: Lab) -> None:
    lab.push(1, retries=1)
    slot = lab.slot()
    slot.must_claim()
    slot.finish(CRASHED)
    lab.store.reap()
    lab.hasten()
    assert slot.claim() is not None


def test_a_leased_id_without_a_job_is_forgotten(lab: Lab) -> None:
    lab.client.zadd(keys.LEASES, {"nobody": 1})
    lab.client.zadd(keys.LATER, {"nobody": 1})
    lab.reap()
    assert not lab.client.exists(keys.LEASES, keys.LATER)


def test_a_reap_makes_claimable_what_somebody_else_queued(lab: Lab) -> None:
    """RQ's tools know nothing of our ready sets."""
    lab.push(1)
    lab.client.delete(*lab.client.keys(keys.READY + "*"), *lab.client.keys(keys.SHAPES + "*"))
    assert lab.slot("s1").claim() is None
    lab.reap()
    assert lab.slot("s1").claim() is not None


def test_what_a_node_said_of_its_gpus_goes_with_it(lab: Lab) -> None:
    """Containers have a new name each time: what they said must not stay for ever."""
    lab.store.gpus_unused("gone", {"0": "busy", "1": "busy"}, 0.001)
    lab.store.gpus_unused("here", {"0": "busy"}, 60.0)
    wait_until(lambda: len(lab.store.unused_gpus()) == 1, "the word of the node that is gone to expire")
    lab.store.gpus_unused("new", {"3": "busy"}, 60.0)
    assert [(row.node, row.gpu) for row in lab.store.unused_gpus()] == [("here", "0"), ("new", "3")]
    assert set(lab.client.hkeys(keys.UNUSED)) == {"here|0", "new|3"}
    lab.store.gpus_unused("here", {}, 60.0)
    assert [(row.node, row.gpu) for row in lab.store.unused_gpus()] == [("new", "3")]
