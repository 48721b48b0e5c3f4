"""Determined's page on its job queue, command by command: what it shows, and what each of its changes does."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.lab import Exs, wait_for
from exs.store.store import Store
from seeds.documents import literal, text_of

DOCUMENT = "determined-run-training-code.rst"
#: `det job list` and the others, each with what it prints.
WORKFLOW = re.split(r"^\$ det ", literal(DOCUMENT, "0d714127 | TYPE_EXPERIMENT"), flags=re.MULTILINE)[1:]
#: The ids of the page, and the experiments that they stand for.
IDS = {"0d714127": "first_job", "73853c5c": "second_job"}

CONFIG = """\
name: {name}
entrypoint: python3 train.py
hyperparameters: {{learning_rate: 0.5}}
searcher: {{name: single, metric: loss, max_length: 1}}
resources: {{slots_per_trial: 1}}
"""
TRAIN = """\
import os, time
while not os.path.exists("enough"):
    time.sleep(0.05)
"""


@pytest.fixture
def enough(exs: Exs) -> Path:
    """The file for whose sake the jobs wait."""
    (exs.cwd / "train.py").write_text(TRAIN)
    for name in (*IDS.values(), "third_job"):
        (exs.cwd / f"{name}.yaml").write_text(CONFIG.format(name=name))
    exs.env |= {"EXS_RENEW": "0.2", "EXS_LEASE": "5", "EXS_IDLE_POLL": "0.2"}
    return exs.cwd / "enough"


@pytest.fixture
def worker(exs: Exs, enough: Path) -> Iterator[subprocess.Popen[bytes]]:
    """One slot with one GPU."""
    process = exs.start("worker", "--gpus", "0", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield process
    enough.touch()
    process.terminate()
    process.communicate(timeout=30)


def cells(table: str) -> list[list[str]]:
    """Determined's table: its header and its rows, the line between them left out."""
    lines = [line for line in table.splitlines() if "|" in line]
    return [[cell.strip() for cell in line.split("|")] for line in lines]


def commands(containing: str) -> list[list[str]]:
    """The words behind `det` of the commands in one block of the page."""
    return [shlex.split(line.removeprefix("$ det ")) for line in literal(DOCUMENT, containing).splitlines()]


def as_shown(exs: Exs, ids: dict[str, str], page: str) -> bool:
    """True once `job list` shows what the page does: time and user apart, which are ours."""
    theirs = cells(page)
    for row in theirs[1:]:
        row[1] = ids[row[1]]
    ours = cells(exs("job", "list"))
    apart = [theirs[0].index(name) for name in ("Submitted", "User")]
    return [[cell for at, cell in enumerate(row) if at not in apart] for row in ours] == [
        [cell for at, cell in enumerate(row) if at not in apart] for row in theirs
    ]


@pytest.mark.usefixtures("worker")
def test_the_example_workflow_shows_what_the_page_shows(exs: Exs, store: Store, enough: Path) -> None:
    exs("pool", "set", "default", "--preemption", "on")
    exs("push", "first_job.yaml")
    wait_for(lambda: store.queue().rows[0].acquired, "the first job to run")
    exs("push", "second_job.yaml")
    ids = {theirs: store.experiment(name).id for theirs, name in IDS.items()}
    kinds = []
    for step in WORKFLOW:
        line, _, page = step.partition("\n")
        words = line.split()
        kinds.append(words[1])
        if words[1] == "list":
            wait_for(lambda page=page: as_shown(exs, ids, page), f"the table\n{page}")
        else:
            exs(*(re.sub("|".join(ids), lambda found: ids[found[0]], word) for word in words))
    assert kinds == ["list", "update", "list", "update-batch", "list"]
    enough.touch()
    exs("wait", "first_job", "second_job")
    assert [job.failure for name in IDS.values() for job in store.jobs(name)] == ["", ""]


@pytest.mark.usefixtures("enough")
def test_the_queue_of_another_pool(exs: Exs) -> None:
    (words,) = commands("--resource-pool compute-pool")
    exs("push", "first_job.yaml", "--pool", words[-1])
    assert [row[3] for row in cells(exs(*words))[1:]] == ["first_job"]
    for words in commands("$ det job ls"):
        assert len(cells(exs(*words))) == 1


@pytest.mark.usefixtures("enough")
def test_each_example_of_an_update(exs: Exs, store: Store) -> None:
    exs("push", "first_job.yaml")
    exs("push", "second_job.yaml")
    names = {"jobID": "second_job", "jobID-2": "first_job"}
    priority, pool, ahead = commands("det job update jobID --priority 10")
    assert exs(*(names.get(word, word) for word in priority)) == "second_job: priority 42 -> 10\n"
    assert exs(*(names.get(word, word) for word in ahead)) == "second_job: ahead of first_job, priority 10 -> 42\n"
    assert exs(*(names.get(word, word) for word in pool)).startswith("second_job: pool default -> a100")
    assert [row.experiment for row in store.queue("a100").rows] == ["second_job"]


@pytest.mark.usefixtures("enough")
def test_the_example_of_a_batch(exs: Exs, store: Store) -> None:
    names = {"job1": "first_job", "job2": "second_job", "job3": "third_job"}
    for name in names.values():
        exs("push", f"{name}.yaml")
    (words,) = commands("det job update-batch job1.priority=1")
    exs(*(re.sub(r"\bjob\d", lambda found: names[found[0]], word) for word in words))
    assert [(row.experiment, row.priority) for row in store.queue().rows] == [("third_job", 1), ("first_job", 1)]
    assert [row.experiment for row in store.queue("compute").rows] == ["second_job"]


@pytest.mark.usefixtures("enough")
def test_constraints_of_the_page(exs: Exs, store: Store) -> None:
    for constraint in ("mutually exclusive", "not possible with the fair share scheduler", "omitted from this list"):
        assert constraint in " ".join(text_of(DOCUMENT).split())
    exs("push", "first_job.yaml")
    exs("push", "second_job.yaml")
    exs("pool", "set", "default", "--scheduler", "fair_share")
    for change in (("--ahead-of", "first_job"), ("--behind-of", "first_job"), ("--to-top",)):
        assert "has no order" in exs.both("job", "update", "second_job", *change, code=2)[1]
    header, *rows = cells(exs("job", "list"))
    assert header[4] == "Weight" and [row[0] for row in rows] == ["N/A", "N/A"]
    exs("pool", "set", "default", "--scheduler", "priority")
    assert cells(exs("job", "list"))[0][4] == "Priority"
    exs("cancel", "first_job")
    assert [row[3] for row in cells(exs("job", "list"))[1:]] == ["second_job"]
