from __future__ import annotations

import os
import pty
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.lab import Exs, Lab, wait_for
from exs.model import Claim, Failure, JobState, NewJob, Spec
from exs.settings import Settings
from exs.store.logs import LogChunk
from exs.store.push import Origin
from exs.store.store import open_store
from harness.redis_server import RedisServer

S = JobState
HOSTILE = b"one\n\x1b]0;owned\x07\x1b[2Jtwo\r\x9b31m \xff\xe2\x80\xae three\n"


def ended(lab: Lab, data: bytes, state: JobState = S.DONE, node: str = "laptop", **more: object) -> Path:
    """A job that printed `data` and ended."""
    lab.push(jobs=1)
    path = lab.cwd / "log.train.2026-11-20.08:00:00"
    path.write_bytes(data)
    lab.end(lab.claim(node), state, node=node, log=str(path), directory=str(lab.cwd), **more)
    return path


def on_terminal(exs: Exs, *words: str) -> bytes:
    """What a terminal gets."""
    ours, theirs = pty.openpty()
    process = exs.start(*words, stdin=theirs, stdout=theirs)
    os.close(theirs)
    seen = b""
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:  # Linux says EIO when the last writer has gone
            break
        if not data:
            break
        seen += data
    os.close(ours)
    assert process.wait(30) == 0
    return seen.replace(b"\r\n", b"\n")


def test_a_pipe_gets_every_byte(exs: Exs, lab: Lab) -> None:
    data = HOSTILE + bytes(range(256)) * 3000
    ended(lab, data)
    process = exs.start("logs", "resnet/0")
    assert process.communicate(timeout=30) == (data, b"")


def test_json_says_whose_log_it_is_and_whether_it_is_all_of_it(exs: Exs, lab: Lab) -> None:
    ended(lab, b"one\ntwo\xff\n")
    whole, end = exs.json("logs", "resnet/0"), exs.json("logs", "resnet/0", "--tail", "1")
    assert (whole["experiment"], whole["index"], whole["complete"]) == ("resnet", 0, True)
    assert (whole["text"], end["text"], end["complete"]) == ("one\ntwo\\xff\n", "two\\xff\n", False)
    assert "Leave one out" in exs.both("logs", "-f", "resnet/0", "--json", code=2)[1]


def test_a_terminal_gets_no_control_characters(exs: Exs, lab: Lab) -> None:
    ended(lab, HOSTILE)
    text = on_terminal(exs, "logs", "resnet/0").decode()
    assert text == "one\n\\x1b]0;owned\\x07\\x1b[2Jtwo\r\\x9b31m \\xff\\u202e three\n"
    assert on_terminal(exs, "logs", "--raw", "resnet/0") == HOSTILE


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_tail_is_the_last_lines(exs: Exs, lab: Lab, end: bytes) -> None:
    lines = [b"line %d" % i for i in range(40_000)]  # longer than one chunk
    ended(lab, b"\n".join(lines) + end)
    assert exs("logs", "--tail", "2", "resnet/0") == "line 39998\nline 39999" + end.decode()
    assert exs("logs", "--tail", "39999", "resnet/0").startswith("line 1\n")
    assert exs("logs", "-n", "99999", "resnet/0").startswith("line 0\n")
    assert exs("logs", "-n", "0", "resnet/0") == ""


def test_an_empty_log_is_empty(exs: Exs, lab: Lab) -> None:
    ended(lab, b"")
    assert exs("logs", "resnet/0") == ""
    assert exs("logs", "-n", "3", "resnet/0") == ""


def test_an_unknown_command_is_named_with_those_there_are(exs: Exs, lab: Lab) -> None:
    ended(lab, b"x\n", node="elsewhere")
    assert "resnet/0 has no command 'trian'. There are: train." in " ".join(
        exs.both("logs", "resnet/0", "-c", "trian", code=2)[1].split()
    )


def test_a_job_that_could_not_be_started_has_no_log_and_says_why(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=1)
    lab.end(lab.claim("elsewhere"), S.CRASHED, node="elsewhere", failure=Failure.SPAWN, detail="cannot create /x/Lr_0.")
    _, said = exs.both("logs", "resnet/0", code=2)
    assert "resnet/0 has no log, because it could not be started: cannot create /x/Lr_0." in said


@contextmanager
def agent(node: str, lab: Lab, read: Callable[[], bytes]) -> Iterator[None]:
    """Answers for `node` with whatever `read` gives."""
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            request = lab.store.next_log_request(node, 0.2)
            if request is not None:
                data = read()
                begin = max(0, len(data) + request.offset) if request.offset < 0 else request.offset
                lab.store.answer_log(request, LogChunk(data[begin : begin + request.limit], begin, len(data)))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_another_node_sends_its_log_through_redis(exs: Exs, lab: Lab) -> None:
    data = bytes(range(256)) * 4000
    ended(lab, b"wrong file", node="gpu01")
    with agent("gpu01", lab, lambda: data):
        assert exs.start("logs", "resnet/0").communicate(timeout=30) == (data, b"")


def test_each_attempt_of_a_followed_job_is_printed_once(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=1, retries=1)
    path = lab.cwd / "log.train.2026-11-20.08:00:00"
    path.write_bytes(b"one\n")
    with agent("laptop", lab, lambda: path.read_bytes()):
        claim = lab.claim()
        process = exs.start("logs", "-f", "resnet/0")
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == b"one\n"
        lab.end(claim, S.CRASHED, log=str(path), exit_code=1)

        def again() -> Claim | None:
            lab.store.reap()
            return lab.store.claim(lab.offer(), "second0000")

        claim = wait_for(again, "the second attempt")
        assert process.stderr.readline() == b"attempt 2 on laptop:0\n"
        path = lab.cwd / "log.train.2026-11-20.08:00:05"
        path.write_bytes(b"two\nthree\n")
        lab.end(claim, log=str(path))
        assert process.stdout.read() == b"two\nthree\n"
        assert process.wait(30) == 0


def test_a_node_that_does_not_answer_leaves_the_stored_end(exs: Exs, lab: Lab) -> None:
    ended(lab, b"", S.CRASHED, node="gpu01", tail="Traceback\nValueError: x\n", exit_code=1)
    out, err = exs.both("logs", "resnet/0")
    assert out == "Traceback\nValueError: x\n"
    assert "gpu01" in err and "only the end" in err


def test_a_job_that_never_started_has_no_log(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=1)
    _, err = exs.both("logs", "resnet/0", code=2)
    assert err == "exs: resnet/0 has not printed anything: it never started (queued).\n"


def test_follow_goes_on_until_the_job_is_over(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=1)
    process = exs.start("logs", "-f", "resnet/0")
    assert process.stderr is not None and b"has not started" in process.stderr.readline()
    claim = lab.claim()
    path = lab.cwd / "log.train"
    path.write_bytes(b"first\n")
    lab.end(claim, log=str(path), directory=str(lab.cwd))
    assert process.stdout is not None
    assert process.stdout.read() == b"first\n"
    assert process.wait(30) == 0


def test_the_logs_of_a_chain_of_commands_follow_each_other(exs: Exs, lab: Lab) -> None:
    commands = {"train": {"argv": [["true"]]}, "test": {"argv": [["true"]]}}
    spec = Spec(commands, cwd=str(lab.cwd), datetime="2026-11-20.08:00:00")
    lab.store.push("chain", spec, [NewJob({}, "x", "0" * 16)], Origin("alice", "laptop", "x.yaml"))
    for word in commands:
        (lab.cwd / f"log.{word}.{spec.datetime}").write_text(word + "\n")
    lab.end(lab.claim(), log=str(lab.cwd / f"log.test.{spec.datetime}"), directory=str(lab.cwd))
    assert exs("logs", "-f", "chain/0") == "train\ntest\n"
    assert exs("logs", "chain/0") == "test\n"
    assert exs("logs", "-c", "train", "chain/0") == "train\n"


def test_several_jobs_are_told_apart(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=2)
    for word in ("a", "b"):
        path = lab.cwd / word
        path.write_text(word + "\n")
        lab.end(lab.claim(), log=str(path))
    assert exs("logs", "resnet") == "==> resnet/0 <==\na\n\n==> resnet/1 <==\nb\n"
    assert "follows one job" in exs.both("logs", "-f", "resnet", code=2)[1]


def test_of_several_jobs_those_without_a_log_are_a_remark(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=5)
    (lab.cwd / "b").write_text("b\n")
    lab.end(lab.claim(), S.CRASHED, failure=Failure.SPAWN, detail="no such program: 'x'.")
    lab.end(lab.claim(), log=str(lab.cwd / "b"))
    for _ in range(2):
        lab.end(lab.claim("gone"), node="gone", log="/nowhere/log")
    out, err = exs.both("logs", "resnet")
    assert out.replace("\n\n", "\n").startswith("==> resnet/0 <==\n==> resnet/1 <==\nb\n")
    assert [line.split(",")[0] for line in err.splitlines()] == [
        "resnet/0 has no log",
        "gone",
        "resnet/3: gone does not answer.",
        "resnet/4 has not printed anything: it never started (queued).",
    ]
    assert exs.json("logs", "resnet/0-1")["text"] == "b\n"
    assert "none of these 2 jobs has a log" in exs.both("logs", "resnet/0", "resnet/4", code=2)[1]


def test_following_outlasts_a_redis_that_goes_away(exs: Exs, tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "own").start()
    try:
        exs.env |= {"EXS_REDIS_URL": server.url, "EXS_RECONNECT": "0.05"}
        lab = Lab(open_store(server.url, Settings()), tmp_path)
        lab.push(jobs=1)
        process = exs.start("logs", "-f", "resnet/0")
        assert process.stderr is not None and b"has not started" in process.stderr.readline()
        server.stop()
        remark = process.stderr.readline()
        assert remark.startswith(b"cannot reach Redis at ") and remark.endswith(b"Still waiting.\n")
        server.start()
        path = tmp_path / "log.train"
        path.write_bytes(b"first\n")
        lab.end(lab.claim(), log=str(path), directory=str(tmp_path))
        assert process.communicate(timeout=30) == (b"first\n", b"")
        assert process.returncode == 0
    finally:
        server.kill()


def test_following_a_running_job_outlasts_it_too(exs: Exs, tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "own").start()
    try:
        exs.env |= {"EXS_REDIS_URL": server.url, "EXS_RECONNECT": "0.05"}
        lab = Lab(open_store(server.url, Settings()), tmp_path)
        lab.push(jobs=1)
        claim = lab.claim()
        path = tmp_path / "log.train"
        path.write_bytes(b"first\n")
        with agent("laptop", lab, path.read_bytes):
            process = exs.start("logs", "-f", "resnet/0")
            assert process.stdout is not None and process.stderr is not None
            assert process.stdout.readline() == b"first\n"
        server.stop()
        assert process.stderr.readline().endswith(b"Still waiting.\n")
        path.write_bytes(b"first\nsecond\n")
        server.start()
        lab.end(claim, log=str(path), directory=str(tmp_path))
        assert process.communicate(timeout=30)[0] == b"second\n", "each line once"
        assert process.returncode == 0
    finally:
        server.kill()


def test_following_ends_when_redis_stays_away(exs: Exs, tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "own").start()
    try:
        exs.env |= {"EXS_REDIS_URL": server.url, "EXS_RECONNECT": "0.05", "EXS_LOST_AFTER": "0.2"}
        Lab(open_store(server.url, Settings()), tmp_path).push(jobs=1)
        process = exs.start("logs", "-f", "resnet/0")
        assert process.stderr is not None and b"has not started" in process.stderr.readline()
        server.stop()
        assert process.communicate(timeout=30)[1].count(b"Redis at ") == 2, "a remark, then the error"
        assert process.returncode == 3
    finally:
        server.kill()
