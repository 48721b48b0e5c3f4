"""Draining nodes and slots that work: what runs ends or is given a time, nothing new comes, enable wakes them."""

from __future__ import annotations

from exs.model import JobState
from exs.store import keys
from harness.fleet import Fleet

S = JobState


def test_a_drain_lets_the_job_in_hand_finish_and_outlives_the_worker(fleet: Fleet) -> None:
    node = fleet.node("a")
    first, second = fleet.push("until", fleet.root / "go", jobs=2)
    fleet.wait_running(first)
    assert fleet.exs("drain", "a", "--why", "fan is loud").startswith("a: drained; 1 running job ends by itself")
    (fleet.root / "go").touch()
    fleet.wait_state(first, S.DONE)
    assert node.stop() == 0
    node.start()
    fleet.wait(lambda: [r.state for r in fleet.store.workers()] == ["drained"], "the new slot is drained")
    assert "fan is loud" in fleet.exs("workers")
    assert fleet.row(second).state is S.QUEUED and fleet.row(second).attempts == 0
    fleet.exs("enable", "a")
    fleet.wait_state(second, S.DONE)
    fleet.check()


def test_enable_wakes_a_drained_slot_at_once(fleet: Fleet) -> None:
    """Polls are an hour apart: only the wake-up can have told it."""
    fleet.node("a", EXS_IDLE_POLL="3600", EXS_RENEW="3600", EXS_LEASE="7200", EXS_SOCKET_TIMEOUT="60")
    (slot,) = fleet.wait(fleet.store.workers, "the slot is registered")
    fleet.exs("drain", slot.lasting)
    (job,) = fleet.push()
    fleet.wait(lambda: [r.state for r in fleet.store.workers()] == ["drained"], "the slot is drained")
    fleet.exs("enable", slot.lasting)
    assert fleet.wait_state(job, S.DONE, seconds=10).attempts == 1


def test_what_still_runs_after_the_grace_goes_back_unpunished_and_runs_elsewhere(fleet: Fleet) -> None:
    fleet.node("a")
    (job,) = fleet.push("daemons", "until", fleet.root / "go", retries=0)
    attempt = fleet.wait_running(job).attempt
    fleet.wait_event("family")
    other = fleet.node("b", start=False)
    fleet.exs("drain", "a", "--grace", "1s")
    other.start()
    row = fleet.wait_running(job, attempts=2)
    assert (row.node, row.lost, row.failure) == ("b", 0, "")
    assert row.history[0].detail == "its slot was drained (ended by SIGTERM)"
    assert not fleet.witness.living(attempt)
    (fleet.root / "go").touch()
    fleet.wait_state(job, S.DONE)
    assert [r.state for r in fleet.store.workers() if r.node == "a"] == ["drained"]
    fleet.check()


def test_a_grace_of_nothing_stops_at_once_one_slot_of_a_node_alone(fleet: Fleet) -> None:
    fleet.node("a", "--cpus", "2", slots=2)
    jobs = fleet.push("until", fleet.root / "go", jobs=2)
    rows = [fleet.wait_running(job) for job in jobs]
    slots = {row.id: row.slot for row in rows}
    place = slots[jobs[0]].partition("@")[0]
    assert "asked to stop now" in fleet.exs("drain", place, "--grace", "0")
    row = fleet.wait_state(jobs[0], S.QUEUED)
    assert (row.lost, row.failure) == (0, "")
    assert fleet.row(jobs[1]).slot == slots[jobs[1]]
    assert fleet.row(jobs[1]).state is S.RUNNING
    (fleet.root / "go").touch()
    fleet.wait_state(jobs[0], S.DONE)
    assert fleet.server.client().hexists(keys.DRAINED, place)
    fleet.check()
