"""Workers that leave by themselves: --max-jobs, --idle-exit, --until, alone and together; with exit code 0."""

from __future__ import annotations

import json
import re
import time
from collections import Counter

import redis

from exs.model import JobState
from exs.store import keys
from harness.fleet import Fleet
from harness.node import Node

S = JobState


def in_seconds(seconds: float) -> str:
    """A local time so far from now."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() + seconds))


def leaves(fleet: Fleet, node: Node) -> None:
    """It ends by itself, well, and its slots leave the lists."""
    fleet.wait(lambda: node.ended() is not None, "the worker leaves", 30)
    assert node.ended() == 0, node.text()
    assert fleet.store.workers() == []


def test_a_worker_begins_no_more_jobs_than_it_may(fleet: Fleet) -> None:
    node = fleet.node("a", start=False)
    node.start("--cpus", "3", "--max-jobs", "7", slots=0)
    jobs = fleet.push(jobs=20)
    leaves(fleet, node)
    runs = fleet.witness.runs()
    assert len(runs) == 7 and set(runs.values()) == {1}
    assert Counter(fleet.row(job).state for job in jobs) == {S.DONE: 7, S.QUEUED: 13}
    assert "as many jobs have begun as --max-jobs allows (7)" in node.text()
    fleet.check()


def test_what_is_left_of_max_jobs_goes_to_the_slot_that_can_use_it(fleet: Fleet) -> None:
    """Two idle slots do not keep the last ones from each other, and enough is left for the rest."""
    node = fleet.node("a", start=False)
    node.start("--cpus", "3", "--max-jobs", "2", slots=3)
    (first,) = fleet.push()
    fleet.wait_state(first, S.DONE)
    assert node.ended() is None
    assert "leaves after 2 jobs of its worker" in fleet.exs("workers")
    (second, third) = fleet.push(name="more", jobs=2)
    leaves(fleet, node)
    assert sorted(fleet.row(job).state for job in (second, third)) == [S.DONE, S.QUEUED]
    fleet.check()


def test_a_worker_without_work_leaves_and_one_that_works_does_not(fleet: Fleet) -> None:
    node = fleet.node("a", start=False)
    (job,) = fleet.push("until", fleet.root / "go")
    node.start("--cpus", "2", "--idle-exit", "1s", slots=0)
    fleet.wait_running(job)
    began = time.monotonic()
    fleet.wait(lambda: time.monotonic() - began > 1.5, "more than the time")
    assert node.ended() is None
    (fleet.root / "go").touch()
    fleet.wait_state(job, S.DONE)
    done = time.monotonic()
    leaves(fleet, node)
    assert time.monotonic() - done > 0.8
    assert "no job for 1 s (--idle-exit)" in node.text()
    fleet.check()


def test_after_its_time_a_worker_takes_no_job_and_finishes_the_one_it_has(fleet: Fleet) -> None:
    node = fleet.node("a", start=False)
    first, second = fleet.push("until", fleet.root / "go", jobs=2)
    node.start("--until", in_seconds(10), slots=0)
    fleet.wait_running(first)
    node.wait_for("the time of --until has come")
    (fleet.root / "go").touch()
    leaves(fleet, node)
    assert [fleet.row(job).state for job in (first, second)] == [S.DONE, S.QUEUED]
    assert fleet.row(second).attempts == 0
    fleet.check()


def test_an_idle_worker_leaves_at_its_time(fleet: Fleet) -> None:
    until = in_seconds(10)
    node = fleet.node("a", "--until", until)
    fleet.wait(fleet.store.workers, "the slot is registered")
    assert f"until {until[11:16]}" in fleet.exs("workers")
    leaves(fleet, node)
    assert f"serve until {until}".removesuffix(":00") in node.text()


def test_what_still_runs_after_the_grace_is_handed_back(fleet: Fleet) -> None:
    node = fleet.node("a", start=False)
    (job,) = fleet.push("daemons", "until", fleet.root / "go")
    node.start("--until", in_seconds(10), "--grace", "1s", slots=0)
    attempt = fleet.wait_running(job).attempt
    leaves(fleet, node)
    row = fleet.row(job)
    assert (row.state, row.lost, row.failure) == (S.QUEUED, 0, "")
    assert not fleet.witness.living(attempt)
    assert "hand back what still runs" in node.text()
    fleet.check()


def test_a_worker_with_an_end_leaves_long_jobs_to_others_and_why_says_so(fleet: Fleet) -> None:
    """Of `long` it is known how long it takes, of `bounded` how long it may; `quick` stands behind both."""
    (done,) = fleet.push(name="long")
    first = fleet.node("a")
    fleet.wait_state(done, S.DONE)
    assert first.stop() == 0
    an_hour_ago = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(fleet.row(done).ended_at - 3600))
    with redis.Redis.from_url(fleet.server.url) as client:
        client.hset(keys.RQ_JOB + done, "started_at", an_hour_ago)
    long = fleet.push(name="long", jobs=2)[1]
    (bounded,) = fleet.push(name="bounded", timeout=4 * 3600.0)
    (quick,) = fleet.push(name="quick")
    until = in_seconds(600)
    fleet.node("b", "--until", until, "--grace", "30s")
    fleet.wait_state(quick, S.DONE)
    assert [(fleet.row(job).state, fleet.row(job).attempts) for job in (long, bounded)] == [(S.QUEUED, 0)] * 2
    calm = {"EXS_LEASE": "60"}  # an idle slot is heard every 5 s
    out = fleet.exs("why", "long", **calm)
    assert "QUEUED  every slot that could run it ends before it would be done" in out
    outlasts = r"outlasts this slot, which ends in (10m|9m\d\ds)$"
    known = re.compile(rf"b:cpu0  what jobs of its experiment take, 1h00m \(median of 1\), {outlasts}", re.MULTILINE)
    assert known.search(out) and "next: exs workers · exs worker" in out
    assert re.search(rf"b:cpu0  its timeout of 4h00m {outlasts}", fleet.exs("why", bounded, **calm), re.MULTILINE)
    listed = json.loads(fleet.exs("list", "--json", **calm))["experiments"]
    assert [row["why"] for row in listed] == ["ending", "ending", None]
    assert re.search(rf"until {until[11:16]}, ends \d\d:\d\d$", fleet.exs("workers"), re.MULTILINE)
    fleet.node("c")
    for job in (long, bounded):
        assert fleet.wait_state(job, S.DONE).node == "c"
    fleet.check()


def test_whichever_comes_first(fleet: Fleet) -> None:
    jobs = fleet.push(jobs=4)
    node = fleet.node("a", start=False)
    later = in_seconds(600)
    node.start("--until", later, "--grace", "5s", "--idle-exit", "10m", "--max-jobs", "2", slots=0)
    leaves(fleet, node)
    node.start("--until", later, "--idle-exit", "1s", "--max-jobs", "50", slots=0)
    leaves(fleet, node)
    assert {fleet.row(job).state for job in jobs} == {S.DONE}
    assert fleet.witness.runs() == dict.fromkeys(jobs, 1)
    fleet.check()


def test_bad_terms_are_one_sentence(fleet: Fleet) -> None:
    for words, said in (
        (("--until", "25:00"), "'25:00' is not a time"),
        (("--until", "2020-01-01 08:00"), "is past"),
        (("--grace", "5m"), "give --until too"),
        (("--max-jobs", "0"), "--max-jobs"),
        (("--idle-exit", "soon"), "'soon' is not a duration"),
    ):
        assert said in fleet.exs("worker", "--cpus", "1", *words, code=2)
    assert fleet.store.workers() == []
