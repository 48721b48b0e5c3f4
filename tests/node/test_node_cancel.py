"""Ending a running job: at once over RQ's channel, surely with the next renewal; its whole tree, within the grace."""

from __future__ import annotations

import json

import pytest
from rq.command import send_kill_horse_command, send_shutdown_command, send_stop_job_command

from exs.model import JobState
from harness.fleet import Fleet

S = JobState


@pytest.mark.parametrize("how", ["cancel", "kill", "rq stop-job", "rq kill-horse"])
def test_a_command_ends_the_job_at_once(fleet: Fleet, how: str) -> None:
    """Renewals are an hour apart: only the channel can have carried it."""
    node = fleet.node("a", EXS_RENEW="3600", EXS_LEASE="7200")
    slots = node.slots()
    first, second = fleet.push("daemons", "until", fleet.root / "go", jobs=2)
    attempt = fleet.wait_running(first).attempt
    fleet.wait_event("family")
    client, (worker,) = fleet.server.client(), fleet.store.workers()
    client.connection_pool.connection_kwargs["decode_responses"] = False
    if how == "rq stop-job":
        send_stop_job_command(client, first)
    elif how == "rq kill-horse":
        send_kill_horse_command(client, worker.name)
    else:
        said = fleet.exs("cancel", first, *(["--kill"] if how == "kill" else []))
        assert "1 running" in said
    row = fleet.wait_state(first, S.CANCELED)
    assert not fleet.witness.living(attempt)
    fleet.wait_running(second)
    assert node.slots() == slots and row.attempts == 1
    (fleet.root / "go").touch()
    fleet.wait_state(second, S.DONE)
    fleet.wait_gone("")
    fleet.check()


def test_a_cancel_that_the_channel_does_not_carry_comes_with_the_renewal(fleet: Fleet) -> None:
    fleet.node("a", EXS_RECONNECT="3600")  # so long it does not listen again
    (job,) = fleet.push("daemons", "until", fleet.root / "go")
    attempt = fleet.wait_running(job).attempt
    client = fleet.server.client()
    fleet.wait(lambda: client.pubsub_channels("rq:pubsub:*"), "the slot listens")
    client.client_kill_filter(_type="pubsub")
    fleet.wait(lambda: not client.pubsub_channels("rq:pubsub:*"), "nobody listens")
    fleet.store.cancel([job])
    fleet.wait_state(job, S.CANCELED)
    assert not fleet.witness.living(attempt)
    fleet.check()


def test_rq_shutdown_is_a_first_signal(fleet: Fleet) -> None:
    node = fleet.node("a")
    (job,) = fleet.push("until", fleet.root / "go")
    fleet.wait_running(job)
    (worker,) = fleet.store.workers()
    (slot,) = node.slots()
    send_shutdown_command(fleet.server.client(), worker.name)
    (fleet.root / "go").touch()
    assert fleet.wait_state(job, S.DONE).attempts == 1
    fleet.wait(lambda: node.slots() not in ([], [slot]), "another slot in its place")
    fleet.check()


def test_what_cannot_be_read_on_the_channel_is_ignored(fleet: Fleet) -> None:
    go = fleet.root / "go"
    node = fleet.node("a")
    (job,) = fleet.push("until", go)
    row = fleet.wait_running(job)
    slots, client, (worker,) = node.slots(), fleet.server.client(), fleet.store.workers()
    hostile = (
        "", "nonsense", "[]", "7", "null", '{"command": 7}', '{"command": "exs"}', "{" * 5000, "\udcff",
        json.dumps({"command": "exs", "job_id": job, "attempt": "another", "want": "kill"}),
        json.dumps({"command": "exs", "job_id": job, "attempt": row.attempt, "want": "rest"}),
        '{"command": "stop-job", "job_id": "another"}',
    )  # fmt: skip
    for text in hostile:
        assert client.publish(f"rq:pubsub:{worker.name}", text.encode(errors="surrogatepass")) == 1
    go.touch()
    assert fleet.wait_state(job, S.DONE).attempts == 1
    assert node.slots() == slots
    fleet.check()


@pytest.mark.parametrize("now", [False, True])
def test_exs_worker_stop(fleet: Fleet, now: bool) -> None:
    """Without --now the job is finished first; with it, it is handed back. Redis need not be asked."""
    go = fleet.root / "go"
    node = fleet.node("a")
    (job,) = fleet.push("until", go)
    fleet.wait_running(job)
    state = str(node.home / "state")
    stop = fleet.command("worker", "stop", *(["--now"] if now else []), EXS_STATE_DIR=state, EXS_REDIS_URL="")
    if not now:
        node.wait_for("once more hands back")
        go.touch()
    out, said = stop.communicate(timeout=30)
    assert stop.returncode == 0 and b"stopped 1 worker." in out, said
    assert node.ended() == 0
    assert fleet.row(job).state is (S.QUEUED if now else S.DONE)
    assert "no worker runs" in fleet.exs("worker", "stop", EXS_STATE_DIR=state)
    fleet.check()


def test_exs_worker_stop_twice_still_lets_the_job_finish(fleet: Fleet) -> None:
    go = fleet.root / "go"
    node = fleet.node("a")
    (job,) = fleet.push("until", go)
    fleet.wait_running(job)
    own = {"EXS_STATE_DIR": str(node.home / "state"), "EXS_REDIS_URL": ""}
    for _ in range(2):
        impatient = fleet.command("worker", "stop", "--timeout", "0.5", **own)
        assert b"1 of 1 workers still run" in impatient.communicate(timeout=30)[1]
    go.touch()
    fleet.exs("worker", "stop", **own)
    assert fleet.row(job).state is S.DONE
    fleet.check()
