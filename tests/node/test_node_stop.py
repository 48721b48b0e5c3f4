"""Leaving: one signal finishes the job, two hand it back, a terminal that closes takes nothing with it."""

from __future__ import annotations

import os
import signal

import pytest

from exs.model import JobState
from harness.fleet import Fleet

S = JobState


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_first_signal_finishes_the_job_and_takes_no_other(fleet: Fleet, how: signal.Signals) -> None:
    """F11, F13: the signal goes to the whole group, as Ctrl-C does; the job has a session of its own."""
    node = fleet.node("a")
    first, second = fleet.push("until", fleet.root / "go", jobs=2)
    fleet.wait_running(first)
    os.killpg(node.pid, how)
    node.wait_for("finish their jobs")
    (fleet.root / "go").touch()
    assert node.agent is not None and node.agent.wait(20) == 0
    assert (fleet.row(first).state, fleet.row(first).attempts) == (S.DONE, 1)
    assert (fleet.row(second).state, fleet.row(second).attempts) == (S.QUEUED, 0)
    assert fleet.store.workers() == []
    fleet.check()


def test_second_signal_hands_the_job_back_unpunished(fleet: Fleet) -> None:
    """F12: SIGTERM, the grace period, SIGKILL for a job that does not listen; and no retry is spent."""
    node = fleet.node("a")
    (job,) = fleet.push("stubborn", "daemons", "until", fleet.root / "go")
    attempt = fleet.wait_running(job).attempt
    fleet.wait_event("family")
    os.kill(node.pid, signal.SIGTERM)
    node.wait_for("finish their jobs")
    os.kill(node.pid, signal.SIGTERM)
    assert node.agent is not None and node.agent.wait(20) == 0
    row = fleet.row(job)
    assert (row.state, row.lost, row.retries if hasattr(row, "retries") else 0) == (S.QUEUED, 0, 0)
    assert not fleet.witness.living(attempt)
    (fleet.root / "go").touch()
    fleet.node("b")
    assert fleet.wait_state(job, S.DONE).attempts == 2
    fleet.check()
