"""Faults of the machine: clocks that lie, directories that cannot be written, output that is no text, no driver."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from exs.model import JobState
from harness.fleet import Fleet
from harness.node import environment

S = JobState
CLOCK = Path(__file__).parents[1] / "harness" / "clock"
#: Not UTF-8, NUL, escape sequences, no newline at the end.
NASTY = bytes(range(256)) + b"\x1b[2J\x1b]0;title\x07\r\n\xff\xfe"


@pytest.mark.fault(34)
@pytest.mark.skipif(shutil.which("faketime") is None, reason="faketime is not installed")
def test_f34_clocks_of_nodes_are_an_hour_off(fleet: Fleet) -> None:
    """Only Redis's clock counts: nobody is lost, and the times shown are Redis's."""
    go = fleet.root / "go"
    for name, offset in (("fast", "+3600s"), ("slow", "-3600s")):
        fleet.node(name, prefix=("faketime", "-f", offset))
    before = fleet.store.now()
    jobs = fleet.push("until", go, jobs=6)
    fleet.wait_event("start", 2)
    fleet.wait(lambda: fleet.store.now() > before + 3, "more than a lease and all of lost_after")
    go.touch()
    rows = fleet.wait_all()
    assert fleet.witness.runs() == dict.fromkeys(jobs, 1)
    for row in rows:
        assert (row.state, row.attempts, row.lost) == (S.DONE, 1, 0)
        assert before - 1 <= row.created_at <= row.started_at <= row.ended_at <= fleet.store.now()
    assert {row.node for row in rows} == {"fast", "slow"}
    fleet.check()


def test_the_clock_of_a_node_jumps_during_a_job(fleet: Fleet) -> None:
    """F34: an hour ahead, then an hour back; durations are none of the wall clock's business."""
    go, clock = fleet.root / "go", fleet.root / "clock"
    clock.write_text("0")
    python = os.pathsep.join([str(CLOCK), environment("", fleet.root)["PYTHONPATH"]])
    node = fleet.node("a", PYTHONPATH=python, TEST_CLOCK=str(clock))
    before = fleet.store.now()
    (job,) = fleet.push("until", go)
    fleet.wait_running(job)
    for offset in ("3600", "-3600"):
        clock.write_text(offset)
        since = fleet.store.now()
        fleet.wait(lambda since=since: fleet.store.now() > since + 2, "two leases")
        assert (fleet.row(job).state, fleet.row(job).attempts, fleet.row(job).lease_late) == (S.RUNNING, 1, 0)
    go.touch()
    row = fleet.wait_state(job, S.DONE)
    assert (row.attempts, row.lost) == (1, 0)
    assert before - 1 <= row.created_at <= row.started_at <= row.ended_at <= fleet.store.now()
    assert 4 <= row.seconds <= row.ended_at - before
    assert node.ended() is None
    fleet.check()


@pytest.mark.fault(36)
def test_f36_an_output_that_cannot_be_made_fails_the_job_alone(fleet: Fleet) -> None:
    node = fleet.node("a")
    (node.work / "file").write_text("in the way")
    bad = fleet.push(name="bad", output="file/output")
    good = fleet.push()
    row = fleet.wait_state(bad[0], S.CRASHED)
    assert row.failure == "spawn" and "cannot create" in row.detail and "file/output" in row.detail
    assert fleet.wait_state(good[0], S.DONE).attempts == 1
    fleet.check()


def test_a_run_directory_that_vanishes_does_not_change_the_outcome(fleet: Fleet) -> None:
    go = fleet.root / "go"
    node = fleet.node("a")
    first, second = fleet.push("until", go, jobs=2)
    fleet.wait_running(first)
    shutil.rmtree(node.work / "output")
    go.touch()
    assert [fleet.wait_state(job, S.DONE).attempts for job in (first, second)] == [1, 1]
    fleet.check()


@pytest.mark.fault(38)
def test_f38_output_that_is_no_text_is_kept_byte_for_byte(fleet: Fleet) -> None:
    fleet.node("a")
    (job,) = fleet.push("bytes", NASTY.hex())
    row = fleet.wait_state(job, S.DONE)
    assert Path(row.log).read_bytes() == NASTY
    assert fleet.exs_bytes("logs", "work/0") == NASTY
    fleet.check()


@pytest.mark.fault(40)
def test_f40_a_machine_without_a_driver_serves_cpus(fleet: Fleet) -> None:
    fleet.node("a", "--cpus", "2", slots=2, EXS_FAKE_GPUS="")
    jobs = fleet.push(jobs=2)
    assert {fleet.wait_state(job, S.DONE).gpus for job in jobs} == {""}
    assert {seen.devices for seen in fleet.witness.seen("start")} == {""}
    fleet.check()
