"""The queue from Python: the examples of its documentation are run, and what they leave out."""

from __future__ import annotations

import doctest
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import exs
from cli.lab import Exs, Lab
from exs.errors import InputError, NotFound, RedisUnreachable, Refused
from exs.model import JobState
from exs.store.store import Store
from harness.node import Node
from harness.redis_server import free_port

S = JobState
SWEEP = {"name": "resnet", "command": "true {lr}", "params": {"lr": [0.1, 0.01, 0.001]}}


@pytest.fixture
def queue(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> exs.Queue:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EXS_REDIS_URL", store.url)
    return exs.connect()


@pytest.mark.parametrize("name", ["exs.api", "exs.compat.schedy"])
def test_the_examples_of_the_documentation_run(queue: exs.Queue, name: str) -> None:
    done = doctest.testmod(import_module(name))
    assert done.attempted > 3 and done.failed == 0


def test_a_sweep_is_a_file_or_a_mapping(queue: exs.Queue, tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text("name: a\ncommand: true {lr}\nparams: {lr: [1, 2]}\npriority: 7\n")
    first = queue.push("sweep.yaml")
    assert first.pushed is not None and first.pushed.new == 2 and first.row.priority == 7
    again = queue.push(tmp_path / "sweep.yaml")
    assert again.pushed is not None and (again.pushed.new, again.pushed.queued) == (0, 2)
    other = queue.push({**SWEEP, "retries": 2}, name="b", priority=3)
    assert (other.name, other.row.priority, other.row.retries, other.row.jobs) == ("b", 3, 2, 3)
    assert [found.name for found in queue.experiments()] == ["a", "b"]


@pytest.mark.parametrize(
    ("sweep", "said"),
    [
        ({"name": "a"}, "command"),
        ({"name": "a", "command": "true", "comand": 1}, "comand"),
        ({"name": "a", "command": "true", "params": {"x": object()}}, "cannot be written as JSON"),
        ("none.yaml", "no such file"),
    ],
)
def test_what_is_no_sweep_gets_a_sentence(queue: exs.Queue, sweep: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        queue.push(sweep)  # type: ignore[arg-type]
    assert queue.experiments() == []


def test_experiments_are_steered(queue: exs.Queue, lab: Lab) -> None:
    experiment = queue.push(SWEEP)
    assert experiment.cancel(0, 2)["canceled"] == 2
    assert experiment.retry(0)["queued"] == 1
    assert [row.state for row in experiment.jobs()] == [S.QUEUED, S.QUEUED, S.CANCELED]
    assert [row.index for row in experiment.jobs(states=["canceled"])] == [2]
    assert [row.index for row in queue.jobs("resnet/1-2")] == [1, 2]
    with pytest.raises(InputError, match="no job 9"):
        experiment.cancel(9)
    with pytest.raises(InputError, match="'bad' is no status"):
        experiment.jobs(states=["bad"])
    with pytest.raises(NotFound, match="Did you mean resnet"):
        queue.experiment("resnt")
    assert experiment.pause() and experiment.row.paused
    assert experiment.activate() and not experiment.row.paused
    changes = experiment.update(priority=3, max_slots=2)
    assert [(change.operation, change.after) for change in changes] == [("priority", "3"), ("max-slots", "2")]
    assert (experiment.row.priority, experiment.row.max_running) == (3, 2)
    with pytest.raises(InputError, match="priority"):
        experiment.update(priority=0, max_slots=1)
    assert experiment.row.max_running == 2, "all or nothing"
    with pytest.raises(Refused, match="resnet is not over"):
        experiment.archive()
    experiment.cancel()
    assert experiment.archive() and not experiment.archive()
    with pytest.raises(Refused, match="resnet is archived"):
        experiment.pause()
    assert experiment.unarchive() and not experiment.unarchive()
    assert experiment.remove()["removed"] == 3
    assert queue.experiments() == []


def test_it_waits_until_all_is_over_and_no_longer_than_told(queue: exs.Queue, lab: Lab) -> None:
    experiment = queue.push(SWEEP)
    with pytest.raises(TimeoutError, match="3 jobs of resnet are not over"):
        experiment.wait(timeout=0.1)
    ended = threading.Thread(target=lambda: [lab.end(lab.claim()) for _ in range(3)])
    ended.start()
    assert experiment.wait(timeout=30)[S.DONE] == 3
    ended.join()


def test_events_tell_each_change_until_all_is_over(queue: exs.Queue, lab: Lab) -> None:
    experiment = queue.push(SWEEP)
    events: Iterator[exs.api.Event] = experiment.events()
    first = [next(events) for _ in range(3)]
    assert [(event.job.index, event.state, event.before) for event in first] == [
        (at, S.QUEUED, None) for at in range(3)
    ]
    claim = lab.claim()
    event = next(events)
    assert (event.job.id, event.before, event.state) == (claim.job, S.QUEUED, S.RUNNING)
    lab.end(claim, S.CRASHED)
    experiment.cancel(1, 2)
    assert [(event.job.index, event.state) for event in events] == [(0, S.CRASHED), (1, S.CANCELED), (2, S.CANCELED)]


def test_a_frame_is_pandas_or_a_sentence(queue: exs.Queue, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = queue.push(SWEEP)
    lab.end(lab.claim(), result={"loss": 0.5})
    (first, *others) = experiment.records()
    assert (first["status"], first["lr"], first["loss"]) == ("DONE", 0.1, 0.5)
    assert all(record.keys() == first.keys() for record in others)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match="pandas is not installed"):
        experiment.frame()

    class Pandas:
        @staticmethod
        def DataFrame(rows: object) -> object:
            return rows

    monkeypatch.setitem(sys.modules, "pandas", Pandas)
    assert len(experiment.frame()) == 3


def test_a_redis_that_is_not_there_is_said_at_once() -> None:
    with pytest.raises(RedisUnreachable, match="cannot reach Redis"):
        exs.connect(f"redis://127.0.0.1:{free_port()}")


def test_to_import_exs_loads_nothing(exs: Exs) -> None:
    code = "import exs, sys; print(sorted(m for m in sys.modules if m.startswith('exs') or m in ('redis', 'yaml')))"
    done = subprocess.run([sys.executable, "-c", code], env=exs.env, cwd=exs.cwd, capture_output=True, text=True)
    assert done.stdout == "['exs']\n", done.stderr


# ------------------------------------------------------------ tasks

MODULE = """
import os
import exs

@exs.task(python={python!r})
def train(lr, epochs=3):
    print("training", lr)
    if lr > 1:
        raise ValueError("lr too high")
    return {{"loss": lr * epochs}}

def plain():
    os.mkdir("called")
"""


@pytest.fixture
def node(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    """A machine whose working directory holds the package `mylab`, which is importable here too."""
    node = Node("node", store.url, tmp_path)
    (node.work / "mylab.py").write_text(MODULE.format(python=sys.executable))
    monkeypatch.syspath_prepend(str(node.work))
    monkeypatch.delitem(sys.modules, "mylab", raising=False)
    yield node
    node.power_off()


def test_a_function_becomes_jobs_where_its_module_is_allowed(queue: exs.Queue, node: Node) -> None:
    node.start("--allow-module", "mylab")
    from mylab import train  # type: ignore[import-not-found]

    assert train(0.5) == {"loss": 1.5}
    experiment = queue.push(train.sweep({"lr": [0.1, 2], "epochs": 10}, name="rates"))
    experiment.wait(timeout=30)
    good, bad = experiment.jobs()
    assert (good.state, dict(good.result)) == (S.DONE, {"loss": 1.0})
    assert (bad.state, bad.exit_code) == (S.CRASHED, 1) and "ValueError: lr too high" in bad.tail


def test_a_module_that_is_not_allowed_is_not_imported(queue: exs.Queue, node: Node, tmp_path: Path) -> None:
    node.start("--allow-module", "other.*,mylab2")
    from mylab import train

    (node.work / "mylab.py").write_text("import os; os.mkdir('imported')\n")
    sweep = train.sweep({"lr": 0.1}, name="rates")
    experiment = queue.push({**sweep, "env": {"EXS_ALLOW_MODULES": "mylab"}})
    experiment.wait(timeout=30)
    (row,) = experiment.jobs()
    assert (row.state, row.exit_code) == (S.CRASHED, 4)
    assert "this worker does not import mylab: it was not told to allow it." in row.tail
    assert "Traceback" not in row.tail
    assert not (node.work / "imported").exists()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("mylab:plain", "plain in mylab is no task"),
        ("mylab:os", "os in mylab is no task"),
        ("mylab:missing", "missing in mylab is no task"),
        ("mylab.none:f", "does not import mylab.none"),
        ("mylab:train.python", "is no task"),
    ],
)
def test_only_tasks_are_called(queue: exs.Queue, node: Node, address: str, said: str) -> None:
    node.start("--allow-module", "mylab")
    experiment = queue.push({"name": "x", "command": f"{sys.executable} -m exs.calls {address}"})
    experiment.wait(timeout=30)
    (row,) = experiment.jobs()
    assert row.state is S.CRASHED and said in row.tail and "Traceback" not in row.tail
    assert not (node.work / "called").exists()


def test_arguments_that_a_task_does_not_take_are_refused_before_the_push(node: Node) -> None:
    from mylab import train

    with pytest.raises(InputError, match="missing a required argument: 'lr'"):
        train.sweep({"epochs": 3}, name="x")
    with pytest.raises(InputError, match="unexpected keyword argument 'lrr'"):
        train.sweep({"lr": 3, "lrr": 3}, name="x")

    @exs.task
    def inner() -> None: ...

    with pytest.raises(InputError, match="cannot be imported by a worker"):
        inner.sweep(name="x")
