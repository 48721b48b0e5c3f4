"""Logs from another machine: the agent of the node serves them through Redis, and serves nothing else."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from exs.model import JobState
from exs.store import keys
from harness.fleet import Fleet

S = JobState


def test_the_log_of_a_running_job_is_followed_to_its_end(fleet: Fleet) -> None:
    go = fleet.root / "go"
    fleet.node("a")
    (job,) = fleet.push("print", "epoch 1", "until", go, "bytes", b"epoch 2 \xff\x00\n".hex())
    fleet.wait_running(job)
    fleet.wait(lambda: fleet.exs_bytes("logs", job) == b"epoch 1\n", "what it printed so far")
    following = fleet.command("logs", "-f", job)
    assert following.stdout is not None
    assert following.stdout.readline() == b"epoch 1\n"
    go.touch()
    out, said = following.communicate(timeout=30)
    assert (following.returncode, out) == (0, b"epoch 2 \xff\x00\n"), said
    fleet.check()


def test_the_log_of_a_finished_job_whole_or_its_end(fleet: Fleet) -> None:
    """Also when it is larger than one answer."""
    fleet.node("a")
    text = b"".join(b"line %d\n" % i for i in range(2000))
    (job,) = fleet.push("bytes", text.hex(), name="large")
    fleet.wait_state(job, S.DONE)
    assert fleet.exs_bytes("logs", "large/0", EXS_LOG_CHUNK="4000") == text
    assert fleet.exs_bytes("logs", "large/0", "-n", "2") == b"line 1998\nline 1999\n"


def test_the_node_is_gone_and_the_stored_end_says_that_it_is_one(fleet: Fleet) -> None:
    node = fleet.node("a")
    crashed, done = fleet.push("print", "the reason", "exit", 3, jobs=1) + fleet.push("print", "fine", name="fine")
    fleet.wait_state(crashed, S.CRASHED)
    fleet.wait_state(done, S.DONE)
    node.power_off()
    out, said = fleet.both("logs", crashed)
    assert out == b"the reason\n"
    assert "a, which has the log of work/0, does not answer" in said and "only the end" in said
    said = fleet.both("logs", done, code=2)[1]
    assert "does not answer" in said and "exs worker starts one" in said


def test_hostile_requests_get_a_sentence_and_the_next_one_its_log(fleet: Fleet) -> None:
    """Paths that point elsewhere, links, pipes, numbers out of this world; nothing of it silences the agent."""
    node = fleet.node("a")
    (job,) = fleet.push("print", "mine")
    row = fleet.wait_state(job, S.DONE)
    secret = fleet.root / "secret"
    secret.mkdir()
    (secret / "log.train.2026").write_text("SECRET")
    (secret / "param.json").write_text(json.dumps({"_job": "another"}))
    (fleet.root / "plain").write_text("SECRET")
    client, log = fleet.server.client(), Path(row.log)

    def ask(offset: object = 0, limit: object = 100, command: object = "", job: object = job) -> str:
        """What the agent answers, data and problem in one text."""
        body = {"id": "answer", "job": job, "command": command, "offset": offset, "limit": limit}
        client.rpush(keys.ASK + "a", json.dumps(body))
        reply = client.blpop([keys.ANSWER + "answer"], timeout=10)
        assert reply is not None, node.text()
        return str(reply[1])

    for directory, path in (
        (str(secret), str(secret / "log.train.2026")),
        (row.directory, str(fleet.root / "plain")),
        (row.directory, f"{row.directory}/../../../../plain"),
        ("/", "/etc/passwd"),
        ("\0", "\0"),
        (str(fleet.root / "nowhere"), ""),
    ):
        client.hset(f"rq:job:{job}", mapping={"dr": directory, "lg": path})
        assert "SECRET" not in ask() and "root:" not in ask(command="../../etc/passwd")
    client.hset(f"rq:job:{job}", mapping={"dr": row.directory, "lg": row.log})
    log.rename(log.with_name("kept"))
    log.symlink_to(fleet.root / "plain")
    assert "SECRET" not in ask()
    log.unlink()
    for numbers in ((10**30, 5), (-(10**30), 5), (0, -5), (0, 10**30)):
        ask(*numbers)
    ask(job="nobody"), ask(job="../x"), ask(command="\0")
    for text in ("", "{", "[]", "7", "{}", '{"id": 1}', "\x00", "[" * 5000):
        client.rpush(keys.ASK + "a", text)
    log.with_name("kept").rename(log)
    assert fleet.exs_bytes("logs", job) == b"mine\n"
    assert "Traceback" not in node.text()


@pytest.mark.parametrize("kind", ["fifo", "directory"])
def test_a_log_that_is_no_file_does_not_block_the_agent(fleet: Fleet, kind: str) -> None:
    fleet.node("a")
    first, second = fleet.push("print", "mine", jobs=2)
    row = fleet.wait_state(first, S.DONE)
    fleet.wait_state(second, S.DONE)
    Path(row.log).unlink()
    os.mkfifo(row.log) if kind == "fifo" else Path(row.log).mkdir()
    fleet.both("logs", first, code=2)
    assert fleet.exs_bytes("logs", second) == b"mine\n"


def test_a_record_that_is_no_file_does_not_block_the_agent(fleet: Fleet) -> None:
    fleet.node("a")
    first, second = fleet.push("print", "mine", jobs=2)
    row = fleet.wait_state(first, S.DONE)
    fleet.wait_state(second, S.DONE)
    params = Path(row.log).with_name("param.json")
    params.unlink()
    os.mkfifo(params)
    fleet.both("logs", first, code=2)
    assert fleet.exs_bytes("logs", second) == b"mine\n"
