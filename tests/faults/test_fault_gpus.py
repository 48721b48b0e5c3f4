"""Faults of GPUs: one fails under its job, one is used by somebody else. NVML is faked behind its seam."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exs.model import JobState
from harness.fleet import Fleet
from harness.node import Node, gpus

S = JobState


class Gpus:
    """What befalls the GPUs of the nodes of a test."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.first, self.second = gpus(2)

    def now(self, **what: Any) -> None:
        """`what` of `fakegpus.FakeNvml`, all at once."""
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(what))
        fresh.rename(self.path)

    def node(self, fleet: Fleet, name: str, *options: str, slots: int, **env: str) -> Node:
        """A node with both GPUs, unless `options` say otherwise."""
        options = options or ("--gpus", f"{self.first},{self.second}")
        env = {"EXS_FAKE_GPUS_STATE": str(self.path), "EXS_GPU_CHECK": "0.1", **env}
        return fleet.node(name, *options, slots=slots, **env)


@pytest.fixture
def devices(tmp_path: Path) -> Gpus:
    return Gpus(tmp_path / "gpus.json")


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that no slot started."""
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


@pytest.mark.fault(39)
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"broken": "NVML: GPU is lost."}, "GPU is lost"),
        ({"uncorrected": 2}, "2 uncorrectable memory errors"),
        ({"failures": 79}, "Xid 79"),
    ],
    ids=["lost", "ecc", "xid"],
)
def test_f39_a_gpu_fails_under_its_job(fleet: Fleet, devices: Gpus, fault: dict[str, Any], said: str) -> None:
    """The job is lost, not failed, and runs elsewhere; the GPU gets no other; the node keeps its other GPU."""
    go = fleet.root / "go"
    devices.now()
    node = devices.node(fleet, "a", slots=2)
    (job,) = fleet.push("daemons", "until", go, gpus=[devices.first], lost_after=600)
    attempt = fleet.wait_running(job).attempt
    fleet.wait_event("family")
    ((kind, what),) = fault.items()
    devices.now(**{kind: [[int(devices.first), what]] if kind == "failures" else {devices.first: what}})
    row = fleet.wait_state(job, S.QUEUED)
    (first,) = row.history
    assert (row.attempts, row.lost, first.failure) == (1, 1, "gpu")
    assert f"GPU {devices.first} of a failed" in first.detail and said in first.detail
    fleet.wait_gone(attempt, 2.0)
    node.wait_for(f"GPU {devices.first} has failed")
    for listed in (fleet.exs("workers"), fleet.exs("list")):
        assert f"GPU {devices.first} of a gets no job: failed: " in listed and said in listed
    (other,) = fleet.push(name="other", gpus=[devices.second])
    assert fleet.wait_state(other, S.DONE).gpus == devices.second
    go.touch()
    node.stop()
    assert "gets no job" not in fleet.exs("workers")
    devices.now()
    devices.node(fleet, "b", slots=2)
    assert fleet.wait_state(job, S.DONE).node == "b"
    assert fleet.store.audit() == [] == fleet.witness.living()


def test_a_job_that_crashes_because_its_gpu_did_is_lost_not_failed(fleet: Fleet, devices: Gpus) -> None:
    """Its own error comes before anybody has looked at the GPU."""
    devices.now()
    node = devices.node(fleet, "a", "--gpus", devices.first, slots=1, EXS_GPU_CHECK="600")
    (job,) = fleet.push("until", fleet.root / "go", "exit", 1, lost_after=600)
    fleet.wait_running(job)
    devices.now(broken={devices.first: "NVML: GPU is lost."})
    (fleet.root / "go").touch()
    row = fleet.wait_state(job, S.QUEUED)
    assert (row.attempts, row.lost) == (1, 1)
    assert "a GPU of its slot failed" in row.history[0].detail and "is lost" in row.history[0].detail
    node.power_off()
    devices.now()
    devices.node(fleet, "b", "--gpus", devices.second, slots=1)
    after = fleet.wait_state(job, S.CRASHED)
    assert (after.failure, after.lost) == ("error", 1)
    fleet.check()


def test_an_error_of_the_program_is_no_failure_of_the_gpu(fleet: Fleet, devices: Gpus) -> None:
    devices.now()
    devices.node(fleet, "a", "--gpus", devices.first, slots=1)
    jobs = fleet.push("until", fleet.root / "go", "exit", 1, jobs=2)
    fleet.wait_running(jobs[0])
    devices.now(failures=[[int(devices.first), 31]])
    (fleet.root / "go").touch()
    assert [(row.state, row.failure, row.lost) for row in fleet.wait_all()] == [(S.CRASHED, "error", 0)] * 2
    fleet.check()


@pytest.mark.fault(41)
def test_f41_a_gpu_that_a_stranger_uses_waits_for_him(
    fleet: Fleet, devices: Gpus, stranger: subprocess.Popen[bytes]
) -> None:
    """It gets no job, the lists say who has it; jobs in hand end; his end is noticed."""
    go = fleet.root / "go"
    devices.now(processes={devices.first: [stranger.pid]})
    node = devices.node(fleet, "a", slots=1)
    held, free = fleet.push("until", go, jobs=2, gpus=[devices.first, devices.second])
    fleet.wait_running(free)
    said = f"GPU {devices.first} of a gets no job: process {stranger.pid} of "
    assert said in fleet.exs("workers") and said in fleet.exs("list")
    assert "(sleep)" in fleet.json("workers")["unused_gpus"][0]["why"]
    assert fleet.row(held).state is S.QUEUED
    devices.now(processes={devices.second: [stranger.pid]})
    fleet.wait_running(held)
    node.wait_for(f"GPU {devices.second} gets no job")
    go.touch()
    assert [row.attempts for row in fleet.wait_all()] == [1, 1]
    (later,) = fleet.push(name="later", gpus=[devices.second])
    fleet.wait(lambda: len(node.slots()) == 1, "the slot beside the stranger leaves")
    assert fleet.row(later).state is S.QUEUED
    devices.now()
    assert fleet.wait_state(later, S.DONE).gpus == devices.second
    assert "gets no job" not in fleet.exs("workers")
    fleet.check()


def test_a_stop_lets_a_job_beside_a_stranger_finish(
    fleet: Fleet, devices: Gpus, stranger: subprocess.Popen[bytes]
) -> None:
    """Its slot was told to leave before: to be told again takes nothing from it."""
    go = fleet.root / "go"
    devices.now()
    node = devices.node(fleet, "a", "--gpus", devices.first, slots=1)
    (job,) = fleet.push("until", go)
    fleet.wait_running(job)
    devices.now(processes={devices.first: [stranger.pid]})
    node.wait_for("gets no job")
    os.kill(node.pid, signal.SIGTERM)
    node.wait_for("once more hands back")
    go.touch()
    assert node.agent is not None and node.agent.wait(20) == 0
    assert (fleet.row(job).state, fleet.row(job).attempts) == (S.DONE, 1)
    fleet.check()


def test_who_shares_his_gpus_does_not_mind(fleet: Fleet, devices: Gpus, stranger: subprocess.Popen[bytes]) -> None:
    devices.now(processes={devices.first: [stranger.pid]})
    devices.node(fleet, "a", "--gpus", devices.first, "--share-gpus", slots=1)
    (job,) = fleet.push()
    assert fleet.wait_state(job, S.DONE).gpus == devices.first
    fleet.check()


def test_the_processes_of_a_job_are_no_strangers(fleet: Fleet, devices: Gpus) -> None:
    """Nor is its daemon, which has left the session and hides its origin; two slots share the GPU meanwhile."""
    go = fleet.root / "go"
    devices.now()
    node = devices.node(fleet, "a", "--gpus", devices.first, "--per-gpu", "2", slots=2)
    first, second = fleet.push("daemons", "until", go, jobs=2)
    fleet.wait_running(first)
    fleet.wait_running(second)
    fleet.wait_event("daemon", 2)
    devices.now(processes={devices.first: fleet.witness.living()})
    again = fleet.push(name="again", jobs=4)
    go.touch()
    fleet.wait_all()
    assert {fleet.wait_state(job, S.DONE).attempts for job in again} == {1}
    assert "gets no job" not in node.text()
    assert fleet.store.audit() == [] == fleet.witness.living()


def test_an_agent_whose_gpu_is_taken_sleeps_meanwhile(
    fleet: Fleet, devices: Gpus, stranger: subprocess.Popen[bytes]
) -> None:
    """It is woken when that changes; to look again and again would take a share of a core for days."""
    devices.now(processes={devices.first: [stranger.pid]})
    node = devices.node(fleet, "a", slots=1, EXS_GPU_CHECK="60")
    node.wait_for("gets no job")
    status = Path(f"/proc/{node.pid}/task/{node.pid}/status")
    seen: list[list[str]] = []

    def asleep() -> bool:
        seen.append([line for line in status.read_text().splitlines() if "ctxt_switches" in line])
        return len(seen) > 20 and seen[-1] == seen[-20]

    assert fleet.wait(asleep, "20 looks in which the agent does nothing")


def test_a_driver_that_hangs_holds_up_nobody(fleet: Fleet, devices: Gpus) -> None:
    """A job that crashes meanwhile is lost, not failed; no other begins; the node hears a stop, and goes on later."""
    go = fleet.root / "go"
    devices.now()
    node = devices.node(fleet, "a", "--gpus", devices.first, slots=1, EXS_GPU_SILENCE="0.5")
    job, waits = fleet.push("until", go, "exit", 1, jobs=2, lost_after=600)
    fleet.wait_running(job)
    devices.now(silent=True)
    go.touch()
    row = fleet.wait_state(job, S.QUEUED)
    assert row.lost == 1 and "its driver does not answer" in row.history[0].detail
    node.wait_for("the driver of the GPUs does not answer")
    fleet.wait(lambda: not node.slots(), "no slot")
    assert fleet.row(waits).attempts == 0
    devices.now()
    assert [(row.failure, row.lost) for row in fleet.wait_all()] == [("error", 1), ("error", 0)]
    devices.now(silent=True)
    assert node.stop() == 0
    fleet.check()
