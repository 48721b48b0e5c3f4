"""Leaving: one signal finishes the job, two hand it back, a terminal that closes takes nothing with it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

from exs.model import JobState
from harness.fleet import Fleet

S = JobState


def test_a_node_that_leaves_between_short_jobs_leaves_none_behind(fleet: Fleet) -> None:
    """What was claimed ahead goes back unstarted: nothing stays leased, nothing runs twice."""
    node = fleet.node("a", start=False)
    jobs = fleet.push(jobs=60)
    for enough in (5, 20, 35):
        node.start("--cpus", "2", slots=0)
        fleet.wait(lambda enough=enough: len(fleet.witness.seen("end")) >= enough, f"{enough} jobs")
        assert node.stop() == 0
        assert {row.state for row in fleet.rows()} <= {S.QUEUED, S.DONE}
        assert fleet.store.audit() == []
    node.start("--cpus", "2", slots=0)
    assert {(row.state, row.lost) for row in fleet.wait_all()} == {(S.DONE, 0)}
    assert fleet.witness.runs() == dict.fromkeys(jobs, 1)
    fleet.check()


def test_nohup_is_obeyed_and_a_terminal_that_is_gone_stops_nobody(fleet: Fleet) -> None:
    node = fleet.node("a", start=False, prefix=("nohup",))
    read, write = os.pipe()
    agent = node.launch(output=write)
    os.close(write)
    os.close(read)
    (slot,) = fleet.wait(node.slots, "a slot")
    first, second = fleet.push(jobs=2)
    fleet.wait_state(first, S.DONE)
    os.killpg(agent.pid, signal.SIGHUP)
    os.kill(slot, signal.SIGKILL)  # about which there is something to say
    fleet.wait_state(second, S.DONE)
    (third,) = fleet.push(name="third")
    fleet.wait_state(third, S.DONE)
    assert node.stop() == 0
    fleet.check()


def test_the_embedded_server_outlives_the_worker_that_started_it(fleet: Fleet) -> None:
    """It is no descendant of the agent, which ends all that its slots leave."""
    home = Path(tempfile.mkdtemp(prefix="exs-test-", dir="/tmp"))  # a path short enough for a socket
    own = {"EXS_REDIS_URL": "", "EXS_STATE_DIR": str(home)}
    try:
        node = fleet.node("a", start=False, **own)
        node.launch()
        node.wait_for("serve cpu0")
        before = json.loads(fleet.exs("server", "status", "--json", **own))
        (slot,) = fleet.wait(node.slots, "a slot")
        os.kill(slot, signal.SIGKILL)
        node.wait_for("was killed by signal 9")
        fleet.wait(lambda: node.slots() not in ([], [slot]), "another slot in its place")
        node.power_off()
        after = json.loads(fleet.exs("server", "status", "--json", **own))
        assert after["running"] and after["pid"] == before["pid"]
    finally:
        fleet.exs("server", "stop", **own)
        shutil.rmtree(home, ignore_errors=True)


def test_a_worker_that_is_told_to_leave_while_it_starts_leaves(fleet: Fleet) -> None:
    """A signal at any moment of the start of a worker ends it, and nothing of it stays."""
    node = fleet.node("a", start=False)
    for moment in ("serve", "agents", "slot"):
        agent = node.launch("--cpus", "2")
        if moment == "serve":
            fleet.wait(lambda: node.log.exists() and "serve cpu" in node.text(), "its first line")
        elif moment == "agents":
            fleet.wait(lambda: list(node.home.rglob("agents/[0-9]*")), "its file")
        else:
            fleet.wait(node.slots, "a slot process")
        node.slots()  # notes who is there
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(20) in (0, -signal.SIGTERM)
        fleet.wait(lambda: not node.pids(), "its slots leave")
        node.log.write_text("")
    assert fleet.store.workers() == []


def test_a_slot_that_is_told_to_leave_while_it_registers_leaves(fleet: Fleet) -> None:
    proxy = fleet.proxy()
    node = fleet.node("a", start=False, url=proxy.url, EXS_SOCKET_TIMEOUT="30")
    proxy.stall_at(b"exs_boot")
    node.launch()
    fleet.wait(lambda: proxy.stalled, "a slot that registers")
    os.kill(node.pid, signal.SIGTERM)
    node.wait_for("once more hands back")
    proxy.go()
    assert node.agent is not None and node.agent.wait(20) == 0
    assert fleet.store.workers() == []
    fleet.check()


@pytest.mark.root
def test_a_worker_in_a_container_is_not_taken_for_dead(fleet: Fleet) -> None:
    """It has pids of its own, and shares the state directory with the machine around it."""
    if os.geteuid() != 0:
        pytest.skip("a name space of pids needs root")
    node = fleet.node("a", prefix=("unshare", "--pid", "--fork", "--mount-proc", "--kill-child"))
    (note,) = fleet.wait(lambda: list(node.home.rglob("agents/[0-9]*")), "its file")
    assert "no worker runs" in fleet.exs("worker", "stop", EXS_STATE_DIR=node.env["EXS_STATE_DIR"])
    assert note.exists()


def test_a_job_that_a_leaving_slot_was_given_unheard_goes_back_unpunished(fleet: Fleet) -> None:
    """Its claim waits in Redis behind the wake-up: the answer is on the wire when the signal comes."""
    proxy = fleet.proxy()
    patient = {"EXS_IDLE_POLL": "3600", "EXS_RENEW": "3600", "EXS_LEASE": "7200", "EXS_SOCKET_TIMEOUT": "60"}
    node = fleet.node("a", "--cpus", "1", slots=1, url=proxy.url, **patient)
    client = fleet.server.client()

    def waits() -> bool:
        return any("b" in one["flags"] and int(one["qbuf"]) > 0 for one in client.client_list())

    fleet.wait(waits, "the claim behind the wait")
    proxy.stall()
    (job,) = fleet.push()
    fleet.wait_state(job, S.RUNNING)
    (slot,) = node.slots()
    folder = Path(f"/proc/{slot}/fd")
    before = {str(path.readlink()) for path in folder.iterdir() if str(path.readlink()).startswith("socket:")}
    os.kill(node.pid, signal.SIGTERM)
    fleet.wait(lambda: not before <= {str(path.readlink()) for path in folder.iterdir()}, "it waits no longer")
    proxy.go()
    assert fleet.wait(lambda: node.ended() is not None, "it leaves") and node.ended() == 0
    row = fleet.row(job)
    assert (row.state, row.lost, row.retry_at) == (S.QUEUED, 0, 0.0)
    assert not fleet.witness.runs()
    fleet.check()
