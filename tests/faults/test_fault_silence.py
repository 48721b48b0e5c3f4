"""Slots that fall silent: frozen, cut off, or behind a Redis that does not answer. Late is not lost; lost is fenced."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from exs.errors import EXIT_REDIS
from exs.model import JobState
from harness.fleet import Fleet
from harness.netns import NEAR, Wire
from harness.node import Node
from harness.redis_server import RedisServer
from slotprocess import wait_until

S = JobState


@pytest.mark.fault(14)
def test_f14_a_slot_is_frozen_past_its_lease_and_thaws(fleet: Fleet) -> None:
    """Others take the job; the thawed slot is fenced out, its tree is killed, and it goes on with other work."""
    go = fleet.root / "go"
    frozen = fleet.node("a")
    (job,) = fleet.push("daemons", "until", go)
    first = fleet.wait_running(job)
    (slot,) = frozen.slots()
    os.kill(slot, signal.SIGSTOP)
    fleet.node("b")
    second = fleet.wait_running(job, 2)
    assert (second.node, second.lost) == ("b", 1)
    assert fleet.witness.living(first.attempt)  # nobody could reach it: this overlap is what the fence is for
    os.kill(slot, signal.SIGCONT)
    fleet.wait_gone(first.attempt, 3.0)
    frozen.wait_for("fenced out")
    go.touch()
    row = fleet.wait_state(job, S.DONE)
    assert (row.node, row.attempts) == ("b", 2)
    assert frozen.slots() == [slot]
    fleet.wait_gone("")
    fleet.check()


def test_the_late_outcome_of_a_frozen_slot_is_refused(fleet: Fleet) -> None:
    """Its job ended while it was frozen: the outcome comes under a fence that has moved."""
    go = fleet.root / "go"
    frozen = fleet.node("a")
    (job,) = fleet.push("until", go, "fail_unless", fleet.root / "mended")
    first = fleet.wait_running(job)
    (slot,) = frozen.slots()
    os.kill(slot, signal.SIGSTOP)
    go.touch()
    fleet.wait(lambda: not fleet.witness.living(first.attempt), "the end of the first attempt")
    (fleet.root / "mended").touch()
    fleet.node("b")
    row = fleet.wait_state(job, S.DONE)
    os.kill(slot, signal.SIGCONT)
    fleet.wait(lambda: "refused" in frozen.text() or "fenced out" in frozen.text(), "a refusal")
    after = fleet.row(job)
    assert (after.state, after.node, after.exit_code, after.attempt) == (S.DONE, "b", row.exit_code, row.attempt)
    fleet.check()


@pytest.mark.fault(28)
def test_f28_a_node_is_cut_off_declared_lost_and_returns(fleet: Fleet) -> None:
    """Both run it to the end; one outcome is accepted, the other leaves the spool with a reason."""
    go, proxy = fleet.root / "go", fleet.proxy()
    far = fleet.node("a", url=proxy.url)
    (job,) = fleet.push("daemons", "until", go)
    first = fleet.wait_running(job)
    proxy.cut()
    fleet.node("b")
    fleet.wait_running(job, 2)
    go.touch()
    row = fleet.wait_state(job, S.DONE)
    fleet.wait(lambda: list(far.home.rglob("*.outcome.json")), "the outcome in the spool")
    proxy.go()
    far.wait_for(f"refused: the outcome of job={job} attempt={first.attempt}")
    assert not list(far.home.rglob("*.outcome.json"))
    after = fleet.row(job)
    assert (after.node, after.attempts, after.ended_at) == ("b", 2, row.ended_at)
    fleet.check()


def test_the_tree_of_a_node_that_returns_too_late_is_killed(fleet: Fleet) -> None:
    go, proxy = fleet.root / "go", fleet.proxy()
    far = fleet.node("a", url=proxy.url)
    (job,) = fleet.push("stubborn", "daemons", "until", go)
    first = fleet.wait_running(job)
    fleet.wait_event("family")
    proxy.stall()
    fleet.node("b")
    fleet.wait_running(job, 2)
    assert fleet.witness.living(first.attempt)
    proxy.go()
    fleet.wait_gone(first.attempt, 3.0)
    far.wait_for("fenced out")
    go.touch()
    assert fleet.wait_state(job, S.DONE).node == "b"
    fleet.wait_gone("")
    fleet.check()


def test_the_tree_of_a_node_that_returns_too_late_may_end_where_the_sweep_says_so(fleet: Fleet) -> None:
    go, go_far, proxy = fleet.root / "go", fleet.root / "far", fleet.proxy()
    far = fleet.node("a", url=proxy.url)
    (job,) = fleet.push("result", '{"loss": 1}', "until", go_far, "until", go, on_lost="keep")
    first = fleet.wait_running(job)
    proxy.stall()
    fleet.node("b")
    fleet.wait_running(job, 2)
    proxy.go()
    far.wait_for("it runs on (on_lost: keep), but counts no more")
    assert fleet.witness.living(first.attempt)
    go_far.touch()
    go.touch()
    far.wait_for(f"refused: the outcome of job={job} attempt={first.attempt}")
    row = fleet.wait_state(job, S.DONE)
    assert (row.node, row.attempts, row.result) == ("b", 2, {"loss": 1})
    fleet.wait_gone("", 60)
    fleet.check()


def test_a_tree_that_may_end_is_killed_where_its_job_was_canceled(fleet: Fleet) -> None:
    proxy = fleet.proxy()
    far = fleet.node("a", url=proxy.url)
    (job,) = fleet.push("until", fleet.root / "never", on_lost="keep")
    first = fleet.wait_running(job)
    proxy.stall()
    fleet.node("b")
    fleet.wait_running(job, 2)
    proxy.go()
    far.wait_for("it runs on (on_lost: keep)")
    fleet.store.cancel([job], kill=True)
    fleet.wait_state(job, S.CANCELED)
    fleet.wait_gone(first.attempt, 30)
    (next_one,) = fleet.push(name="next")
    assert fleet.wait_state(next_one, S.DONE)
    fleet.check()


def test_late_is_not_lost(fleet: Fleet) -> None:
    """Cut off for longer than the lease, shorter than lost_after: shown as late, renewed on return, run once."""
    go, proxy = fleet.root / "go", fleet.proxy()
    fleet.node("a", url=proxy.url)
    (job,) = fleet.push("result", '{"loss": 1}', "until", go, lost_after=600)
    fleet.wait_running(job)
    proxy.cut()
    fleet.node("b")
    fleet.wait(lambda: fleet.row(job).lease_late > 0.5, "a late lease")
    assert "no contact" in fleet.exs("list", "-t", "work")
    proxy.go()
    fleet.wait(lambda: fleet.row(job).lease_late == 0, "a renewed lease")
    go.touch()
    row = fleet.wait_state(job, S.DONE)
    assert (row.attempts, row.lost, row.node, row.result) == (1, 0, "a", {"loss": 1})
    assert fleet.witness.runs() == {job: 1}
    fleet.check()


@pytest.mark.fault(24)
def test_f24_redis_is_out_of_reach_for_a_moment(fleet: Fleet) -> None:
    """Longer than a slot waits for an answer, shorter than anybody would call it lost: a line in the log, no more."""
    go, proxy = fleet.root / "go", fleet.proxy()
    node = fleet.node("a", url=proxy.url)
    jobs = fleet.push("until", go, jobs=2, lost_after=600)
    fleet.wait_running(jobs[0])
    proxy.stall()
    node.wait_for("Waiting for it; a running job goes on")
    proxy.go()
    node.wait_for("Redis is back after")
    go.touch()
    assert [(row.state, row.attempts, row.lost) for row in fleet.wait_all()] == [(S.DONE, 1, 0)] * 2
    assert fleet.witness.runs() == dict.fromkeys(jobs, 1)
    fleet.check()


@pytest.mark.fault(25)
@pytest.mark.parametrize("how", ["stall", "cut"])
def test_f25_redis_is_out_of_reach_for_ten_leases(fleet: Fleet, how: str) -> None:
    """Jobs run on and end; what they gave is delivered when it is back; nothing is put back, nothing runs twice."""
    go, proxy = fleet.root / "go", fleet.proxy()
    short = {"EXS_LEASE": "0.6", "EXS_RENEW": "0.2"}
    nodes = [fleet.node(name, "--cpus", "2", slots=2, url=proxy.url, **short) for name in ("a", "b")]
    jobs = fleet.push("until", go, "result", '{"loss": 1}', jobs=6)
    fleet.wait_event("start", 4)
    began = time.monotonic()
    proxy.stall() if how == "stall" else proxy.cut()
    go.touch()
    fleet.wait(lambda: sum(len(list(node.home.rglob("*.outcome.json"))) for node in nodes) == 4, "4 spooled outcomes")
    said = fleet.exs("list", code=EXIT_REDIS, EXS_REDIS_URL=proxy.url)
    assert "127.0.0.1" in said
    fleet.wait(lambda: time.monotonic() - began > 6.0, "ten leases")
    assert [fleet.row(job).state for job in jobs[:4]] == [S.RUNNING] * 4
    proxy.go()
    rows = fleet.wait_all()
    assert [(row.state, row.attempts, row.result) for row in rows] == [(S.DONE, 1, {"loss": 1})] * 6
    assert fleet.witness.runs() == dict.fromkeys(jobs, 1)
    # Once from what renews and once from what delivers, for each of two slots; not ten times a second.
    assert all(node.text().count("Waiting for it") <= 4 for node in nodes)
    fleet.wait(lambda: not [path for node in nodes for path in node.home.rglob("*.outcome.json")], "empty spools")
    fleet.check()


def half_open(fleet: Fleet, node: Node, lose: Callable[[], None], heal: Callable[[], None]) -> None:
    """A job ends while nothing arrives any more and nobody is told."""
    go = fleet.root / "go"
    jobs = fleet.push("until", go, "result", '{"loss": 1}', jobs=2, lost_after=600)
    fleet.wait_running(jobs[0])
    lose()
    go.touch()
    fleet.wait(lambda: list(node.home.rglob("*.outcome.json")), "an outcome on disk: a time-out fired")
    heal()
    rows = fleet.wait_all()
    assert [(row.state, row.attempts, row.lost, row.result) for row in rows] == [(S.DONE, 1, 0, {"loss": 1})] * 2
    assert fleet.witness.runs() == dict.fromkeys(jobs, 1)


@pytest.mark.fault(27)
def test_f27_a_connection_is_half_open(fleet: Fleet) -> None:
    proxy = fleet.proxy()
    node = fleet.node("a", url=proxy.url)
    half_open(fleet, node, proxy.swallow, proxy.go)
    proxy.swallow()
    assert "does not answer (timed out)" in fleet.exs("list", code=EXIT_REDIS, EXS_REDIS_URL=proxy.url)
    fleet.check()


@pytest.mark.root
def test_the_wire_between_node_and_redis_is_pulled(tmp_path: Path, network: Wire) -> None:
    """F27 with a real network: no reset, no refusal, only silence."""
    socket = tmp_path / "s"
    options = ("--unixsocket", str(socket))
    server = RedisServer(tmp_path / "redis", NEAR, 6379, "s3cr3t-word", network.near, options=options).start()
    fleet = Fleet(tmp_path, server, own_url=f"unix://:s3cr3t-word@{socket}")
    try:
        wait_until(socket.exists, "redis-server answers", 20)
        half_open(fleet, fleet.node("a", prefix=network.far), network.pull, network.plug)
    finally:
        fleet.close()
        server.kill()
