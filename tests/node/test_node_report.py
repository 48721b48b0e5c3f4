"""What a running job tells of itself, on its way from `$EXS_REPORT` to those who look."""

from __future__ import annotations

import json
import os
import signal

import pytest

from exs.model import JobState
from exs.store import keys
from harness.fleet import Fleet

S = JobState
#: A job that keeps something and says so, then waits.
KEEPS = ("keep", "checkpoints/a", "report", '{"checkpoint": {"path": "checkpoints/a", "step": 3}}')


def field(fleet: Fleet, job: str, name: str) -> str | None:
    value: str | None = fleet.server.client().hget(keys.RQ_JOB + job, name)
    return value


@pytest.mark.parametrize("end", ["retry", "slot killed", "handed back"])
def test_the_next_attempt_goes_on_from_the_checkpoint(fleet: Fleet, end: str) -> None:
    go = fleet.root / "go"
    node = fleet.node("a", EXS_REPORT_EVERY="60" if end == "handed back" else "0.1")
    last = "fail_unless" if end == "retry" else "until"
    (job,) = fleet.push("told", "EXS_CHECKPOINT", *KEEPS, "told", "EXS_JOB", last, go, retries=9)
    fleet.wait_event("told", 2)
    if end == "slot killed":
        fleet.wait(lambda: field(fleet, job, "ck"), "the checkpoint in Redis, the job still running")
        os.kill(node.slots()[0], signal.SIGKILL)
    elif end == "handed back":  # before its slot has looked: the word comes with the release
        os.kill(node.pid, signal.SIGTERM)
        node.wait_for("once more hands back")
        assert field(fleet, job, "ck") is None
        node.hand_back()
        assert node.agent is not None and node.agent.wait(20) == 0
        node.start()
    fleet.wait(lambda: fleet.row(job).attempts > 1, "a second attempt")
    go.touch()
    row = fleet.wait_state(job, S.DONE)
    told = [seen.text for seen in fleet.witness.seen("told") if seen.text != job]
    assert told[0] == "" and told[-1] == f"{row.directory}/checkpoints/a"
    assert json.loads(field(fleet, job, "ck") or "") == {"path": "checkpoints/a", "step": 3}
    fleet.check()
