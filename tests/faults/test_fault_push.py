"""Faults of pushes: they race, are killed half way, never hear that they were done, or say a thing twice."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from exs.errors import EXIT_REDIS
from exs.model import JobState
from exs.store import keys
from exs.store.scripts import sha, source
from harness.fleet import Fleet
from harness.node import environment

S = JobState
ROOT = Path(__file__).parents[2]
JOBS = 10
#: Jobs per batch; JOBS take four.
SMALL = {"EXS_PUSH_BATCH": "3"}
#: Fifty processes that wait for the end of their standard input, push the same twenty points, and say what was new.
RACERS = """
import os, sys
from exs.model import NewJob, Spec
from exs.settings import load
from exs.store.push import Origin
from exs.store.store import open_store

racing = 50
for _ in range(racing):
    if os.fork() == 0:
        os.read(0, 1)
        store = open_store(sys.argv[1], load())
        points = (NewJob({"i": i}, f"I_{i}", f"{i:016x}") for i in range(20))
        spec = Spec({"train": {"argv": [["true"]]}}, cwd="/")
        pushed = store.push("work", spec, points, Origin("alice", "laptop", "/work.yaml"))
        os.write(1, f"{pushed.new} {pushed.queued}\\n".encode())
        os._exit(0)
os.read(0, 1)
sys.exit(any(os.wait()[1] for _ in range(racing)))
"""


@pytest.fixture
def sweep(fleet: Fleet) -> Path:
    """A file of ten jobs on the laptop."""
    path = fleet.home / "work.yaml"
    words = " ".join(fleet.witness.command("square"))
    path.write_text(f"name: work\ncommand: {words} {{i}}\nparams:\n  i: {{range: [0, {JOBS}]}}\n")
    fleet.server.client().script_load(source("push"))
    return path


@pytest.mark.fault(42)
@pytest.mark.parametrize("batch", ["500", "6"])
def test_f42_fifty_pushes_of_one_file_race(fleet: Fleet, batch: str) -> None:
    """Each point is there once, whoever brought it; every push says what it found."""
    env = environment(fleet.server.url, fleet.home, EXS_PUSH_BATCH=batch, EXS_SOCKET_TIMEOUT="30")
    racers = subprocess.Popen(
        [sys.executable, "-c", RACERS, fleet.server.url],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    said, _ = racers.communicate("", timeout=90)
    assert racers.returncode == 0
    counts = [tuple(map(int, line.split())) for line in said.splitlines()]
    assert len(counts) == 50 and sum(new for new, _ in counts) == 20
    assert {new + queued for new, queued in counts} == {20}
    assert sorted(row.params["i"] for row in fleet.rows()) == list(range(20))
    fleet.check()


@pytest.mark.fault(43)
@pytest.mark.parametrize("how", ["kill", "cut"])
@pytest.mark.parametrize("batches", [1, 2, 3])
def test_f43_a_push_ends_half_way(fleet: Fleet, sweep: Path, how: str, batches: int) -> None:
    """Nobody sees or runs any of it; the same push again completes it."""
    proxy = fleet.proxy()
    fleet.node("a")
    proxy.stall_at(sha("push").encode(), after=batches)
    push = fleet.command("push", "work.yaml", EXS_REDIS_URL=proxy.url, **SMALL)
    fleet.wait(lambda: proxy.stalled, f"{batches} batches")
    if how == "kill":
        push.send_signal(signal.SIGKILL)
    proxy.cut()
    _, said = push.communicate(timeout=20)
    assert push.returncode == (EXIT_REDIS if how == "cut" else -signal.SIGKILL), said.decode()
    assert "Traceback" not in said.decode()
    assert fleet.store.experiments() == [] and fleet.server.client().scard(keys.RQ_QUEUES) == 0
    assert fleet.server.client().hlen(keys.STAGE + "work") > 0
    # As if nobody had said anything for as long as the push might still be alive.
    fleet.server.client().hset(keys.STAGE + "work", "at", 1)
    assert f"+{JOBS} new" in fleet.exs("push", "work.yaml", **SMALL)
    rows = fleet.wait_all()
    assert [(row.state, row.result) for row in rows] == [(S.DONE, {"square": i * i}) for i in range(JOBS)]
    assert fleet.witness.runs() == dict.fromkeys([row.id for row in rows], 1)
    assert len(fleet.server.client().keys(keys.RQ_JOB + "*")) == JOBS
    fleet.check()


@pytest.mark.fault(44)
def test_f44_the_reply_of_the_commit_is_lost(fleet: Fleet, sweep: Path) -> None:
    proxy = fleet.proxy()
    proxy.drop_reply(b'"last":true')
    said = fleet.exs("push", "work.yaml", code=EXIT_REDIS, EXS_REDIS_URL=proxy.url, **SMALL)
    assert proxy.dropped == 1 and "cannot reach Redis" in said
    again = fleet.json("push", "work.yaml")
    assert (again["new"], again["queued"]) == (0, JOBS)
    assert len(fleet.rows()) == JOBS
    fleet.check()


@pytest.mark.fault(45)
def test_f45_a_point_stands_twice_in_a_file(fleet: Fleet) -> None:
    """It is reported and run once; 1 and 1.0 differ, for a command is given other words."""
    (fleet.home / "twice.yaml").write_text(
        "name: twice\ncommand: echo {lr} {seed}\nparams:\n  lr: [1, 1.0, 1]\n  seed: [0, 0]\n"
    )
    said = fleet.exs("push", "twice.yaml")
    assert "+2 new" in said and "4 identical points run once" in said
    assert [row.params for row in fleet.rows("twice")] == [{"lr": 1, "seed": 0}, {"lr": 1.0, "seed": 0}]
    assert "+2 new" not in fleet.exs("push", "twice.yaml")
    fleet.check()
