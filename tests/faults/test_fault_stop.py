"""Nodes that are told to stop: once, twice, from a terminal."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from exs.model import JobState
from harness.fleet import Fleet

S = JobState


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(signal.SIGTERM, marks=pytest.mark.fault(11)),
        pytest.param(signal.SIGINT, marks=pytest.mark.fault(13)),
        signal.SIGHUP,
    ],
)
def test_f11_f13_first_signal_finishes_the_job_and_takes_no_other(fleet: Fleet, how: signal.Signals) -> None:
    """The signal goes to the whole group, as Ctrl-C does; the job has a session of its own."""
    node = fleet.node("a")
    first, second = fleet.push("until", fleet.root / "go", jobs=2)
    fleet.wait_running(first)
    os.killpg(node.pid, how)
    node.wait_for("1 slot finishes its job and leaves")
    (fleet.root / "go").touch()
    assert node.agent is not None and node.agent.wait(20) == 0
    assert (fleet.row(first).state, fleet.row(first).attempts) == (S.DONE, 1)
    assert (fleet.row(second).state, fleet.row(second).attempts) == (S.QUEUED, 0)
    assert fleet.store.workers() == []
    fleet.check()


@pytest.mark.fault(12)
def test_f12_second_signal_hands_the_job_back_unpunished(fleet: Fleet) -> None:
    """SIGTERM, the grace period, SIGKILL for a job that does not listen; and no retry is spent."""
    node = fleet.node("a")
    go, mended = fleet.root / "go", fleet.root / "mended"
    (job,) = fleet.push("stubborn", "daemons", "until", go, "fail_unless", mended, retries=1)
    attempt = fleet.wait_running(job).attempt
    fleet.wait_event("family")
    os.kill(node.pid, signal.SIGTERM)
    node.wait_for("once more hands back")
    node.hand_back()
    assert node.agent is not None and node.agent.wait(20) == 0
    row = fleet.row(job)
    assert (row.state, row.lost, row.failure) == (S.QUEUED, 0, "")
    assert not fleet.witness.living(attempt)
    go.touch()
    fleet.node("b")
    fleet.wait(lambda: fleet.row(job).attempts == 3 or fleet.row(job).retry_at, "the only retry, spent on a failure")
    mended.touch()
    assert fleet.wait_state(job, S.DONE).attempts == 3
    fleet.check()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_that_comes_twice_is_no_second_one(fleet: Fleet, how: signal.Signals) -> None:
    """A shell tells a closing terminal's SIGHUP once more, `timeout` its SIGTERM, `uv run` the SIGINT of Ctrl-C."""
    node = fleet.node("a")
    (job,) = fleet.push("until", fleet.root / "go")
    fleet.wait_running(job)
    os.kill(node.pid, signal.SIGSTOP)
    os.kill(node.pid, how)
    os.kill(node.pid, signal.SIGCONT)
    fleet.wait(lambda: not pending(node.pid), "the first arrives")
    os.kill(node.pid, how)
    node.wait_for("once more hands back")
    (fleet.root / "go").touch()
    assert node.agent is not None and node.agent.wait(20) == 0
    assert "stop now" not in node.text()
    assert (fleet.row(job).state, fleet.row(job).attempts) == (S.DONE, 1)
    fleet.check()


def pending(pid: int) -> bool:
    """True while a signal has not been delivered to the process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return any(int(line.split()[1], 16) for line in lines if line.startswith(("SigPnd", "ShdPnd")))
