"""Preemption on real workers: what is stopped keeps its checkpoint, waits for its turn and goes on from there."""

from __future__ import annotations

import os
import signal

from exs.model import JobState
from exs.store import keys
from harness.fleet import Fleet

S = JobState
#: A job that keeps something and says so, then waits.
KEEPS = ("keep", "checkpoints/a", "report", '{"checkpoint": {"path": "checkpoints/a", "step": 3}}')


def test_a_job_makes_room_within_a_second_and_goes_on_from_its_checkpoint(fleet: Fleet) -> None:
    go, enough = fleet.root / "go", fleet.root / "enough"
    fleet.node("a")
    assert fleet.exs("pool", "set", "default", "--preemption", "on") == "pool default: priority, preemption\n"
    (late,) = fleet.push("told", "EXS_CHECKPOINT", *KEEPS, "until", go, name="late", retries=0)
    first = fleet.wait_running(late).attempt
    fleet.wait(lambda: fleet.server.client().hget(keys.RQ_JOB + late, "ck"), "the checkpoint")
    (urgent,) = fleet.push("until", enough, name="urgent", priority=1)
    fleet.wait_running(urgent)
    assert not fleet.witness.living(first)
    row = fleet.row(late)
    assert (row.state, row.lost, row.detail) == (S.QUEUED, 0, "preempted by urgent")
    assert "preempted by urgent" in fleet.exs("list") and "preempted by urgent" in fleet.exs("show", "late/0")
    enough.touch()
    fleet.wait_running(late, attempts=2)
    assert "preempted" not in fleet.exs("list")
    go.touch()
    row = fleet.wait_state(late, S.DONE)
    told = [seen.text for seen in fleet.witness.seen("told")]
    assert told == ["", f"{row.directory}/checkpoints/a"]
    assert [past.detail for past in row.history] == ["preempted by urgent"]
    fleet.check()


def test_no_more_jobs_are_stopped_than_slots_are_wanted(fleet: Fleet) -> None:
    go = fleet.root / "go"
    fleet.node("a", "--cpus", "3", slots=3)
    fleet.exs("pool", "set", "default", "--preemption", "on")
    jobs = fleet.push("until", go, name="late", jobs=3)
    for job in jobs:
        fleet.wait_running(job)
    urgent = fleet.push("until", go, name="urgent", priority=1, jobs=2)
    for job in urgent:
        fleet.wait_running(job)
    assert [fleet.row(job).attempts for job in jobs] == [1, 1, 1]
    assert [fleet.row(job).state for job in jobs] == [S.RUNNING, S.QUEUED, S.QUEUED]
    go.touch()
    assert {row.state for row in fleet.wait_all("late")} == {S.DONE}
    fleet.check()


def test_what_runs_and_what_waits_change_places_when_they_do_in_the_queue(fleet: Fleet) -> None:
    go = fleet.root / "go"
    fleet.node("a")
    fleet.exs("pool", "set", "default", "--preemption", "on")
    (first,) = fleet.push("until", go, name="first")
    fleet.wait_running(first)
    (second,) = fleet.push("until", go, name="second")
    fleet.exs("update", "second", "--ahead-of", "first")
    fleet.wait_running(second)
    assert fleet.row(first).state is S.QUEUED
    fleet.exs("update", "second", "--behind-of", "first")
    fleet.wait_running(first, attempts=2)
    assert fleet.row(second).state is S.QUEUED
    go.touch()
    fleet.wait_state(second, S.DONE)
    fleet.check()


def test_a_slot_that_was_told_to_leave_says_so_and_its_job_is_not_stopped(fleet: Fleet) -> None:
    """Renewals are an hour apart: it says so at once."""
    go = fleet.root / "go"
    node = fleet.node("a", EXS_RENEW="3600", EXS_LEASE="7200")
    fleet.exs("pool", "set", "default", "--preemption", "on")
    (late,) = fleet.push("until", go, name="late")
    fleet.wait_running(late)
    os.kill(node.pid, signal.SIGTERM)
    fleet.wait(lambda: fleet.store.workers()[0].leaves, "a slot that leaves")
    assert "leaves after its job" in fleet.exs("workers")
    fleet.push("until", go, name="urgent", priority=1)
    go.touch()
    assert fleet.wait_state(late, S.DONE).attempts == 1
    fleet.check()
