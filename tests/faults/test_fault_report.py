"""What a job tells of itself, when Redis, its slot, its node or its disk fail (R2, R6, R20)."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from exs.model import JobState
from exs.store import keys
from harness.disk import ROOT, small_disk
from harness.fleet import Fleet

S = JobState
MIB = 1 << 20


def says(*steps: int, **more: float) -> list[str]:
    """Words of job.py that report these steps."""
    lines = [{"step": step, "metrics": {"loss": step, **more}} for step in steps]
    return [word for line in lines for word in ("report", json.dumps(line))]


def steps(fleet: Fleet, job: str, name: str = "loss") -> list[float]:
    """Steps of a metric as Redis has them."""
    found = fleet.store.metrics([job]).get(job, {})
    return [point[0] for point in found[name].points] if name in found else []


@pytest.mark.parametrize("ends", ["after it is back", "while it is away"])
def test_redis_is_away_while_a_job_reports(fleet: Fleet, ends: str) -> None:
    """Nothing is lost and nothing is there twice; an outcome that has to wait brings its metrics along."""
    more, go = fleet.root / "more", fleet.root / "go"
    node = fleet.node("a", EXS_REPORT_EVERY="0.1")
    last = ["report", '{"progress": 1.0}', *says(4, 5)]
    words = [*says(1, 2), "until", more, *says(3), "pause", 0.3]
    (job,) = fleet.push(*words, *(["until", go] if ends == "after it is back" else []), *last, lost_after=600)
    fleet.wait(lambda: steps(fleet, job) == [1, 2], "the first steps")
    fleet.server.kill()
    more.touch()
    if ends == "while it is away":
        fleet.wait(lambda: list(node.home.rglob("*.outcome.json")), "an outcome on disk")
    else:
        fleet.wait(lambda: '"loss": 3' in _file(node.work), "the third step in its file")
    fleet.server.start()
    if ends == "after it is back":
        fleet.wait(lambda: steps(fleet, job) == [1, 2, 3], "the third step in Redis")
    go.touch()
    row = fleet.wait_state(job, S.DONE)
    assert (row.attempts, row.progress) == (1, 1.0)
    assert steps(fleet, job) == [1, 2, 3, 4, 5] and fleet.store.metrics([job])[job]["loss"].count == 5
    assert [json.loads(line)["step"] for line in _file(node.work).splitlines()] == [1, 2, 3, 4, 5]
    fleet.check()


def _file(work: Path) -> str:
    (found,) = work.rglob("metrics/loss.json")
    return found.read_text()


def test_redis_forgets_its_last_second(fleet: Fleet) -> None:
    """R20: what comes later would build upon points that are not there any more; all of them are told again."""
    more, go = fleet.root / "more", fleet.root / "go"
    fleet.node("a", EXS_REPORT_EVERY="0.1")
    (job,) = fleet.push(*says(1, 2), "until", more, *says(3), "until", go)
    fleet.wait(lambda: steps(fleet, job) == [1, 2], "the first steps")
    fleet.server.client().delete(f"{keys.SERIES}{job}:loss", keys.METRICS + job)
    more.touch()
    fleet.wait(lambda: steps(fleet, job) == [1, 2, 3], "all steps")
    go.touch()
    fleet.wait_state(job, S.DONE)
    assert steps(fleet, job) == [1, 2, 3]
    fleet.check()


def test_a_slot_is_killed_while_its_job_reports(fleet: Fleet) -> None:
    """The next attempt begins anew: what the first one said is gone, however much of it had arrived."""
    go = fleet.root / "go"
    node = fleet.node("a", EXS_REPORT_EVERY="0.1")
    (job,) = fleet.push(*says(1, 2, 3, only=7), "until", go)
    fleet.wait(lambda: steps(fleet, job) == [1, 2, 3], "metrics")
    os.kill(node.slots()[0], signal.SIGKILL)
    fleet.wait_running(job, 2)
    fleet.wait(lambda: fleet.server.client().hget(keys.METRICS + job, "") == fleet.row(job).attempt, "the next one's")
    go.touch()
    fleet.wait_state(job, S.DONE)
    assert steps(fleet, job) == [1, 2, 3] and fleet.store.metrics([job])[job]["loss"].count == 3
    assert len(_file(node.work).splitlines()) == 3
    fleet.check()


def test_nothing_of_an_attempt_that_was_fenced_out_appears(fleet: Fleet) -> None:
    """A node is cut off, its job runs elsewhere; what it told meanwhile and tells on its return is nobody's."""
    go, late, proxy = fleet.root / "go", fleet.root / "late", fleet.proxy()
    far = fleet.node("a", url=proxy.url, EXS_REPORT_EVERY="0.1")
    (job,) = fleet.push(
        "sign", "keep", "c", "report", '{"checkpoint": "c"}', *says(1), "until", go, *says(2), "until", late
    )
    first = fleet.wait_running(job)
    fleet.wait(lambda: steps(fleet, job) == [1], "its first word")
    proxy.cut()
    fleet.node("b", EXS_REPORT_EVERY="0.1")
    second = fleet.wait_running(job, 2)
    told = fleet.server.client()
    fleet.wait(lambda: told.hget(keys.METRICS + job, "") == second.attempt, "the word of the second")
    go.touch()
    fleet.wait(lambda: steps(fleet, job) == [1, 2], "both words of the second")
    fleet.wait(lambda: '"loss": 2' in _file(far.work), "both words of the first, in its own files")
    proxy.go()
    fleet.wait_gone(first.attempt, 10.0)
    late.touch()
    row = fleet.wait_state(job, S.DONE)
    assert (row.node, row.result) == ("b", {"attempt": second.attempt})
    assert steps(fleet, job) == [1, 2] and told.hget(keys.METRICS + job, "") == second.attempt
    fleet.check()


@pytest.mark.parametrize("_", [pytest.param("", marks=ROOT)])
def test_the_disk_of_a_run_directory_is_full(fleet: Fleet, _: str) -> None:
    """The job is not disturbed, Redis has its metrics, and it is said that the file lacks some."""
    node = fleet.node("a", start=False, EXS_REPORT_EVERY="0.1")
    with small_disk(node.work, "1m"):
        try:
            node.start()
            words = ["flood", 3 * MIB, "\n", "print", "loss=0.5", "print", "loss=0.25"]
            (job,) = fleet.push(*words, metrics={"loss": r"loss=(\S+)"})
            row = fleet.wait_state(job, S.DONE, S.CRASHED)
            assert (row.state, row.result, row.metrics) == (S.DONE, {"loss": 0.25}, {"loss": 0.25})
            assert steps(fleet, job) == [1, 2]
            assert "loss.json is not whole: No space left on device" in row.detail
        finally:
            node.power_off()
    fleet.check()


def test_redis_has_no_memory_for_metrics(fleet: Fleet) -> None:
    """They are refused while outcomes are not; when there is room again they are there."""
    go, more = fleet.root / "go", fleet.root / "more"
    node = fleet.node("a", EXS_REPORT_EVERY="0.1")
    (job,) = fleet.push("until", more, *says(1, 2), "until", go)
    fleet.wait_running(job)
    fleet.server.client().config_set("maxmemory", "1")
    more.touch()
    fleet.wait(lambda: list(node.work.rglob("metrics/loss.json")) and '"loss": 2' in _file(node.work), "its file")
    assert steps(fleet, job) == []
    fleet.server.client().config_set("maxmemory", "0")
    fleet.wait(lambda: steps(fleet, job) == [1, 2], "its metrics")
    go.touch()
    assert fleet.wait_state(job, S.DONE).attempts == 1
    fleet.check()
