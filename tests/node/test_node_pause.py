"""Pausing a running job, told by file and signal: PAUSING until it is off its GPU, never punished; activating it."""

from __future__ import annotations

import json
import os
import shlex
import signal

import pytest

from exs.model import JobState, NewJob, Spec
from exs.store import keys
from exs.store.push import Origin
from harness.fleet import Fleet

S = JobState


def asked(fleet: Fleet) -> list[str]:
    """What each job that was told to stop has read in its control file."""
    return [json.loads(seen.text)["stop"] for seen in fleet.witness.seen("asked")]


@pytest.mark.parametrize("how", ["SIGTERM", "SIGUSR1", "file"])
@pytest.mark.parametrize("code", [0, 3])
def test_a_job_that_acknowledges_is_paused_whatever_its_exit_code(fleet: Fleet, how: str, code: int) -> None:
    """Renewals are an hour apart: only the channel can have carried it."""
    fleet.node("a", EXS_RENEW="3600", EXS_LEASE="7200", EXS_GRACE="30")
    options = {} if how == "file" else {"stop_signal": how}
    first, second = fleet.push("obey", how, "ack", code, jobs=2, retries=1, **options)
    attempt = fleet.wait_running(first).attempt
    fleet.wait_event("ready")
    assert fleet.store.pause([first], "alice")["asked"] == 1
    row = fleet.wait_state(first, S.PAUSED)
    assert asked(fleet) == ["pause"] and not fleet.witness.living(attempt)
    assert (row.exit_code, row.lost, row.want, row.paused_by) == (code, 0, "", "alice")
    assert row.detail == f"paused (exit code {code})"
    assert row.log  # no renewal has told where it is
    fleet.wait_running(second)  # the slot has its next job
    fleet.wait_event("ready", 2)
    fleet.store.pause([second], "alice")
    fleet.wait_state(second, S.PAUSED)
    fleet.store.activate([first, second])
    row = fleet.wait_running(first, attempts=2)  # in its old place, before the other one
    assert fleet.server.client().hget(keys.RQ_JOB + first, "rt") is None
    fleet.store.cancel([first, second], kill=True)
    fleet.wait_state(first, S.CANCELED)
    fleet.wait_gone("")
    fleet.check()


def test_a_job_that_ends_with_0_and_says_nothing_has_done_its_work(fleet: Fleet) -> None:
    fleet.node("a", EXS_GRACE="30")
    (job,) = fleet.push("obey", "SIGTERM", "silent", 0)
    fleet.wait_event("ready")
    fleet.store.pause([job], "alice")
    assert fleet.wait_state(job, S.DONE, S.PAUSED).state is S.DONE
    fleet.check()


def test_a_job_that_ends_with_another_code_and_says_nothing_is_paused(fleet: Fleet) -> None:
    fleet.node("a", EXS_GRACE="30")
    (job,) = fleet.push("obey", "SIGTERM", "silent", 143)
    fleet.wait_event("ready")
    fleet.store.pause([job], "alice")
    assert fleet.wait_state(job, S.CRASHED, S.PAUSED).detail == "paused (exit code 143)"
    fleet.check()


def test_a_tree_that_hears_nothing_is_killed_after_the_grace_and_is_paused(fleet: Fleet) -> None:
    fleet.node("a", EXS_GRACE="0.3")
    (job,) = fleet.push("daemons", "stubborn", "until", fleet.root / "never")
    attempt = fleet.wait_running(job).attempt
    fleet.wait_event("stubborn")
    fleet.store.pause([job], "alice")
    row = fleet.wait_state(job, S.PAUSED)
    assert not fleet.witness.living(attempt)
    assert row.detail.startswith("paused (ended by SIGKILL)")
    fleet.check()


def test_a_pause_that_the_channel_does_not_carry_comes_with_the_renewal(fleet: Fleet) -> None:
    fleet.node("a", EXS_RECONNECT="3600", EXS_GRACE="30")  # so long it does not listen again
    (job,) = fleet.push("obey", "SIGTERM", "ack", 0)
    fleet.wait_event("ready")
    client = fleet.server.client()
    fleet.wait(lambda: client.pubsub_channels("rq:pubsub:*"), "the slot listens")
    client.client_kill_filter(_type="pubsub")
    fleet.wait(lambda: not client.pubsub_channels("rq:pubsub:*"), "nobody listens")
    fleet.store.pause([job], "alice")
    fleet.wait_state(job, S.PAUSED)
    fleet.check()


def test_activate_while_it_stops_lets_it_stop_and_run_on(fleet: Fleet) -> None:
    """What was asked cannot be unasked: the job may have begun to save what it has."""
    fleet.node("a", EXS_GRACE="1")
    (job,) = fleet.push("stubborn", "until", fleet.root / "go")
    first = fleet.wait_running(job).attempt
    fleet.wait_event("stubborn")
    fleet.store.pause([job], "alice")
    assert fleet.store.activate([job])["resuming"] == 1
    row = fleet.wait_running(job, attempts=2)
    assert not fleet.witness.living(first)
    assert (row.lost, row.paused_by) == (0, "")
    (fleet.root / "go").touch()
    fleet.wait_state(job, S.DONE)
    fleet.check()


def test_cancel_and_kill_of_a_job_that_pauses(fleet: Fleet) -> None:
    fleet.node("a", EXS_GRACE="30")
    for kill in (False, True):
        (job,) = fleet.push("stubborn", "until", fleet.root / "never", name=f"work{kill}")
        attempt = fleet.wait_running(job).attempt
        fleet.wait_event("stubborn", 2 if kill else 1)
        fleet.store.pause([job], "alice")
        fleet.store.cancel([job], kill=kill)
        if not kill:
            assert fleet.row(job).state is S.PAUSING  # a cancel leaves it the grace that it has
            fleet.store.cancel([job], kill=True)
        assert fleet.wait_state(job, S.CANCELED, S.PAUSED).state is S.CANCELED
        fleet.wait_gone(attempt)
    fleet.check()


def test_a_slot_that_dies_under_a_pausing_job_leaves_it_paused(fleet: Fleet) -> None:
    node = fleet.node("a", EXS_GRACE="30")
    (job,) = fleet.push("stubborn", "until", fleet.root / "never")
    attempt = fleet.wait_running(job).attempt
    fleet.wait_event("stubborn")
    fleet.store.pause([job], "alice")
    os.kill(node.slots()[0], signal.SIGKILL)
    row = fleet.wait_state(job, S.PAUSED, S.QUEUED, S.CRASHED)
    assert (row.state, row.lost) == (S.PAUSED, 0)
    fleet.wait_gone(attempt, 5)
    fleet.check()


def test_a_node_that_vanishes_under_a_pausing_job_leaves_it_paused(fleet: Fleet) -> None:
    node = fleet.node("a", EXS_GRACE="30")
    (job,) = fleet.push("stubborn", "until", fleet.root / "never")
    fleet.wait_running(job)
    fleet.wait_event("stubborn")
    fleet.store.pause([job], "alice")
    node.power_off()
    other = fleet.node("b")
    row = fleet.wait_state(job, S.PAUSED, S.QUEUED, S.CRASHED, S.RUNNING)
    assert (row.state, row.lost) == (S.PAUSED, 0)
    assert other.slots()
    fleet.check()


def test_a_worker_that_leaves_while_its_job_pauses_leaves_it_paused(fleet: Fleet) -> None:
    node = fleet.node("a", EXS_GRACE="1")
    (job,) = fleet.push("stubborn", "until", fleet.root / "never")
    fleet.wait_running(job)
    fleet.wait_event("stubborn")
    fleet.store.pause([job], "alice")
    fleet.wait(lambda: fleet.row(job).state is S.PAUSING, "the job is pausing")
    assert node.stop() == 0
    assert fleet.row(job).state is S.PAUSED
    fleet.check()


def test_redis_that_is_away_while_a_job_pauses_hears_of_it_later(fleet: Fleet) -> None:
    fleet.node("a", EXS_GRACE="30")
    (job,) = fleet.push("stubborn", "until", fleet.root / "never")
    row = fleet.wait_running(job)
    fleet.wait_event("stubborn")
    fleet.store.pause([job], "alice")
    pid = fleet.witness.seen("stubborn")[0].pid
    fleet.wait(lambda: list((fleet.root / "a").rglob(".exs-control.*")), "word in the job's control file")
    fleet.server.kill()
    os.kill(pid, signal.SIGKILL)
    fleet.wait_gone(row.attempt, 5)
    fleet.server.start()
    assert fleet.wait_state(job, S.PAUSED).detail == "paused (ended by SIGKILL)"
    fleet.check()


def test_of_several_commands_those_that_are_done_are_not_run_again(fleet: Fleet) -> None:
    node = fleet.node("a", EXS_GRACE="30")
    commands = {
        name: {"argv": [[word] for word in fleet.witness.command(*verbs)]}
        for name, verbs in {"train": ("print", "trained"), "test": ("obey", "SIGTERM", "ack", 0)}.items()
    }
    origin = Origin("alice", "laptop", "/work.yaml")
    fleet.store.push("work", Spec(commands, cwd=str(node.home)), [NewJob({"i": 0}, "I_0", "0" * 16)], origin)
    (job,) = [row.id for row in fleet.rows()]
    for attempts in (1, 2):
        fleet.wait_event("ready", attempts)
        fleet.store.pause([job], "alice")
        fleet.wait_state(job, S.PAUSED)
        assert len(fleet.witness.seen("start")) == 1 + attempts
        fleet.store.activate([job])
    fleet.wait_event("ready", 3)
    fleet.store.cancel([job], kill=True)
    fleet.wait_state(job, S.CANCELED)
    fleet.check()


def test_an_activated_job_goes_on_from_its_latest_checkpoint_and_an_edited_one_from_none(fleet: Fleet) -> None:
    node = fleet.node("a", EXS_GRACE="30", EXS_RENEW="3600", EXS_LEASE="7200", EXS_REPORT_EVERY="3600")
    keeps = ("keep", "checkpoints/a", "report", '{"checkpoint": {"path": "checkpoints/a", "step": 3}}')
    (job,) = fleet.push("told", "EXS_CHECKPOINT", *keeps, "obey", "SIGTERM", "ack", 0)
    for attempts in (1, 2):
        fleet.wait_event("ready", attempts)
        fleet.exs("pause", "work/0")
        row = fleet.wait_state(job, S.PAUSED)
        fleet.exs("activate", "work/0")
    fleet.wait_event("ready", 3)
    text = fleet.witness.command("told", "EXS_CHECKPOINT", "told", "EXS_PARAMS", "obey", "SIGTERM", "ack", 0)
    said = fleet.exs("edit", "work/0", "-p", "i=5", "--command", f"{shlex.join(text)} {{i}}")
    assert said == "asked 1 running job to stop and run anew: i=5, another command\n"
    fleet.wait_event("ready", 4)
    told = [seen.text for seen in fleet.witness.seen("told")]
    checkpoint = f"{row.directory}/checkpoints/a"
    assert told == ["", checkpoint, checkpoint, "", '{"i": 5}']
    assert asked(fleet) == ["pause", "pause", "edit"]
    fleet.exs("kill", job)
    fleet.wait_state(job, S.CANCELED)
    row = fleet.row(job)
    assert (row.attempts, row.name) == (4, "I_5")
    assert (node.work / "output" / row.name / "param.json").exists()
    fleet.wait_gone("")
    fleet.check()


def test_a_job_that_says_it_looks_and_does_not_gets_the_signal_in_half_of_the_grace(fleet: Fleet) -> None:
    fleet.node("a", EXS_GRACE="3")
    (job,) = fleet.push("report", '{"ack": "ready"}', "obey", "SIGTERM", "ack", 4)
    fleet.wait_event("ready")
    fleet.store.pause([job], "alice")
    assert fleet.wait_state(job, S.PAUSED).detail == "paused (exit code 4)"
    fleet.check()
