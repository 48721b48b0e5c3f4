from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

from cli.lab import Exs, Lab, wait_for
from cli.terminal import CTRL_C, Terminal
from exs.model import JobState
from harness.redis_server import RedisServer

S = JobState


def test_wait_is_0_when_all_are_done_and_1_when_one_is_not(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=2)
    claims = [lab.claim(), lab.claim()]
    process = exs.start("wait", "resnet")
    for claim in claims:
        lab.end(claim)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, b"2 done\n", b"")
    lab.push("other", jobs=1)
    lab.end(lab.claim(), S.CRASHED, exit_code=1)
    assert exs("wait", "other", code=1) == "1 crashed\n"
    assert exs.json("wait", "resnet", "other/0", code=1)["CRASHED"] == 1
    assert exs("wait", "-q", "resnet/0-1") == ""


def test_wait_says_that_nobody_works(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=1)
    process = exs.start("wait", "resnet")
    assert process.stderr is not None
    assert process.stderr.readline() == b"jobs wait, but no worker is running. Start one: exs worker\n"
    lab.end(lab.claim())
    assert process.communicate(timeout=30) == (b"1 done\n", b""), "said once"


def test_counts_follow_on_a_terminal_and_ctrl_c_leaves_the_jobs_alone(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=2)
    ours, theirs = pty.openpty()
    process = exs.start("wait", "resnet", stdin=theirs, stdout=theirs, stderr=subprocess.PIPE)
    os.close(theirs)
    seen = b""

    def shows(text: bytes) -> bool:
        nonlocal seen
        seen += os.read(ours, 4096)
        return text in seen

    wait_for(lambda: shows(b"2 waiting"), "the first counts")
    lab.end(lab.claim())
    wait_for(lambda: shows(b"1 done"), "the next counts")
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    os.close(ours)
    assert [row.state for row in lab.store.jobs("resnet")] == [S.DONE, S.QUEUED]


def test_jobs_of_several_experiments_are_waited_for_together(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=3)
    lab.push("other", jobs=2)
    process = exs.start("wait", "resnet/0-1", "other/1")
    first = lab.claim()
    second = lab.claim()
    exs("cancel", "other/1")
    lab.end(first)
    assert process.poll() is None
    lab.end(second)
    assert process.communicate(timeout=30)[0] == b"2 done  1 canceled\n"
    assert process.returncode == 1


def test_a_remark_about_redis_stands_on_a_line_of_its_own(exs: Exs, tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "own").start()
    try:
        exs.env["EXS_REDIS_URL"] = server.url
        exs("push", "--name", "few", "--", "sleep", "n=1,2")
        person = Terminal([sys.executable, "-m", "exs", "wait", "few"], exs.cwd, exs.env, columns=200)
        person.wait_for("2 waiting")
        server.kill()
        person.wait_for("Still waiting.")
        server.start()
        exs("cancel", "few/0")
        person.wait_for("1 canceled")
        person.press(CTRL_C)
        assert person.end() == 130
        lines = [line.strip() for line in person.screen().splitlines()]
        for beginning in ("cannot reach Redis at ", "1 waiting  1 canceled"):
            assert any(line.startswith(beginning) for line in lines), person.screen()
    finally:
        server.kill()
