"""Faults of processes: agents, slots, jobs and what jobs leave behind are killed, one by one and together."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from exs.model import JobState
from exs.store.scripts import sha
from harness.fleet import Fleet
from harness.node import Node, gpus
from slotprocess import gone, wait_until

S = JobState


def kill(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def spooled(node: Node) -> list[Path]:
    return list(node.home.rglob("*.outcome.json"))


@pytest.mark.fault(1)
def test_f1_an_idle_slot_is_killed(fleet: Fleet) -> None:
    node = fleet.node("a")
    fleet.wait(fleet.store.workers, "the slot in the list")
    (slot,) = node.slots()
    (before,) = fleet.store.workers()
    kill(slot)
    fleet.wait(lambda: [r.name for r in fleet.store.workers()] not in ([], [before.name]), "another slot in its place")
    (job,) = fleet.push()
    assert fleet.wait_state(job, S.DONE).attempts == 1
    fleet.check()


@pytest.mark.parametrize(
    "family",
    [pytest.param((), marks=pytest.mark.fault(2), id="alone"), pytest.param(("daemons",), marks=pytest.mark.fault(3))],
)
def test_f2_f3_a_slot_is_killed_in_the_middle_of_a_job(fleet: Fleet, family: tuple[str, ...]) -> None:
    """The job, its child, and its daemon in a session of its own, are gone within a second; it runs again at once."""
    go = fleet.root / "go"
    node = fleet.node("a")
    (job,) = fleet.push(*family, "until", go, lost_after=600)
    first = fleet.wait_running(job)
    fleet.wait_event("family", len(family))
    kill(*node.slots())
    fleet.wait_gone(first.attempt, 1.0)
    second = fleet.wait_running(job, 2)
    assert second.attempt != first.attempt and second.lost == 1
    go.touch()
    row = fleet.wait_state(job, S.DONE)
    assert row.attempts == 2 and [attempt.failure for attempt in row.history] == ["lost"]
    assert fleet.witness.runs() == {job: 2}
    fleet.wait_gone("")
    fleet.check()


@pytest.mark.fault(4)
def test_f4_the_agent_is_killed(fleet: Fleet) -> None:
    """Its slot finishes the job, delivers, takes no other and leaves; nothing is lost or left."""
    go = fleet.root / "go"
    node = fleet.node("a")
    first, second = fleet.push("daemons", "until", go, jobs=2)
    fleet.wait_running(first)
    slots = node.slots()
    kill(node.pid)
    node.wait_for("the agent is gone")
    go.touch()
    fleet.wait(lambda: all(gone(pid) for pid in slots), "the slot leaves")
    assert (fleet.row(first).state, fleet.row(first).attempts) == (S.DONE, 1)
    assert (fleet.row(second).state, fleet.row(second).attempts) == (S.QUEUED, 0)
    fleet.check()


def test_the_agent_is_killed_while_its_slots_leave(fleet: Fleet) -> None:
    """Its death is no second signal: the job is not taken from a slot that was told to finish it."""
    go = fleet.root / "go"
    node = fleet.node("a")
    (job,) = fleet.push("until", go)
    fleet.wait_running(job)
    slots = node.slots()
    os.kill(node.pid, signal.SIGTERM)
    node.wait_for("once more hands back")
    kill(node.pid)
    node.wait_for("the agent is gone")
    go.touch()
    fleet.wait(lambda: all(gone(pid) for pid in slots), "the slot leaves")
    assert (fleet.row(job).state, fleet.row(job).attempts) == (S.DONE, 1)
    fleet.check()


@pytest.mark.fault(5)
def test_f5_agent_and_slot_are_killed_together(fleet: Fleet) -> None:
    """The next agent ends the survivors, then uses the GPU, and puts the job back without waiting for its lease."""
    go = fleet.root / "go"
    node = fleet.node("a")
    (job,) = fleet.push("daemons", "until", go, lost_after=600)
    first = fleet.wait_running(job)
    fleet.wait_event("family")
    slots = node.slots()
    os.kill(slots[0], signal.SIGSTOP)  # it must not notice that the agent goes first
    kill(node.pid, *slots)
    wait_until(lambda: all(gone(pid) for pid in slots), "their end")
    assert fleet.witness.living(first.attempt)
    node.start()
    fleet.wait_running(job, 2)
    assert not fleet.witness.living(first.attempt)
    go.touch()
    assert fleet.wait_state(job, S.DONE).lost == 1
    fleet.wait_gone("")
    fleet.check()


def test_an_agent_leaves_alone_what_a_living_slot_runs(fleet: Fleet) -> None:
    go = fleet.root / "go"
    node = fleet.node("a")
    (job,) = fleet.push("daemons", "until", go)
    fleet.wait_running(job)
    fleet.wait_event("family")
    fleet.node("b")
    kill(node.pid)
    node.wait_for("the agent is gone")
    node.start(slots=1)
    assert len(fleet.witness.living()) == 3
    go.touch()
    assert fleet.wait_state(job, S.DONE).attempts == 1
    fleet.wait_gone("")
    fleet.check()


@pytest.mark.fault(9)
def test_f9_a_slot_dies_between_claim_and_start(fleet: Fleet) -> None:
    """The claim is made, its answer never arrives, the slot is killed: lost with its slot, no retry spent."""
    proxy = fleet.proxy()
    (job,) = fleet.push(retries=1, lost_after=600)
    proxy.drop_reply(sha("claim").encode(), then_cut=True)
    node = fleet.node("a", url=proxy.url)
    fleet.wait_state(job, S.RUNNING)
    fleet.wait(lambda: proxy.dropped, "a lost reply")
    kill(*node.slots())
    proxy.go()
    row = fleet.wait_state(job, S.DONE)
    assert (row.attempts, row.lost) == (2, 1)
    assert fleet.witness.runs() == {job: 1}
    fleet.check()


@pytest.mark.fault(10)
@pytest.mark.parametrize("victim", ["slot", "node"])
def test_f10_an_outcome_outlives_its_slot(fleet: Fleet, victim: str) -> None:
    """The job ends while Redis is away, then its slot dies: whoever comes next delivers, and nothing runs twice."""
    go, proxy = fleet.root / "go", fleet.proxy()
    node = fleet.node("a", url=proxy.url)
    (job,) = fleet.push("result", '{"loss": 0.5}', "until", go, lost_after=600)
    fleet.wait_running(job)
    proxy.cut()
    go.touch()
    fleet.wait(lambda: spooled(node), "an outcome on disk")
    if victim == "slot":
        kill(*node.slots())
        proxy.go()
    else:
        node.power_off()
        proxy.go()
        node.start()
    row = fleet.wait_state(job, S.DONE)
    assert (row.attempts, row.result) == (1, {"loss": 0.5})
    fleet.wait(lambda: not spooled(node), "an empty spool")
    assert fleet.witness.runs() == {job: 1}
    fleet.check()


def test_a_node_that_leaves_while_redis_is_away_leaves_its_outcome(fleet: Fleet) -> None:
    go, proxy = fleet.root / "go", fleet.proxy()
    node = fleet.node("a", url=proxy.url)
    (job,) = fleet.push("until", go, lost_after=600)
    fleet.wait_running(job)
    proxy.cut()
    go.touch()
    fleet.wait(lambda: spooled(node), "an outcome on disk")
    assert node.stop() == 0
    assert fleet.row(job).state is S.RUNNING
    proxy.go()
    node.start()
    assert fleet.wait_state(job, S.DONE).attempts == 1
    fleet.check()


def test_a_slot_that_outlived_its_agent_is_killed(fleet: Fleet) -> None:
    """Nobody adopts its job: the agent that waits for its GPU ends that first, and puts the job back at once."""
    go, (gpu,) = fleet.root / "go", gpus(1)
    node = fleet.node("a", "--gpus", gpu)
    (job,) = fleet.push("daemons", "until", go, lost_after=600)
    first = fleet.wait_running(job)
    fleet.wait_event("family")
    (slot,) = node.slots()
    kill(node.pid)
    node.wait_for("the agent is gone")
    node.start("--gpus", gpu, slots=0)
    node.wait_for(f"wait for gpu{gpu}: process {slot} has it")
    kill(slot)
    fleet.wait_running(job, 2)
    assert not fleet.witness.living(first.attempt)
    go.touch()
    assert fleet.wait_state(job, S.DONE).lost == 1
    fleet.wait_gone("")
    assert fleet.store.audit() == []


def test_a_slot_that_waits_for_redis_leaves_with_its_agent(fleet: Fleet) -> None:
    """It has no lease and no job: what should it wait for, with a GPU in its hands?"""
    node = fleet.node("a")
    (first,) = node.slots()
    fleet.server.kill()
    kill(first)
    (slot,) = fleet.wait(lambda: [pid for pid in node.slots() if pid != first], "another slot")
    node.wait_for("cannot reach Redis")
    kill(node.pid)
    wait_until(lambda: gone(slot), "the slot leaves")
