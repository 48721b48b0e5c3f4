"""What a running job tells of itself, on its way from `$EXS_REPORT` to those who look."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from exs.model import JobState, NewJob, Spec
from exs.store import keys
from exs.store.push import Origin
from harness.fleet import Fleet

S = JobState
ROOT = Path(__file__).resolve().parents[2]
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


def says(step: int, **metrics: float) -> tuple[str, str]:
    return "report", json.dumps({"step": step, "metrics": metrics})


def test_what_a_job_tells_is_seen_while_it_runs_and_afterwards(fleet: Fleet) -> None:
    go = fleet.root / "go"
    fleet.node("a")
    words = [word for step in (1, 2, 3) for word in says(step, loss=1 / step, acc=step)]
    status = ("report", '{"progress": 0.25, "status": "warm\\u001b[31m"}')
    (job,) = fleet.push(*words, *status, *KEEPS, "until", go, *says(4, loss=0.125), "report", '{"result": {"best": 7}}')
    fleet.wait(lambda: fleet.row(job).metrics.get("acc") == 3 and fleet.row(job).checkpoint, "metrics of a running job")
    row = fleet.row(job)
    assert (row.progress, row.said, row.metrics) == (0.25, "warm\x1b[31m", {"loss": 1 / 3, "acc": 3})
    page = fleet.exs("show", job)
    assert "            loss = 0.333333  (at step 3, min 0.333333 at 3, max 1.0 at 1, 3 values)" in page
    assert "progress    25%" in page and "says        warm\\x1b[31m" in page
    assert "checkpoint  checkpoints/a  (step 3)" in page
    assert "0.333333" in fleet.exs("list", "-t", "work")
    go.touch()
    row = fleet.wait_state(job, S.DONE)
    assert (row.result, row.metrics) == ({"best": 7}, {"loss": 0.125, "acc": 3})
    assert fleet.json("show", job)["series"]["loss"]["points"] == [[1, 1], [2, 0.5], [3, 0.333333333], [4, 0.125]]
    lines = (Path(row.directory) / "metrics" / "loss.json").read_text().splitlines()
    assert [json.loads(line)["loss"] for line in lines] == [1, 1 / 2, 1 / 3, 0.125]
    fleet.check()


def test_an_unmodified_program_has_metrics_and_results(fleet: Fleet) -> None:
    """Two lines of YAML, and what Schedy's documents have a program print."""
    fleet.node("a")
    text = "".join(f"epoch {n}: loss={1 / n}\n" for n in (1, 2, 4)) + "acc=0.5\nacc=nan\n"
    text += '--- RESULTS ---\n{"quality": 3, "loss": 0.2}\n--- END RESULTS ---\nbye\n'
    (job,) = fleet.push("print", text, metrics={"loss": r"epoch (?P<step>\d+): loss=(\S+)", "acc": r"acc=(\S+)"})
    row = fleet.wait_state(job, S.DONE)
    assert row.result == {"loss": 0.2, "acc": "nan", "quality": 3}
    assert row.metrics == {"loss": 0.25, "acc": "nan"}
    metrics = fleet.store.metrics([job])[job]
    assert metrics["loss"].points == ((1, 1), (2, 0.5), (4, 0.25))
    assert (metrics["acc"].count, metrics["acc"].first, metrics["acc"].last) == (2, (1, 0.5), (2, "nan"))
    fleet.check()


def test_what_the_next_attempt_says_takes_the_place_of_what_the_last_one_said(fleet: Fleet) -> None:
    """This one says each time all of it, as a program does that knows no checkpoints: nothing is there twice."""
    go = fleet.root / "go"
    fleet.node("a", EXS_RETRY_WAIT="0.1")
    words = [word for step in (1, 2, 3) for word in says(step, loss=step)]
    (job,) = fleet.push(*words, *KEEPS, *says(4, loss=44), "fail_unless", go, retries=99)
    fleet.wait(lambda: fleet.row(job).attempts > 1, "a second attempt")
    go.touch()
    fleet.wait_state(job, S.DONE)
    metric = fleet.store.metrics([job])[job]["loss"]
    assert metric.points == ((1, 1), (2, 2), (3, 3), (4, 44)) and metric.count == 4
    fleet.check()


TRAINING = """
import sys, time
from pathlib import Path
from exs import job

found = job.latest_checkpoint()
step = int((found / "step").read_text()) if found else 0
while step < 6:
    step += 1
    job.report(step=step, loss=job.params["i"] + 1 / step)
    job.progress(step / 6)
    if step == 3:
        with job.checkpoint(step=step) as folder:
            (folder / "step").write_text(str(step))
        job.report(step=4, loss=99)  # beyond it
        while not found and not Path(sys.argv[1]).exists():
            if job.should_stop():
                sys.exit(7)
            time.sleep(0.01)
job.result(seed=job.seed, final=step)
"""


def test_training_code_stops_when_asked_and_goes_on_from_its_checkpoint(fleet: Fleet) -> None:
    """The whole way with `exs.job`: reports, a checkpoint, asked to stop, stopped whatever its exit code, gone on."""
    script = fleet.root / "train.py"
    script.write_text(TRAINING)
    fleet.node("a")
    words = [sys.executable, str(script), str(fleet.root / "never")]
    spec = Spec(
        {"train": {"argv": [[word] for word in words]}}, "/nowhere", env={"PYTHONPATH": str(ROOT), "EXS_SEED": "5"}
    )
    fleet.store.push("work", spec, [NewJob({"i": 0}, "I_0", "ab" * 8)], Origin("ann", "laptop", "/x.yaml"))
    (job,) = [row.id for row in fleet.rows()]
    fleet.wait(lambda: fleet.row(job).checkpoint and fleet.row(job).metrics.get("loss") == 99, "a report past it")
    fleet.store.pause([job], "ann")
    row = fleet.wait_state(job, S.PAUSED)
    assert row.failure == "" and row.checkpoint["step"] == 3
    assert row.detail == "paused (exit code 7)"  # it looked by itself: no SIGTERM ended it where it was
    fleet.store.activate([job])
    row = fleet.wait_state(job, S.DONE)
    assert row.result["final"] == 6 and row.attempts == 2 and row.progress == 1.0
    metric = fleet.store.metrics([job])[job]["loss"]
    assert [point[0] for point in metric.points] == [1, 2, 3, 4, 5, 6]
    assert metric.count == 6 and metric.highest == (1.0, 1.0)  # and not the 99 that came after the checkpoint
    fleet.check()
