"""Schedy's command line: its tutorial in a real terminal, and `schedy run` as `exs pull`."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from pathlib import Path

import pytest

from cli.lab import Exs, wait_for
from cli.terminal import Terminal
from exs.model import JobState
from exs.store.store import Store
from harness.node import SHORT
from seeds.schedy import shell, table

S = JobState
#: What the tutorial's worker does, as a command with Schedy's options.
TRAIN = """
import argparse, json, os, sys
parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float)
parser.add_argument("--y", type=float)
parser.add_argument("--num-layer", default=0)
args = parser.parse_args()
print("training", sys.argv[1:], flush=True)
print("--- RESULTS ---")
print(json.dumps({"result": int(args.x ** 2 + args.y ** 2)}))
print("--- END RESULTS ---")
"""


@pytest.fixture
def minimize(exs: Exs) -> Exs:
    exs.env |= SHORT
    (exs.cwd / "train.py").write_text(TRAIN)
    exs(*shlex.split(shell("add MinimizeManual"))[1:])
    return exs


def pull(exs: Exs, *words: str, code: int = 0, options: tuple[str, ...] = ()) -> tuple[str, str]:
    """`exs pull` of a program in Python."""
    return exs.both("pull", *options, "MinimizeManual", "--", sys.executable, *words, code=code)


def test_the_tutorial_in_a_terminal(exs: Exs, store: Store) -> None:
    (exs.cwd / "train.py").write_text(TRAIN)
    (exs.cwd / "bin").mkdir()
    launcher = exs.cwd / "bin" / "exs"
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m exs "$@"\n')
    launcher.chmod(0o755)
    env = {**exs.env, "PATH": f"{exs.cwd / 'bin'}{os.pathsep}{exs.env['PATH']}", "PS1": "$ "}
    terminal = Terminal(["bash", "--norc"], exs.cwd, env, columns=100)
    terminal.wait_for("$ ")
    terminal.press(shell("add MinimizeManual") + "\n")
    terminal.wait_for("added MinimizeManual")
    terminal.press(shell("push MinimizeManual") + "\n")
    terminal.wait_for("status: QUEUED")
    (row,) = store.jobs("MinimizeManual")
    assert f"id: {row.id}\nstatus: QUEUED\nx: 1\ny: 2\n" in terminal.screen()
    terminal.press(f"exs pull MinimizeManual -- {sys.executable} train.py %h\n")
    terminal.wait_for("no job left for experiment MinimizeManual")
    terminal.press(shell("list -t MinimizeManual") + "\n")
    terminal.wait_for("|        5 |\r\n+--")
    terminal.wait_for("$ ")
    terminal.press("exit\n")
    terminal.end()
    shown = terminal.screen().splitlines()
    at = next(number for number, line in enumerate(shown) if line.startswith("+---"))
    assert shown[at : at + 5] == table(row.id)


def test_list_show_and_rm_are_schedys(minimize: Exs, store: Store) -> None:
    ids = []
    for x, y in ((1, 2), (3, 4), (0, 0)):
        out = minimize("push", "MinimizeManual", "-p", "x", str(x), "y", str(y))
        ids.append(out.splitlines()[0].removeprefix("id: "))
    pull(minimize, "train.py", "%h", options=("--once",))
    minimize("push", "MinimizeManual", "-p", "x", "9", "y", "9", "-r", "result", "162", "-s", "DONE")
    assert minimize("list", "-p", "MinimizeManual").split("\n\n")[0].splitlines() == [
        f"id: {ids[0]}", "status: DONE", "x: 1", "y: 2", "result: 5",
    ]  # fmt: skip
    by_y = minimize("list", "-t", "MinimizeManual", "-s", "y", "-d", "-f", "y", "-f", "status", "-f", "result")
    rows = [line.replace(" ", "")[1:-1].split("|") for line in by_y.splitlines() if "--" not in line]
    assert rows == [
        ["y", "status", "result"], ["9", "DONE", "162"], ["4", "QUEUED", ""], ["2", "DONE", "5"], ["0", "QUEUED", ""],
    ]  # fmt: skip
    assert minimize("list", "-p", "MinimizeManual", "-s", "result", "-f", "hyperparameter.x").split() == [
        word for x in (1, 9, 3, 0) for word in ("hyperparameter.x:", str(x))
    ]  # fmt: skip
    assert "cannot show 'z'" in minimize.both("list", "-p", "MinimizeManual", "-f", "z", code=2)[1]
    assert "cannot sort by 'statu'" in minimize.both("list", "-p", "MinimizeManual", "-s", "statu", code=2)[1]
    page = minimize("show", "MinimizeManual", ids[0])
    assert page.startswith(f"MinimizeManual/0  {ids[0]}  DONE") and page.count("MinimizeManual/0") == 2
    assert "scheduler   Manual" in minimize("show", "MinimizeManual")
    assert "removed 1 job\n" in minimize("rm", "-f", "MinimizeManual", ids[2])
    assert [row.index for row in store.jobs("MinimizeManual")] == [0, 1, 3], "the job alone"
    minimize("rm", "-f", "MinimizeManual")
    assert store.experiments() == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "MinimizeManual", "manual"), "exists already"),
        (("add", "list", "manual"), "is a command of exs"),
        (("add", "R", "random"), "three words for each"),
        (("add", "R", "random", "x", "normal"), "three words for each"),
        (("add", "R", "random", "x", "norma", "{}"), "'norma' is no distribution"),
        (("add", "R", "random", "x", "normal", '{"base": 1}'), 'normal takes {"mean": ..., "std": ...}'),
        (("add", "R", "random", "x", "normal", "{"), "is not JSON"),
        (("add", "R", "random", "x", "const", '{"value": 1}', "x", "const", '{"value": 1}'), "given twice"),
        (("add", "R", "manual", "x"), "manual takes nothing"),
        (("push", "MinimizeManual", "-p", "x"), "'x' has no value"),
        (("push", "MinimizeManual", "-p", "x", "1", "x", "2"), "gives 'x' twice"),
        (("push", "MinimizeManual", "-p", "x", "1", "-s", "RUNNING"), "cannot be made RUNNING by hand"),
        (("push", "MinimizeManual", "-s", "DONE"), "describe the job that -p adds"),
        (("pull", "MinimizeManual"), "needs a command"),
        (("pull", "MinimizeManual", "--", "x", "a%h"), "must be a word of its own"),
        (("pull", "MinimizeManual", "--", "x", "%z"), "%z stands for nothing"),
        (("pull", "Minimize", "--", "x"), "Did you mean MinimizeManual?"),
    ],
)
def test_what_cannot_be_gets_a_sentence(minimize: Exs, store: Store, words: tuple[str, ...], said: str) -> None:
    code = 4 if "exists" in said or "by hand" in said else 2
    assert said in minimize.both(*words, code=code)[1]
    assert store.experiment("MinimizeManual").jobs == 0 and len(store.experiments()) == 1


def test_values_are_json_and_arrive_as_they_are(minimize: Exs, store: Store) -> None:
    minimize(
        "push", "MinimizeManual", "-p", "num_layer", "3", "lr", "1e-2", "name", '"a b"', "flag", "true",
        "pct", "5%", "none", "null", "list", "[1, 2]",
    )  # fmt: skip
    out, _ = pull(minimize, "-c", "import sys; print(sys.argv[1:])", "%e", "--job=%j", "%h", "100%%",
                  options=("--allow-empty-results",))  # fmt: skip
    job = store.ids("MinimizeManual")[0]
    assert out.splitlines() == [
        str(["MinimizeManual", f"--job={job}", "--num-layer", "3", "--lr", "0.01", "--name", "a b", "--flag", "True",
             "--pct", "5%", "--list", "[1,2]", "100%"])
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("print('hi')", "no results: it printed no --- RESULTS ---"),
        ("print('--- RESULTS ---\\nnot json')", "its RESULTS block is not readable"),
        ("print('--- RESULTS ---\\n[1]')", "not an object but list"),
        ("raise SystemExit(3)", "exit code 3"),
    ],
)
def test_a_command_without_results_has_crashed_and_ends_it(minimize: Exs, store: Store, code: str, said: str) -> None:
    for x in (1, 2):
        minimize("push", "MinimizeManual", "-p", "x", str(x))
    assert said in pull(minimize, "-c", code, code=1)[1]
    assert [row.state for row in store.jobs("MinimizeManual")] == [S.CRASHED, S.QUEUED]
    pull(minimize, "-c", code, options=("--ignore-errors",))
    assert [row.state for row in store.jobs("MinimizeManual")] == [S.CRASHED, S.CRASHED]
    assert store.audit() == []


def test_results_may_go_to_the_report_file_as_those_of_any_job(minimize: Exs, store: Store) -> None:
    minimize("push", "MinimizeManual", "-p", "x", "1")
    pull(minimize, "-c", "import os; open(os.environ['EXS_REPORT'], 'w').write('{\"loss\": 0.5}')")
    (row,) = store.jobs("MinimizeManual")
    assert dict(row.result) == {"loss": 0.5}
    assert Path(row.log).name.startswith("log.run.") and Path(row.directory).is_dir()


def test_a_program_that_is_not_there_crashes_the_job_with_a_sentence(minimize: Exs, store: Store) -> None:
    minimize("push", "MinimizeManual", "-p", "x", "1")
    _, err = minimize.both("pull", "MinimizeManual", "no-such-program", "%h", code=1)
    assert "no such program: 'no-such-program'" in err


def test_a_job_without_results_runs_anew_when_it_is_retried(minimize: Exs) -> None:
    """Its command ended with success, which is no reason to leave it out."""
    minimize("push", "MinimizeManual", "-p", "x", "1", "y", "2")
    assert "no results: " in pull(minimize, "-c", "pass", code=1)[1]
    minimize("retry", "MinimizeManual")
    pull(minimize, "train.py", "%h")
    assert minimize.json("show", "MinimizeManual/0")["result"] == {"result": 5}


def test_a_random_search_is_pulled_for_as_long_as_one_likes(minimize: Exs, store: Store) -> None:
    minimize("add", "Search", "random", "x", "uniform", '{"low": 0, "high": 1}', "y", "const", '{"value": 2}')
    for _ in range(2):
        minimize("pull", "--once", "Search", sys.executable, "train.py", "%h")
    assert [row.state for row in store.jobs("Search")] == [S.DONE] * 2
    assert 'x: uniform ({"low": 0, "high": 1})' in minimize("show", "Search")


SLEEP = "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(600)"


def started(minimize: Exs) -> int:
    """The pid of the command that a pull has started."""
    path = minimize.cwd / "pid"
    return int(wait_for(lambda: path.exists() and path.read_text(), "the command"))


def ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return b") Z" in Path(f"/proc/{pid}/stat").read_bytes()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_however_it_is_stopped_its_job_comes_back(minimize: Exs, store: Store, number: int) -> None:
    """Schedy's defect 2. With SIGKILL the lease has not run out: the times are those of a lab."""
    minimize.env |= {"EXS_LEASE": "30", "EXS_RENEW": "10", "EXS_LOST_AFTER": "300"}
    minimize("push", "MinimizeManual", "-p", "x", "1")
    process = minimize.start("pull", "MinimizeManual", "--", sys.executable, "-c", SLEEP)
    command = started(minimize)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == (-9 if number == signal.SIGKILL else 130), err
    wait_for(lambda: store.jobs("MinimizeManual")[0].state is S.QUEUED, "the job back in its place")
    assert ended(command), "before anybody can take the job"
    (row,) = store.jobs("MinimizeManual")
    assert row.lost == (1 if number == signal.SIGKILL else 0), "stopped on purpose it counts as nothing"
    wait_for(lambda: store.workers() == [], "it has left the lists")
    assert store.audit() == []


def test_a_job_by_hand_is_not_edited_as_one_of_a_worker(minimize: Exs, store: Store) -> None:
    minimize("push", "MinimizeManual", "-p", "x", "1")
    assert "MinimizeManual/0 is a job by hand" in minimize.both("edit", "MinimizeManual/0", "-p", "x=2", code=4)[1]
    assert dict(store.jobs("MinimizeManual")[0].params) == {"x": 1}


def test_to_wait_for_jobs_by_hand_asks_for_no_worker(minimize: Exs, store: Store) -> None:
    minimize("push", "MinimizeManual", "-p", "x", "1", "y", "2")
    terminal = Terminal([sys.executable, "-m", "exs", "wait", "MinimizeManual"], minimize.cwd, minimize.env)
    terminal.wait_for("1 waiting")
    pull(minimize, "train.py", "%h")
    assert terminal.end() == 0
    assert "1 done" in terminal.screen() and "no worker" not in terminal.screen()


def test_a_canceled_job_ends(minimize: Exs, store: Store) -> None:
    minimize("push", "MinimizeManual", "-p", "x", "1")
    process = minimize.start("pull", "MinimizeManual", "--", sys.executable, "-c", SLEEP)
    command = started(minimize)
    minimize("cancel", "MinimizeManual")
    process.communicate(timeout=30)
    assert ended(command)
    (row,) = store.jobs("MinimizeManual")
    assert row.state is S.CANCELED


def test_it_waits_for_jobs_when_told_to(minimize: Exs, store: Store) -> None:
    process = minimize.start("pull", "--wait", "inf", "--once", "MinimizeManual", sys.executable, "train.py", "%h")
    wait_for(lambda: any(row.only == "MinimizeManual" for row in store.workers()), "somebody who waits")
    minimize("push", "MinimizeManual", "-p", "x", "1", "y", "2")
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert json.loads(out.decode().split("--- RESULTS ---\n")[1].split("\n")[0]) == {"result": 5}
