"""Slots that fall silent: frozen, cut off, or behind a Redis that does not answer. Late is not lost; lost is fenced."""

from __future__ import annotations

import os
import signal
import time

import pytest

from exs.errors import EXIT_REDIS
from exs.model import JobState
from exs.store.scripts import sha
from harness.fleet import Fleet

S = JobState


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


def test_f14_the_late_outcome_of_a_frozen_slot_is_refused(fleet: Fleet) -> None:
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


def test_f28_the_tree_of_a_node_that_returns_too_late_is_killed(fleet: Fleet) -> None:
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


@pytest.mark.parametrize("how", ["stall", "cut"])
def test_f24_f25_redis_is_out_of_reach_for_all(fleet: Fleet, how: str) -> None:
    """Jobs run on and end; what they gave is delivered when it is back; nothing is put back, nothing runs twice."""
    go, proxy = fleet.root / "go", fleet.proxy()
    nodes = [fleet.node(name, "--cpus", "2", slots=2, url=proxy.url) for name in ("a", "b")]
    jobs = fleet.push("until", go, "result", '{"loss": 1}', jobs=6)
    fleet.wait_event("start", 4)
    began = time.monotonic()
    proxy.stall() if how == "stall" else proxy.cut()
    go.touch()
    fleet.wait(lambda: sum(len(list(node.home.rglob("*.outcome.json"))) for node in nodes) == 4, "4 spooled outcomes")
    said = fleet.exs("list", code=EXIT_REDIS, EXS_REDIS_URL=proxy.url)
    assert "127.0.0.1" in said
    fleet.wait(lambda: time.monotonic() - began > 3.0, "three leases and all of lost_after")
    assert [fleet.row(job).state for job in jobs[:4]] == [S.RUNNING] * 4
    proxy.go()
    rows = fleet.wait_all()
    assert [(row.state, row.attempts, row.result) for row in rows] == [(S.DONE, 1, {"loss": 1})] * 6
    assert fleet.witness.runs() == dict.fromkeys(jobs, 1)
    # Once from what renews and once from what delivers, for each of two slots; not ten times a second.
    assert all(node.text().count("Waiting for it") <= 4 for node in nodes)
    fleet.wait(lambda: not [path for node in nodes for path in node.home.rglob("*.outcome.json")], "empty spools")
    fleet.check()


@pytest.mark.parametrize("script", ["claim", "renew", "finish", "release"])
def test_f26_a_reply_is_lost_after_the_script_ran(fleet: Fleet, script: str) -> None:
    """The call is made again and finds that it was done: every job runs once, and none is held by nobody."""
    go, proxy = fleet.root / "go", fleet.proxy()
    jobs = fleet.push("until", go, jobs=3)
    if script == "claim":
        proxy.drop_reply(sha(script).encode())
    node = fleet.node("a", url=proxy.url)
    fleet.wait_running(jobs[0])
    if script != "claim":
        proxy.drop_reply(sha(script).encode())
    if script == "release":
        os.kill(node.pid, signal.SIGTERM)
        node.wait_for("once more hands back")
        os.kill(node.pid, signal.SIGTERM)
        assert node.agent is not None and node.agent.wait(20) == 0
        assert [fleet.row(job).state for job in jobs] == [S.QUEUED] * 3
        node.start()
    elif script == "renew":
        fleet.wait(lambda: proxy.dropped, "a lost reply")
    go.touch()
    rows = fleet.wait_all()
    expected = {jobs[0]: 2 if script == "release" else 1, jobs[1]: 1, jobs[2]: 1}
    assert proxy.dropped == 1
    assert {row.id: row.attempts for row in rows} == expected == fleet.witness.runs()
    assert all(row.state is S.DONE and row.lost == 0 for row in rows)
    fleet.check()
