"""exs run: push, work here, show; Ctrl-C; what happens to the jobs when it goes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import pytest

from cli.lab import Exs, Lab, wait_for
from cli.terminal import CTRL_C, Terminal
from exs.model import JobState
from exs.store.store import Store
from harness.node import gpus
from harness.redis_server import RedisServer

S = JobState

#: Jobs that say that they have begun, and end when the file `go` is there.
GATED = """\
name: gated
command: touch begun.{n}; until [ -e go ]; do sleep 0.02; done
params: {n: {range: [0, 4]}}
"""
QUICK = "name: quick\ncommand: echo {n}\nparams: {n: [1, 2, 3]}\n"
FAILING = "name: failing\ncommand: test -e {file}\nparams: {file: [here, missing]}\n"


@pytest.fixture(autouse=True)
def quick_times(exs: Exs) -> Iterator[None]:
    """No test waits for a poll of five seconds, and none leaves a job behind that waits for `go`."""
    exs.env |= {"EXS_IDLE_POLL": "0.3", "EXS_RENEW": "0.3", "EXS_LEASE": "5", "EXS_RECONNECT": "0.1"}
    yield
    (exs.cwd / "go").touch()


@pytest.fixture
def write(exs: Exs) -> Callable[[str], str]:
    """Writes a sweep file named after its experiment; returns its name."""

    def write(text: str) -> str:
        name = f"{text.split()[1]}.yaml"
        (exs.cwd / name).write_text(text)
        return name

    return write


@pytest.fixture
def gated(exs: Exs, write: Callable[[str], str]) -> tuple[str, ...]:
    """The words of a run whose two slots are busy until `go`."""
    return ("run", "--cpus", "2", write(GATED))


def begun(exs: Exs) -> int:
    return len(list(exs.cwd.glob("begun.*")))


def go(exs: Exs) -> None:
    (exs.cwd / "go").touch()


def at_terminal(exs: Exs, *words: str) -> Terminal:
    return Terminal([sys.executable, "-m", "exs", *words], exs.cwd, exs.env)


def nobody_works(store: Store) -> bool:
    return not any(row.state in ("busy", "idle") for row in store.workers())


def test_it_ends_with_the_table_and_code_0(exs: Exs, store: Store, write: Callable[[str], str]) -> None:
    lines = exs("run", "--cpus", "2", write(QUICK)).splitlines()
    assert lines[:2] == ["run quick: +3 new  on cpu0, cpu1", "quick  |  3 done"]
    assert sum("DONE" in line for line in lines) == 3
    assert nobody_works(store), "the slots have left"


def test_json_is_all_that_standard_output_gets(exs: Exs, write: Callable[[str], str]) -> None:
    out, err = exs.both("run", "--cpus", "2", "--json", write(QUICK))
    assert [job["status"] for job in json.loads(out)["jobs"]] == ["DONE"] * 3
    assert "run quick: +3 new" in err


def test_a_crashed_job_is_code_1_and_runs_again_the_next_time(
    exs: Exs, store: Store, write: Callable[[str], str]
) -> None:
    words = ("run", "--cpus", "1", write(FAILING))
    (exs.cwd / "here").touch()
    out = exs(*words, code=1)
    assert "1 done  1 crashed" in out and "exs logs failing/1" in out
    (exs.cwd / "missing").touch()
    assert "+0 new  ^1 run again  =1 done" in exs(*words)
    assert [job.attempts for job in store.jobs("failing")] == [1, 2]
    assert "^2 run again" in exs(*words, "--force")


def test_what_crashed_earlier_is_no_failure_of_other_commands_or_other_values(
    exs: Exs, write: Callable[[str], str]
) -> None:
    text = "name: two\ncommands: {bad: exit 1, good: exit 0}\nparams: {i: [0, 1]}\nbreaker: false\n"
    exs("run", "--cpus", "1", write(text), code=1)
    assert "2 done  2 crashed" in exs("run", "--cpus", "1", "-c", "good", "two.yaml")
    exs("run", "--cpus", "1", "-c", "good", "two.yaml")  # nothing is left to do
    exs("run", "--cpus", "1", "two.yaml", code=1)


def test_a_canceled_job_runs_again(exs: Exs, write: Callable[[str], str]) -> None:
    exs("push", write(QUICK))
    exs("cancel", "quick")
    assert "^3 run again" in exs("run", "--cpus", "1", "quick.yaml")


def test_words_sample_and_name(exs: Exs, store: Store) -> None:
    words = ("run", "--cpus", "2", "--name", "typed", "--sample", "2", "--sample-seed", "1")
    assert "+2 new" in exs(*words, "--", "echo", "lr=range(100)")
    assert store.experiment("typed").jobs == 2


def test_jobs_that_fit_no_slot_are_refused_before_anything_is_pushed(exs: Exs, store: Store) -> None:
    (exs.cwd / "wide.yaml").write_text("name: wide\ncommand: echo\nresources: {gpus: 2}\n")
    _, err = exs.both("run", "--cpus", "2", "wide.yaml", code=2)
    assert "a job needs 2 GPUs; the slots here are cpu0, cpu1." in err and "exs push" in err
    assert store.experiments() == []


def test_a_running_job_shows_its_directory_and_log(exs: Exs, gated: tuple[str, ...]) -> None:
    run = exs.start(*gated)
    wait_for(lambda: begun(exs) == 2, "two jobs")
    page = wait_for(lambda: "not known yet" not in (said := exs("show", "gated/0")) and said, "the first renewal")
    shown = dict(line.split(maxsplit=1) for line in page.splitlines() if line.startswith(("  directory", "  log")))
    assert Path(shown["directory"]).is_dir() and Path(shown["log"]).parent == Path(shown["directory"])
    go(exs)
    run.communicate(timeout=60)


def test_two_runs_at_once_keep_to_their_own(exs: Exs, store: Store, write: Callable[[str], str]) -> None:
    first = exs.start("run", "--cpus", "1", write(GATED))
    second = exs.start("run", "--cpus", "1", write(GATED.replace("gated", "other").replace("begun", "also")))
    wait_for(lambda: begun(exs) and list(exs.cwd.glob("also.*")), "a job of each")
    go(exs)
    for process, name in ((first, "gated"), (second, "other")):
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert f"{name}  |  4 done" in out.decode()
    assert all(job.attempts == 1 for name in ("gated", "other") for job in store.jobs(name))


def test_workers_help_with_a_run(exs: Exs, store: Store, gated: tuple[str, ...]) -> None:
    worker = exs.start("worker", "--cpus", "1", "--node", "helper")
    try:
        run = exs.start(*gated)
        wait_for(lambda: begun(exs) == 3, "three jobs at once on two slots and a worker")
        go(exs)
        assert run.wait(60) == 0
        assert {job.node for job in store.jobs("gated")} == {"laptop", "helper"}
        assert sum(row.state in ("busy", "idle") for row in store.workers()) == 1, "the worker stays"
    finally:
        worker.terminate()
        worker.communicate(timeout=30)


def test_an_interrupt_counts_the_jobs_of_this_run_alone(exs: Exs, gated: tuple[str, ...]) -> None:
    worker = exs.start("worker", "--cpus", "1", "--node", "helper")
    try:
        run = exs.start(*gated)
        wait_for(lambda: begun(exs) == 3, "three jobs at once on two slots and a worker")
        run.send_signal(signal.SIGINT)
        assert run.stderr is not None
        assert run.stderr.readline().startswith(b"stopping after 2 running jobs;")
        go(exs)
        assert run.wait(60) in (0, 130)
    finally:
        worker.terminate()
        worker.communicate(timeout=30)


def test_an_interrupt_without_a_terminal_finishes_what_runs(exs: Exs, store: Store, gated: tuple[str, ...]) -> None:
    run = exs.start(*gated)
    wait_for(lambda: begun(exs) == 2, "two jobs")
    run.send_signal(signal.SIGINT)
    assert run.stderr is not None
    said = run.stderr.readline().decode()
    assert said == "stopping after 2 running jobs; Ctrl-C again hands them back now.\n"
    go(exs)
    out, _ = run.communicate(timeout=60)
    assert run.returncode == 130
    assert out.decode().splitlines()[-2:] == [
        "stopped: 2 done  2 waiting",
        "  go on  exs run --cpus 2 gated.yaml",
    ]
    assert "=2 in the queue  =2 done" in exs(*gated)
    assert store.counts("gated")[S.DONE] == 4


def test_a_run_that_is_killed_leaves_a_node_that_finishes_its_jobs(
    exs: Exs, store: Store, gated: tuple[str, ...]
) -> None:
    run = exs.start(*gated, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: begun(exs) == 2, "two jobs")
    run.kill()
    run.wait()
    go(exs)
    wait_for(lambda: nobody_works(store), "the slots to leave")
    counts = store.counts("gated")
    assert counts[S.DONE] >= 2 and counts[S.DONE] + counts[S.QUEUED] == 4
    exs(*gated)
    assert [job.attempts for job in store.jobs("gated")] == [1, 1, 1, 1]


def test_a_pipe_behind_a_killed_run_ends_with_it(exs: Exs, store: Store, gated: tuple[str, ...]) -> None:
    run = exs.start(*gated)
    wait_for(lambda: begun(exs) == 2, "two jobs")
    run.kill()
    run.communicate(timeout=20)  # ends although two jobs still run
    assert begun(exs) == 2 and store.counts("gated")[S.RUNNING] == 2
    go(exs)
    wait_for(lambda: nobody_works(store), "the slots to leave")


def test_redis_goes_away_and_comes_back(exs: Exs, gated: tuple[str, ...], tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "own").start()
    try:
        exs.env["EXS_REDIS_URL"] = server.url
        run = exs.start(*gated)
        wait_for(lambda: begun(exs) == 2, "two jobs")
        server.kill()
        assert run.stderr is not None
        assert any(b"Running jobs go on" in line for line in run.stderr)
        server.start()
        go(exs)
        out, err = run.communicate(timeout=60)
        assert run.returncode == 0 and "gated  |  4 done" in out.decode()
        assert b"Redis is back." in err and b"Traceback" not in err
    finally:
        server.kill()


# ------------------------------------------------------------ at a terminal


def test_ctrl_c_asks_and_yes_finishes_what_runs(exs: Exs, store: Store, gated: tuple[str, ...]) -> None:
    terminal = at_terminal(exs, *gated)
    terminal.wait_for("2 running  2 waiting")
    terminal.press(CTRL_C)
    terminal.wait_for("Stop after 2 running jobs? [Y/n]")
    assert store.counts("gated")[S.RUNNING] == 2, "nothing is stopped before the answer"
    terminal.press("y\r")
    terminal.wait_for("stopping after 2 running jobs")
    go(exs)
    assert terminal.end() == 130
    lines = terminal.screen().split("\n")
    assert lines[-3:] == ["stopped: 2 done  2 waiting", "  go on  exs run --cpus 2 gated.yaml", ""]
    assert [job.state for job in store.jobs("gated")] == [S.DONE, S.DONE, S.QUEUED, S.QUEUED]
    assert "4 done" in exs(*gated)


def test_no_goes_on(exs: Exs, store: Store, gated: tuple[str, ...]) -> None:
    terminal = at_terminal(exs, *gated)
    terminal.wait_for("2 running  2 waiting")
    terminal.press(CTRL_C)
    terminal.wait_for("[Y/n]")
    terminal.press("n\r")
    terminal.wait_for("2 running  2 waiting")
    go(exs)
    assert terminal.end() == 0
    assert "gated  |  4 done" in terminal.screen()


def test_a_second_ctrl_c_hands_the_jobs_back(exs: Exs, store: Store, gated: tuple[str, ...]) -> None:
    terminal = at_terminal(exs, *gated)
    terminal.wait_for("2 running  2 waiting")
    terminal.press(CTRL_C)
    terminal.wait_for("[Y/n]")
    terminal.press_until(CTRL_C, "handing back 2 running jobs.")
    assert terminal.end() == 130
    assert "stopped: 4 waiting" in terminal.screen()
    go(exs)
    exs(*gated)
    assert all(job.state is S.DONE and job.lost == 0 for job in store.jobs("gated"))


def test_progress_is_one_line_with_remarks_above_it(exs: Exs, store: Store, gated: tuple[str, ...]) -> None:
    terminal = at_terminal(exs, *gated)
    terminal.wait_for("2 running  2 waiting")
    busy = next(row for row in store.workers() if row.state == "busy")
    os.kill(busy.pid, signal.SIGKILL)
    terminal.wait_for("was killed by signal 9")
    go(exs)
    assert terminal.end() == 0
    top = terminal.screen().partition("gated  |")[0].splitlines()
    assert top[0] == "run gated: +4 new  on cpu0, cpu1"
    assert len(top) == 2 and "was killed by signal 9" in top[1], "neither counts nor blanks are left behind"


def test_the_table_at_a_terminal_fits_into_it(exs: Exs, write: Callable[[str], str]) -> None:
    terminal = at_terminal(exs, "run", "--cpus", "1", write(QUICK))
    assert terminal.end() == 0
    assert max(map(len, terminal.screen().splitlines())) <= 80


def test_a_run_of_another_source_is_refused(exs: Exs, lab: Lab, write: Callable[[str], str]) -> None:
    lab.push("quick", jobs=1)
    _, err = exs.both("run", "--cpus", "1", write(QUICK), code=4)
    assert "--into" in err
    assert lab.store.counts("quick")[S.QUEUED] == 1


def test_a_file_of_slots_means_those_of_this_machine(exs: Exs, store: Store, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("template: {t: 'echo {x}'}\nresource: [0, 1]\n---\nx: [1, 2]\n")
    assert "on cpu0, cpu1" in exs("run", "--cpus", "2", "--name", "moved")
    assert [job.gpus for job in store.jobs("moved")] == ["", ""]


def test_a_sweep_that_fails_everywhere_is_not_run_to_its_end(exs: Exs, write: Callable[[str], str]) -> None:
    """One bad command must not burn every job; the same command goes on once it is mended."""
    words = (
        "run",
        "--cpus",
        "1",
        write("name: broken\ncommand: echo {n}; test -e here || exit 3\nparams: {n: {range: [0, 40]}}\n"),
    )
    said = "".join(exs.both(*words, code=1))
    assert "paused: breaker: 5 jobs on one slot failed alike and none succeeded: error: exit code 3" in said
    assert f"go on  exs {' '.join(words)}" in said
    (exs.cwd / "here").touch()
    out, err = exs.both(*words)
    assert "was paused (breaker: 5 jobs" in err and "40 done" in out


def test_jobs_of_several_gpus_run_on_slots_of_one(exs: Exs, write: Callable[[str], str]) -> None:
    exs.env["EXS_FAKE_GPUS"] = "999x24GiB"
    devices = gpus(3)
    file = write("name: wide\ncommand: sh -c 'echo $CUDA_VISIBLE_DEVICES'\nparams: {i: [1, 2]}\nresources: {gpus: 2}\n")
    exs("run", "--gpus", ",".join(devices), file)
    told = {path.read_text().strip() for path in exs.cwd.glob("output/*/log.*")}
    assert told <= {",".join(pair) for pair in combinations(devices, 2)} and told
    assert "a job needs 2 GPUs" in exs.both("run", "--gpus", devices[0], file, code=2)[1]
