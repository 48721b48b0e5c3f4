"""Redis itself stops, dies, is emptied or forgets its scripts while jobs are under way."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import redis

from exs.model import JobState
from exs.settings import Settings
from exs.store.store import open_store
from harness.fleet import Fleet
from harness.redis_server import RedisServer
from slotprocess import wait_until
from store.actors import CRASHED, DONE, Lab

S = JobState


@pytest.mark.parametrize(
    "how",
    [pytest.param("restart", marks=pytest.mark.fault(21)), pytest.param("kill", marks=pytest.mark.fault(22))],
)
def test_f21_f22_redis_goes_and_comes_back_with_jobs_under_way(fleet: Fleet, how: str) -> None:
    """No job is killed, none is put back, every id that push printed is there, all finish once."""
    go = fleet.root / "go"
    for name in ("a", "b"):
        fleet.node(name, "--cpus", "2", slots=2)
    jobs = fleet.push("until", go, jobs=30)
    fleet.wait_event("start", 4)
    fleet.server.client().bgrewriteaof()
    fleet.server.stop() if how == "restart" else fleet.server.kill()
    alive = fleet.witness.living()
    fleet.server.start()
    assert [row.id for row in fleet.rows()] == jobs
    assert fleet.witness.living() == alive and len(alive) == 4
    go.touch()
    rows = fleet.wait_all()
    assert {(row.state, row.attempts, row.lost) for row in rows} == {(S.DONE, 1, 0)}
    assert fleet.witness.runs() == dict.fromkeys(jobs, 1)
    fleet.check()


@pytest.mark.fault(23)
def test_f23_the_tail_of_the_append_only_file_is_torn(tmp_path: Path) -> None:
    """Wherever it is torn, the server loads it, and each script is there whole or not at all."""
    server = RedisServer(tmp_path / "redis").start()
    client = server.client()
    lab = Lab(open_store(server.url, Settings()), client)
    lab.push(*range(3), retries=1)
    slot = lab.slot()
    for outcome in (DONE, CRASHED):
        slot.must_claim()
        slot.finish(outcome)
    slot.must_claim()
    slot.release()
    server.kill()
    (tail,) = [path for path in server.directory.rglob("*.aof") if "base" not in path.name]
    whole = tail.read_bytes()
    seen = set()
    for cut in (*range(1, 141, 4), *range(141, len(whole), len(whole) // 24)):
        tail.write_bytes(whole[:-cut])
        server.start()
        lab = Lab(open_store(server.url, Settings()), server.client())
        assert lab.store.audit() == [], f"{cut} bytes short"
        seen.add(tuple(lab.states()))
        server.kill()
    assert len(seen) > 3 and {len(states) for states in seen} == {0, 3}


@pytest.mark.parametrize("synced", [True, False])
def test_push_waits_for_the_disk_where_redis_can_tell(fleet: Fleet, synced: bool) -> None:
    """R20: from 7.2 on. What is not yet on disk is said, and is no failure; what cannot be told is not mentioned."""
    client = fleet.server.client()
    client.config_set("appendfsync", "everysec" if synced else "no")
    tells = "waitaof" in client.command_list()
    _, said = fleet.both("push", "--name", "work", "--", "true", "x=1,2")
    assert ("not yet on the disk of Redis" in said) == (tells and not synced)
    assert len(fleet.rows()) == 2
    fleet.check()


@contextmanager
def long_script(server: RedisServer) -> Iterator[None]:
    """Somebody's script runs meanwhile; after a second of it Redis answers BUSY to everybody else."""
    client = server.client()
    client.config_set("lua-time-limit", "1000")

    def run() -> None:
        with suppress(redis.RedisError):
            client.eval("while true do end", 0)

    endless = threading.Thread(target=run)
    endless.start()
    try:
        yield
    finally:
        server.client().script_kill()
        endless.join(20)


@pytest.mark.fault(33)
@pytest.mark.parametrize("how", ["script", "freeze"])
def test_f33_redis_does_nothing_for_seconds(fleet: Fleet, how: str) -> None:
    """Longer than a lease and all of lost_after: every lease is late then, and nobody is lost (R5)."""
    go = fleet.root / "go"
    nodes = [fleet.node(name, "--cpus", "2", slots=2) for name in ("a", "b")]
    jobs = fleet.push("until", go, jobs=6)
    fleet.wait_event("start", 4)
    with long_script(fleet.server) if how == "script" else fleet.server.frozen():
        until = time.monotonic() + 4
        wait_until(lambda: time.monotonic() > until, "four seconds")
    alive = fleet.witness.living()
    assert len(alive) == 4
    since = fleet.store.now()
    fleet.wait(lambda: fleet.store.now() > since + 3, "another lease and all of lost_after")
    assert fleet.witness.living() == alive
    assert all("Waiting for it" in node.text() for node in nodes)
    go.touch()
    assert {(row.state, row.attempts, row.lost) for row in fleet.wait_all()} == {(S.DONE, 1, 0)}
    assert fleet.witness.runs() == dict.fromkeys(jobs, 1)
    fleet.check()


def test_a_cancel_arrives_after_redis_was_away(fleet: Fleet) -> None:
    """The channel on which it comes at once is listened to again."""
    fleet.node("a", EXS_RENEW="200", EXS_LEASE="600")
    (job,) = fleet.push("until", fleet.root / "go")
    fleet.wait_running(job)
    fleet.server.kill()
    fleet.server.start()
    channel = fleet.server.client()
    fleet.wait(lambda: channel.pubsub_channels("rq:pubsub:*"), "the slot listens")
    fleet.store.cancel([job])
    fleet.wait_state(job, S.CANCELED)
    fleet.check()


def test_scripts_are_forgotten(fleet: Fleet) -> None:
    go = fleet.root / "go"
    fleet.node("a")
    jobs = fleet.push("until", go, jobs=3)
    fleet.wait_running(jobs[0])
    fleet.server.client().script_flush()
    go.touch()
    assert {(row.state, row.attempts) for row in fleet.wait_all()} == {(S.DONE, 1)}
    assert fleet.witness.runs() == dict.fromkeys(jobs, 1)
    fleet.check()


@pytest.mark.fault(32)
def test_f32_redis_is_emptied(fleet: Fleet) -> None:
    """The slot says so and ends nothing; its outcome is kept; it serves what is pushed next, and is in the list."""
    go = fleet.root / "go"
    node = fleet.node("a")
    (job,) = fleet.push("until", go)
    attempt = fleet.wait_running(job).attempt
    fleet.server.client().flushall()
    node.wait_for("was it emptied, or replaced? The job runs on")
    assert fleet.witness.living(attempt)
    go.touch()
    node.wait_for("its outcome is kept in")
    assert list(node.home.rglob(f"{job}.*.outcome.json"))
    (other,) = fleet.push(name="next")
    assert fleet.wait_state(other, S.DONE).attempts == 1
    fleet.wait(lambda: [row.node for row in fleet.store.workers()] == ["a"], "the slot in the list")
    fleet.check()


def test_the_right_redis_comes_back_after_an_empty_one(fleet: Fleet) -> None:
    """What ended meanwhile is delivered by the next agent."""
    go = fleet.root / "go"
    node = fleet.node("a")
    (job,) = fleet.push("until", go, lost_after=600)
    fleet.wait_running(job)
    fleet.server.stop()
    right, wrong = fleet.server.directory, fleet.root / "wrong"
    wrong.mkdir()
    fleet.server.directory = wrong
    fleet.server.start()
    node.wait_for("The job runs on")
    go.touch()
    node.wait_for("its outcome is kept in")
    node.stop()
    fleet.server.stop()
    fleet.server.directory = right
    fleet.server.start()
    node.start()
    row = fleet.wait_state(job, S.DONE)
    assert (row.attempts, fleet.witness.runs()) == (1, {job: 1})
    fleet.check()
