"""What becomes of jobs that fail, on real workers: policies, patterns in the output, the breaker and the canary."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from exs.model import JobState, NewJob, Spec
from exs.store import keys
from exs.store.push import Origin
from harness.fleet import Fleet
from harness.node import gpus

S = JobState


def policy(pattern: str, action: str, name: str = "") -> dict[str, Any]:
    return {"log_policies": [{"name": name, "pattern": pattern, "action": action}]}


def shell(fleet: Fleet, text: str, jobs: int, name: str = "work", **options: Any) -> list[str]:
    """Queue jobs that a shell runs; returns their ids."""
    spec = Spec({"train": {"argv": [["/bin/sh"], ["-c"], [text]]}}, cwd=str(fleet.home))
    points = [NewJob({"i": i}, f"I_{i}", f"{i:016x}") for i in range(jobs)]
    fleet.store.push(name, spec, points, Origin("alice", "laptop", f"/{name}.yaml"), **options)
    return fleet.store.ids(name)


def test_an_exit_code_says_do_not_retry_me(fleet: Fleet) -> None:
    fleet.node("a")
    (final,) = fleet.push("exit", 3, name="final", retries=5, on_failure={"exit 3": ["fail", None]})
    (other,) = fleet.push("exit", 4, name="other", retries=1, on_failure={"exit 3": ["fail", None]})
    row = fleet.wait_state(final, S.CRASHED)
    assert (row.attempts, row.detail) == (1, "exit code 3; not retried (on_failure: exit 3)")
    assert fleet.wait_state(other, S.CRASHED).attempts == 2
    fleet.check()


def test_a_class_has_its_own_count(fleet: Fleet) -> None:
    fleet.node("a")
    rules = {"timeout": ["fail", None], "oom": ["retry", 2]}
    (late,) = fleet.push("until", fleet.root / "never", name="late", retries=3, timeout=0.3, on_failure=rules)
    (large,) = fleet.push("print", "MemoryError", "exit", 1, name="large", on_failure=rules)
    assert fleet.wait_state(late, S.CRASHED).attempts == 1
    row = fleet.wait_state(large, S.CRASHED)
    assert (row.attempts, row.failure) == (3, "oom")
    fleet.check()


def test_a_line_of_output_cancels_the_retries(fleet: Fleet) -> None:
    """Only of an attempt that failed: the same line in one that succeeds means nothing."""
    fleet.node("a")
    given = policy(".*CUDA error.*", "cancel_retries", "CUDA")
    (bad,) = fleet.push("print", "RuntimeError: CUDA error: 719", "exit", 1, name="bad", retries=5, **given)
    (good,) = fleet.push("print", "RuntimeError: CUDA error: 719", name="good", retries=5, **given)
    row = fleet.wait_state(bad, S.CRASHED)
    assert (row.attempts, row.exit_code) == (1, 1)
    assert row.detail == "exit code 1; not retried (log policy CUDA: RuntimeError: CUDA error: 719)"
    assert row.detail in fleet.exs("show", bad)
    assert fleet.wait_state(good, S.DONE).detail == ""
    fleet.check()


def test_a_node_is_left_out_of_the_next_attempts(fleet: Fleet) -> None:
    fleet.node("bad")
    go = fleet.root / "go"
    given = policy("uncorrectable ECC", "exclude_node")
    (job,) = fleet.push("print", "uncorrectable ECC error", "fail_unless", go, retries=1, **given)
    row = fleet.wait(lambda: (found := fleet.row(job)).attempts == 1 and found.excluded and found, "its first failure")
    assert (row.excluded, row.failure) == (("bad",), "error")
    go.touch()
    (other,) = fleet.push(name="other")  # the node works on
    assert fleet.wait_state(other, S.DONE).node == "bad"
    assert fleet.row(job).attempts == 1
    assert "not on bad" in fleet.exs("list", "-t", "work") and "bad" in fleet.exs("show", job)
    fleet.node("good")
    row = fleet.wait_state(job, S.DONE)
    assert (row.node, row.attempts) == ("good", 2)
    fleet.check()


def test_a_gpu_that_is_too_small_sends_a_job_to_a_larger_one(fleet: Fleet) -> None:
    small, large = gpus(2)
    fleet.node("small", "--gpus", small, EXS_FAKE_GPUS="999x11GiB")
    fleet.node("large", "--gpus", large, EXS_FAKE_GPUS="999x24GiB")
    fleet.wait(lambda: len(fleet.store.workers()) == 2, "both slots")
    text = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 16.00 GiB"
    ids = fleet.push("print", text, "exit", 1, jobs=3)
    for job in ids:
        row = fleet.wait_state(job, S.CRASHED)
        assert row.node == "large" and row.failure == "oom", row
        for first in row.history:
            assert first.node == "small" and "goes to a slot with more than 11 GiB" in first.detail
    assert any(fleet.row(job).history for job in ids)
    fleet.check()


def test_jobs_that_all_fail_alike_pause_their_sweep(fleet: Fleet) -> None:
    fleet.node("a", "--cpus", "3", slots=3)
    text = "echo step $RANDOM; echo \"ModuleNotFoundError: No module named 'foo'\" >&2; exit 1"
    shell(fleet, text, 200)
    row = fleet.wait(lambda: (found := fleet.store.experiment("work")).paused and found, "the breaker")
    assert row.paused_by.startswith("breaker: ") and "No module named 'foo'" in row.paused_by
    fleet.wait(lambda: not fleet.store.counts("work")[S.RUNNING], "the end of those that run")
    assert fleet.store.counts("work")[S.QUEUED] >= 190
    fleet.check()


def test_a_slot_on_which_everything_fails_is_quarantined(fleet: Fleet) -> None:
    """Its jobs run elsewhere, none of them crashed, and `exs workers` says why it has none."""
    fleet.node("bad")
    fleet.node("good")
    fleet.wait(lambda: len(fleet.store.workers()) == 2, "both slots")
    text = "case $EXS_WORKER in bad:*) echo driver >&2; exit 9;; esac; sleep 0.05"
    shell(fleet, text, 30)
    rows = fleet.wait_all(seconds=60)
    assert {row.state for row in rows} == {S.DONE} and {row.node for row in rows} == {"good"}
    (drained,) = fleet.server.client().hkeys(keys.DRAINED)
    assert drained.decode().startswith("bad:") if isinstance(drained, bytes) else drained.startswith("bad:")
    assert "jobs in a row failed here" in fleet.exs("workers")
    assert not fleet.store.experiment("work").paused
    fleet.check()


@pytest.mark.parametrize("good", [True, False])
def test_one_job_goes_first(fleet: Fleet, good: bool) -> None:
    go = fleet.root / "go"
    (fleet.home / "train.py").write_text(
        f"import os, sys, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.02)\nsys.exit({0 if good else 5})\n"
    )
    command = f"{sys.executable} {fleet.home}/train.py {{x}}"
    (fleet.home / "sweep.yaml").write_text(f"name: work\ncommand: {command}\nparams: {{x: [1, 2, 3, 4]}}\n")
    fleet.node("a", "--cpus", "2", slots=2)
    fleet.exs("push", "--canary", "1", "sweep.yaml")
    fleet.wait(lambda: fleet.store.counts("work")[S.RUNNING] == 1, "the canary")
    fleet.wait(
        lambda: {row.state for row in fleet.store.workers()} == {"busy", "idle"}, "a slot that has nothing to do"
    )
    assert [row.state for row in fleet.rows()] == [S.RUNNING] + [S.QUEUED] * 3
    go.touch()
    if good:
        assert {row.state for row in fleet.wait_all()} == {S.DONE}
        return
    fleet.wait_state(fleet.rows()[0].id, S.CRASHED)
    row = fleet.store.experiment("work")
    assert row.paused_by == "canary: job work/0 failed: exit code 5"
    assert [row.state for row in fleet.rows()] == [S.CRASHED] + [S.QUEUED] * 3
