"""`exs list --watch` on a real terminal, and what it does elsewhere; how far experiments have come."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path

import pytest

from cli.lab import Exs, Lab
from cli.terminal import CTRL_C, Terminal
from exs.model import JobState

S = JobState
#: What takes away before it shows anew: the screen is empty for a moment, and flickers.
ERASES_FIRST = re.compile(r"\x1b\[2J|\x1b\[H\x1b\[J|\x1bc")


def watch(exs: Exs, *words: str, columns: int = 80, rows: int = 40) -> Terminal:
    return Terminal(exs.words("list", *words), exs.cwd, exs.env, columns, rows)


def test_the_picture_changes_in_place_and_the_last_one_stays(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=3)
    terminal = watch(exs, "-t", "resnet", "--watch", "0.1")
    terminal.wait_until(lambda: any("3 waiting" in line for line in terminal.grid()))
    lab.end(lab.claim(), result={"loss": 0.25})
    lab.claim()
    terminal.wait_until(lambda: any("1 done  1 running  1 waiting" in line for line in terminal.grid()))
    assert terminal.on_other_screen() and not terminal.cursor_shown()
    assert sum(line.startswith("| 0 ") for line in terminal.grid()) == 1
    assert "Ctrl-C ends" in terminal.grid()[-1] or any("Ctrl-C ends" in line for line in terminal.grid())
    assert not ERASES_FIRST.search(terminal.printed())
    terminal.press(CTRL_C)
    assert terminal.end() == 0
    assert not terminal.on_other_screen() and terminal.cursor_shown()
    left = terminal.grid()
    assert sum("1 done  1 running  1 waiting" in line for line in left) == 1
    assert any("0.25" in line for line in left) and not any("Ctrl-C ends" in line for line in left)


@pytest.mark.parametrize(("columns", "rows"), [(20, 3), (31, 6), (200, 1), (80, 24)])
def test_any_size_is_fitted_and_a_new_one_too(exs: Exs, lab: Lab, columns: int, rows: int) -> None:
    lab.push(jobs=60)
    terminal = watch(exs, "-t", "resnet", "--watch", "30", columns=columns, rows=rows)
    terminal.wait_until(lambda: "Ctrl-C" in terminal.printed())
    terminal.wait_until(lambda: bool(terminal.grid()[0].strip()))
    assert len(terminal.grid()) <= rows and not terminal.scrolled(), "nothing scrolls away"
    terminal.resize(100, 30)
    terminal.wait_until(lambda: any(re.match(r"\|\s+59 ", line) for line in terminal.grid()))  # the last lines are kept
    assert terminal.grid()[0].startswith("resnet") and any("lines more" in line for line in terminal.grid())
    assert len(terminal.grid()) <= 30 and not terminal.scrolled()
    terminal.press(CTRL_C)
    assert terminal.end() == 0


def test_what_ends_it_leaves_an_ordinary_terminal(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=1)
    terminal = watch(exs, "--watch")
    terminal.wait_until(lambda: any("resnet" in line for line in terminal.grid()))
    terminal.signal(signal.SIGTERM)
    assert terminal.end() == 128 + signal.SIGTERM
    assert not terminal.on_other_screen() and terminal.cursor_shown()
    terminal = watch(exs, "-t", "resnet", "--watch", "0.1")
    terminal.wait_until(lambda: any("resnet" in line for line in terminal.grid()))
    exs("rm", "-f", "resnet")
    assert terminal.end() == 2
    assert not terminal.on_other_screen() and terminal.cursor_shown()
    assert "no experiment or job 'resnet'" in "\n".join(terminal.grid())


def test_a_redis_that_goes_away_leaves_the_picture(well: Exs, ward: Lab, tmp_path: Path) -> None:
    ward.push(jobs=2)
    terminal = watch(well, "-t", "resnet", "--watch", "0.1", columns=200)
    terminal.wait_until(lambda: any("2 waiting" in line for line in terminal.grid()))
    ward.store._client.shutdown(nosave=True)
    terminal.wait_until(lambda: any("Still trying" in line for line in terminal.grid()))
    assert any("2 waiting" in line for line in terminal.grid())
    terminal.press(CTRL_C)
    assert terminal.end() == 0


def test_in_a_pipe_each_picture_that_differs_is_a_block(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=2)
    process = exs.start("list", "--watch", "0.1", "-t", "resnet")
    assert process.stdout is not None
    first = [process.stdout.readline().decode() for _ in range(7)]
    assert "2 waiting" in first[0]
    lab.claim()
    lines = iter(process.stdout.readline, b"")
    assert next(line for line in lines if b"1 running" in line)
    process.send_signal(signal.SIGINT)
    rest, said = process.communicate(timeout=20)
    assert process.returncode == 0 and b"\x1b" not in rest and said == b""


def test_a_name_behind_watch_is_a_name_and_forms_for_programs_are_refused(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=1)
    process = exs.start("list", "--watch", "resnet", stderr=subprocess.DEVNULL)
    assert process.stdout is not None and process.stdout.readline().startswith(b"resnet ")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 0
    for form in ("--json", "--csv", "-q"):
        assert "--watch is for people" in exs.both("list", "--watch", form, code=2)[1]
    assert "0.1" in exs.both("list", "--watch", "0", code=2)[1]


def test_how_far_an_experiment_is_and_how_long_it_takes(exs: Exs, lab: Lab) -> None:
    """Two done in 100 s each, one that runs says that it is half through after 100 s, one waits: 200 s are left."""
    lab.push(jobs=4)
    for _ in range(2):
        claim = lab.claim()
        lab.end(claim)
        lab.began_ago(claim, 100)
    assert exs.json("list")["experiments"][0]["seconds_left"] is None, "nothing runs"
    running = lab.claim()
    lab.began_ago(running, 100)
    lab.store.report(running.job, running.attempt, {"progress": 0.5})
    found = exs.json("list")["experiments"][0]
    assert found["progress"] == pytest.approx(0.625)
    assert found["seconds_left"] == pytest.approx(200, abs=10)
    assert found["typical_seconds"] == pytest.approx(100, abs=1)
    lines = exs("list").splitlines()
    assert lines[1].split() == ["name", "done", "run", "wait", "fail", "left", "why", "pushed"]
    assert lines[2].split()[5] in ("3m20s", "3m21s", "3m19s", "3m22s")
    assert re.match(r"62%, about 3m[12]\ds left \(a job takes 1m40s\)", exs("list", "-t", "resnet").splitlines()[-1])
    assert re.search(r"progress +62%, about 3m", exs("show", "resnet"))
    lab.end(running)
    lab.end(lab.claim())
    assert exs.json("list")["experiments"][0]["progress"] == 1
    assert "left" not in exs("list", "-t", "resnet")


def test_wait_says_what_the_queue_measured_before_it_came(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=3)
    done = lab.claim()
    lab.end(done)
    lab.began_ago(done, 3600)
    running = lab.claim()
    terminal = Terminal(exs.words("wait", "resnet"), exs.cwd, exs.env)
    terminal.wait_for("about 1h59m left")
    lab.end(running)
    lab.end(lab.claim())
    assert terminal.end() == 0


def test_of_what_is_done_nothing_is_left_whatever_was_measured(exs: Exs) -> None:
    """The counts of a line can be newer than what says how long the rest takes."""
    program = (
        "from exs.cli.progress import Progress; from exs.model import JobState; line = Progress();"
        "line.show({JobState.DONE: 2, JobState.RUNNING: 1}, 5.0); line.show({JobState.DONE: 3}, 5.0)"
    )
    terminal = Terminal([*exs.words()[:1], "-c", program], exs.cwd, exs.env)
    assert terminal.end() == 0
    shown = [re.sub(r"\x1b\[[0-9;]*[mK]", "", line) for line in terminal.printed().split("\r")]
    assert shown == ["", "2 done  1 running  about 5s left", "3 done"]
