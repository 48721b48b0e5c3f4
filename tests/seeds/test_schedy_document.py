"""Schedy's tutorial is followed to the letter: in Python, in a shell, in a real terminal; its workers are killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from cli.lab import Exs, wait_for
from exs.model import JobState
from exs.store.store import Store
from harness.node import SHORT
from seeds.documents import literal
from seeds.schedy import DOCUMENT, SOON, python, table

S = JobState


class Scripts:
    """Python scripts of a user in the directory of `exs`; none outlives the test."""

    def __init__(self, exs: Exs) -> None:
        self._exs = exs
        self._running: list[subprocess.Popen[bytes]] = []
        (exs.cwd / "soon.py").write_text(SOON)

    def start(self, code: str, *words: str) -> subprocess.Popen[bytes]:
        """One script, not waited for; what it prints is read from `printed`."""
        path = self._exs.cwd / f"script{len(self._running)}.py"
        path.write_text(code)
        log = path.with_suffix(".out").open("wb")
        started = subprocess.Popen(
            [sys.executable, "-u", str(path), *words],
            cwd=self._exs.cwd,
            env=self._exs.env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        log.close()
        self._running.append(started)
        return started

    def run(self, code: str, code_of_exit: int = 0) -> str:
        """One script to its end; what it printed."""
        started = self.start(code)
        assert started.wait(60) == code_of_exit, self.printed(started)
        return self.printed(started)

    def printed(self, script: subprocess.Popen[bytes]) -> str:
        return (self._exs.cwd / f"script{self._running.index(script)}.out").read_text()

    def end(self) -> None:
        for script in self._running:
            script.kill()
            script.wait(20)


@pytest.fixture
def scripts(exs: Exs) -> Iterator[Scripts]:
    exs.env |= SHORT
    started = Scripts(exs)
    yield started
    started.end()


def one(store: Store) -> str:
    """The id of the only job."""
    (row,) = store.jobs("MinimizeManual")
    return row.id


def test_the_tutorial_in_python(exs: Exs, scripts: Scripts, store: Store) -> None:
    scripts.run(python("ManualSearch"))
    worker = scripts.start(python("while True"))
    no_job = literal(DOCUMENT, "HTTP Error None")
    wait_for(lambda: no_job in scripts.printed(worker), "the error of an empty experiment")
    scripts.run(python("add_job"))
    wait_for(lambda: store.counts("MinimizeManual")[S.DONE] == 1, "the result")
    assert exs("list", "-t", "MinimizeManual").splitlines() == table(one(store))
    assert set(scripts.printed(worker).splitlines()) == set(no_job.splitlines()), "nothing else went wrong"
    assert worker.poll() is None
    assert store.audit() == []


# ------------------------------------------------------------ workers that die

HOLD = """
import sys, time
import exs

with exs.SchedyDB().get_experiment("MinimizeManual").next_job(wait=20) as job:
    job.results["half"] = 1
    job.put()
    print("has", job.job_id)
    while True:
        time.sleep(0.05)
        if len(sys.argv) > 1 and job.should_stop():
            break
"""
TAKE = """
import exs

with exs.SchedyDB().get_experiment("MinimizeManual").next_job(wait=20) as job:
    job.results["result"] = 5
"""


def test_the_job_of_a_killed_process_comes_back_to_the_next_one(exs: Exs, scripts: Scripts, store: Store) -> None:
    """At once, on one machine: no lease has run out, the times are those of a lab."""
    exs.env |= {"EXS_LEASE": "30", "EXS_RENEW": "10", "EXS_LOST_AFTER": "300"}
    scripts.run(python("ManualSearch") + python("add_job"))
    holder = scripts.start(HOLD)
    wait_for(lambda: "has" in scripts.printed(holder), "the holder")
    assert store.jobs("MinimizeManual")[0].result == {"half": 1}, "put() shows what is there so far"
    holder.kill()
    holder.wait(20)
    scripts.run(TAKE)
    (row,) = store.jobs("MinimizeManual")
    assert (row.state, row.attempts, row.lost, dict(row.result)) == (S.DONE, 2, 1, {"result": 5})
    assert store.audit() == []


def test_who_was_silent_for_too_long_is_fenced_out(scripts: Scripts, store: Store) -> None:
    scripts.run(python("ManualSearch") + python("add_job"))
    holder = scripts.start(HOLD, "until it should stop")
    wait_for(lambda: "has" in scripts.printed(holder), "the holder")
    holder.send_signal(signal.SIGSTOP)
    scripts.run(TAKE)
    holder.send_signal(signal.SIGCONT)
    assert holder.wait(20) == 1
    assert scripts.printed(holder).endswith("or has another holder; nothing was stored.\n")
    (row,) = store.jobs("MinimizeManual")
    assert (row.state, dict(row.result)) == (S.DONE, {"result": 5})


def test_two_processes_never_run_one_job(scripts: Scripts, store: Store) -> None:
    scripts.run(python("ManualSearch"))
    add = "experiment = schedy.SchedyDB().get_experiment('MinimizeManual')\nfor x in range(60):\n"
    scripts.run(f"import exs as schedy\n{add}    experiment.add_job({{'x': x, 'y': 2}})\n")
    pull = """
import os
import exs

experiment = exs.SchedyDB().get_experiment("MinimizeManual")
try:
    while True:
        with experiment.next_job() as job:
            job.results["pid"] = os.getpid()
            print(job.job_id)
except exs.errors.NoJobError:
    pass
"""
    both = [scripts.start(pull), scripts.start(pull)]
    assert [script.wait(60) for script in both] == [0, 0]
    ran = [job for script in both for job in scripts.printed(script).split()]
    assert sorted(ran) == sorted(store.ids("MinimizeManual")), "each once"
    assert {row.state for row in store.jobs("MinimizeManual")} == {S.DONE}
    assert {row.attempts for row in store.jobs("MinimizeManual")} == {1}
    assert [row for row in store.workers() if row.node == "laptop"] == [], "they leave the lists"
    assert store.audit() == []


def test_an_exception_is_passed_on_and_the_partial_results_are_kept(scripts: Scripts, store: Store, exs: Exs) -> None:
    scripts.run(python("ManualSearch") + python("add_job"))
    fail = TAKE + "    raise ValueError('the loss is nan')\n"
    assert "ValueError: the loss is nan" in scripts.run(fail, code_of_exit=1)
    (row,) = store.jobs("MinimizeManual")
    assert (row.state, dict(row.result), row.failure) == (S.CRASHED, {"result": 5}, "error")
    assert row.detail == "ValueError: the loss is nan"
    assert 'raise ValueError("the loss is nan")' in exs("show", row.id).replace("'", '"')
