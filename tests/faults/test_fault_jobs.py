"""Faults of jobs: they die in part, leave things behind, kill their slot, eat the memory, or cannot be ended."""

from __future__ import annotations

import os
import signal
from contextlib import nullcontext

import pytest

from exs.model import JobState
from exs.settings import MIB
from harness.cgroup import cgroup
from harness.fleet import Fleet
from harness.node import ROOT, gpus
from slotprocess import gone, wait_until

S = JobState


def kill(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.fault(6)
def test_f6_the_job_is_killed(fleet: Fleet) -> None:
    """What is left of it is ended, and the slot takes the next job."""
    go = fleet.root / "go"
    node = fleet.node("a")
    slots = node.slots()
    first, second = fleet.push("daemons", "until", go, jobs=2)
    attempt = fleet.wait_running(first).attempt
    fleet.wait_event("family")
    kill(*(seen.pid for seen in fleet.witness.seen("start")))
    row = fleet.wait_state(first, S.CRASHED)
    assert row.failure == "error" and "killed by SIGKILL" in row.detail
    assert not fleet.witness.living(attempt)
    go.touch()
    assert fleet.wait_state(second, S.DONE).attempts == 1
    assert node.slots() == slots
    fleet.check()


@pytest.mark.fault(7)
def test_f7_a_part_of_the_job_is_killed(fleet: Fleet) -> None:
    """Only the main process counts."""
    go = fleet.root / "go"
    fleet.node("a")
    (job,) = fleet.push("daemons", "until", go)
    fleet.wait_running(job)
    fleet.wait_event("family")
    (child,) = [seen.pid for seen in fleet.witness.seen("child")]
    kill(child)
    wait_until(lambda: gone(child), "the end of the child")
    assert fleet.row(job).state is S.RUNNING
    go.touch()
    assert fleet.wait_state(job, S.DONE).exit_code == 0
    fleet.wait_gone("")
    fleet.check()


@pytest.mark.fault(8)
def test_f8_a_job_that_leaves_daemons_is_done_and_they_are_ended(fleet: Fleet) -> None:
    fleet.node("a")
    (job,) = fleet.push("daemons")
    row = fleet.wait_state(job, S.DONE)
    assert not fleet.witness.living()
    assert "ended 2 processes that it left behind" in row.detail
    fleet.check()


@pytest.mark.fault(15)
def test_f15_power_off(fleet: Fleet) -> None:
    """Other nodes go on, and take over once nothing was heard for long enough."""
    go = fleet.root / "go"
    node, other = fleet.node("a"), fleet.node("b")
    jobs = fleet.push("until", go, jobs=2)
    fleet.wait_event("start", 2)
    (lost,) = [job for job in jobs if fleet.row(job).node == "a"]
    (kept,) = {*jobs} - {lost}
    node.power_off()
    go.touch()
    row = fleet.wait_state(lost, S.DONE)
    assert (row.attempts, row.node) == (2, "b") and "no word from a" in row.history[0].detail
    assert fleet.wait_state(kept, S.DONE).attempts == 1
    assert other.ended() is None
    fleet.check()


@pytest.mark.fault(16)
def test_f16_a_job_that_kills_its_slot_each_time(fleet: Fleet) -> None:
    """It is poison after the crash budget; the others finish."""
    fleet.node("a", EXS_CRASH_BUDGET="2")
    (poison,) = fleet.push("kill_worker", name="poison")
    good = fleet.push(jobs=3)
    row = fleet.wait_state(poison, S.CRASHED)
    assert (row.failure, row.lost, row.attempts) == ("poison", 2, 2)
    assert "lost with its slot 2 times" in row.detail
    for job in good:
        assert fleet.wait_state(job, S.DONE).attempts == 1
    fleet.check()


@pytest.mark.fault(17)
@pytest.mark.parametrize(
    ("verbs", "controller", "limit"),
    [
        pytest.param(("hoard", 256 * MIB), "", 0, id="memory"),
        pytest.param(("hoard", 0), "memory", 200 * MIB, marks=pytest.mark.root, id="memory of a cgroup"),
        pytest.param(("breed",), "pids" if os.geteuid() == 0 else "", 60, id="forks"),
    ],
)
def test_f17_a_job_without_bounds(fleet: Fleet, verbs: tuple[str, ...], controller: str, limit: int) -> None:
    """It fails, as out of memory where that is the reason; nothing of it is left and the slot takes the next job."""
    with cgroup(controller, limit) if controller else nullcontext() as group:
        node = fleet.node("a", prefix=group.prefix if group else ())
        slots = node.slots()
        (bad,) = fleet.push(*verbs, name="bad")
        row = fleet.wait_state(bad, S.CRASHED)
        assert (row.failure, row.attempts) == ("error" if verbs == ("breed",) else "oom", 1)
        assert "killed by the kernel" in row.detail if controller == "memory" else row.exit_code == 1
        (good,) = fleet.push()
        assert fleet.wait_state(good, S.DONE).attempts == 1
        assert node.slots() == slots
        fleet.check()
        node.power_off()


@pytest.mark.root
@pytest.mark.fault(19)
def test_f19_a_process_that_sigkill_does_not_end(fleet: Fleet) -> None:
    """Its GPU is not used while it is there, and is used again when it has ended; the other slot goes on.

    A frozen control group of version 1 is what a hanging file system is: signals wait. Elsewhere the test of the
    attempt with signals that do nothing stands for this one.
    """
    go = fleet.root / "go"
    first, second = gpus(2)
    with cgroup("freezer") as ice:
        if not (ice.path / "freezer.state").exists():
            pytest.skip("no freezer of version 1 here")
        node = fleet.node("a", "--gpus", f"{first},{second}", slots=2)
        (job,) = fleet.push("daemons", "until", go, gpus=[first])
        fleet.wait_running(job)
        fleet.wait_event("family")
        (daemon,) = [seen.pid for seen in fleet.witness.seen("daemon")]
        ice.add(daemon)
        ice.set("freezer.state", "FROZEN")
        try:
            go.touch()
            row = fleet.wait_state(job, S.DONE, seconds=40)
            assert f"stuck: SIGKILL does not end {daemon}" in row.detail
            (waits,) = fleet.push(name="waits", gpus=[first])
            (runs,) = fleet.push(name="runs", gpus=[second])
            assert fleet.wait_state(runs, S.DONE).gpus == second
            node.wait_for(f"waits for {daemon}")
            assert fleet.row(waits).state is S.QUEUED
        finally:
            ice.set("freezer.state", "THAWED")
        assert fleet.wait_state(waits, S.DONE).gpus == first
    fleet.check()


@pytest.mark.fault(18)
@pytest.mark.parametrize("verb", ["cancel", "kill"])
def test_f18_a_job_that_ignores_every_signal_is_ended(fleet: Fleet, verb: str) -> None:
    fleet.node("a")
    (job,) = fleet.push("stubborn", "daemons", "until", fleet.root / "go", grace=0.5 if verb == "cancel" else 600)
    fleet.wait_running(job)
    fleet.wait_event("family")
    fleet.store.cancel([job], kill=verb == "kill")
    row = fleet.wait_state(job, S.CANCELED)
    assert not fleet.witness.living()
    assert "SIGKILL" in row.detail
    fleet.check()


def test_no_job_is_leased_while_a_process_cannot_be_ended(fleet: Fleet) -> None:
    """A job that is queued already stays there: leased to a slot that waits, it would be lost for nothing."""
    go, hung = fleet.root / "go", fleet.root / "hung"
    fake = fleet.root / "fake"
    fake.mkdir()
    # Signals that do nothing, in the slot, as for a process that hangs in the kernel.
    (fake / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "if sys.orig_argv[1:2] == ['-c'] and 'exs_worker.main' in sys.orig_argv[2]:\n"
        "    from exs_worker import supervise\n"
        "    supervise.STUCK_AFTER, send = 0.3, signal.pidfd_send_signal\n"
        f"    signal.pidfd_send_signal = lambda fd, number: os.path.exists({str(hung)!r}) or send(fd, number)\n"
    )
    node = fleet.node("a", PYTHONPATH=os.pathsep.join(map(str, (fake, ROOT, ROOT / "workers"))))
    job, waits = fleet.push("daemons", "until", go, jobs=2)
    fleet.wait_running(job)
    fleet.wait_event("family")
    hung.touch()
    go.touch()
    node.wait_for("stuck: slot=")
    assert (fleet.row(waits).state, fleet.row(waits).attempts) == (S.QUEUED, 0)
    hung.unlink()
    for pid in fleet.witness.living():
        os.kill(pid, signal.SIGKILL)
    assert fleet.wait_state(waits, S.DONE).attempts == 1
    fleet.check()


@pytest.mark.root
def test_a_slot_that_cannot_be_started_is_started_later(fleet: Fleet) -> None:
    """A job took every process that the user may have: that ends with it, and must not end the agent."""
    with cgroup("pids", 500) as group:
        node = fleet.node("a", prefix=group.prefix)
        (slot,) = node.slots()
        os.kill(node.pid, signal.SIGSTOP)
        os.kill(slot, signal.SIGKILL)
        wait_until(lambda: gone(slot), "the end of the slot")
        group.set("pids.max", "1")
        os.kill(node.pid, signal.SIGCONT)
        node.wait_for("cannot start a slot")
        group.set("pids.max", "500")
        (job,) = fleet.push()
        assert fleet.wait_state(job, S.DONE).attempts == 1
        assert "Traceback" not in node.text()
        fleet.check()
        node.power_off()
