"""Who has which GPU: two workers on one machine, a GPU that is taken, shares of one."""

from __future__ import annotations

import signal

from exs.errors import EXIT_BAD_INPUT, EXIT_REDIS
from exs.model import JobState
from harness.fleet import Fleet
from harness.node import gpus

S = JobState


def test_a_second_worker_waits_for_a_gpu_that_is_taken(fleet: Fleet) -> None:
    """It says so once, serves its other GPU meanwhile, and takes over when the first has left."""
    go, (shared, other) = fleet.root / "go", gpus(2)
    first = fleet.node("a", "--gpus", shared)
    (job,) = fleet.push("until", go, gpus=[shared])
    fleet.wait_running(job)
    second = fleet.node("b", "--gpus", f"{shared},{other}", slots=1)
    second.wait_for(f"wait for gpu{shared}: process {first.slots()[0]} has it")
    (elsewhere,) = fleet.push(name="elsewhere", gpus=[other])
    assert fleet.wait_state(elsewhere, S.DONE).node == "b"
    first.agent is not None and first.agent.send_signal(signal.SIGTERM)
    (next_one,) = fleet.push(name="next", gpus=[shared])
    go.touch()
    assert fleet.wait_state(next_one, S.DONE).node == "b"
    assert fleet.wait_state(job, S.DONE).node == "a"
    assert second.text().count("wait for gpu") == 1
    fleet.check()


def test_two_workers_on_one_machine_and_shares_of_a_gpu(fleet: Fleet) -> None:
    go, (one, two, three) = fleet.root / "go", gpus(3)
    fleet.node("a", "--gpus", one, "--per-gpu", "2", slots=2)
    fleet.node("b", "--slot", f"{two},{three}", "--cpus", "1", slots=2)
    jobs = fleet.push("until", go, jobs=4)
    fleet.wait_event("start", 4)
    devices = sorted(seen.devices for seen in fleet.witness.seen("start"))
    assert devices == sorted([one, one, f"{two},{three}", ""])
    assert [(row.node, row.state) for row in fleet.store.workers()] == [("a", "busy")] * 2 + [("b", "busy")] * 2
    go.touch()
    assert {fleet.wait_state(job, S.DONE).attempts for job in jobs} == {1}
    assert fleet.store.audit() == [] and not fleet.witness.living()


def test_a_worker_for_one_experiment_waits_for_it_and_takes_no_other(fleet: Fleet) -> None:
    node = fleet.node("a", "--cpus", "1", "--only", "mine")
    node.wait_for("there is no experiment mine yet")
    (other,) = fleet.push(name="other")
    (mine,) = fleet.push(name="mine")
    assert fleet.wait_state(mine, S.DONE).node == "a"
    assert node.stop() == 0
    assert fleet.row(other).state is S.QUEUED
    assert "only=mine" in node.text()


def test_a_worker_that_cannot_start_says_why(fleet: Fleet) -> None:
    node = fleet.node("a", start=False)
    assert node.launch("--gpus", "1000").wait(20) == EXIT_BAD_INPUT
    assert node.launch("--workdir", str(fleet.root / "nowhere")).wait(20) == EXIT_BAD_INPUT
    fleet.server.kill()
    assert node.launch().wait(20) == EXIT_REDIS
    said = node.text()
    assert "1000" in said and "nowhere is not a directory" in said and "cannot reach Redis" in said
    assert "Traceback" not in said
