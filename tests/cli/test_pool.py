"""Pools at the shell: what `exs pool` shows and sets, and what a push to one says."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.lab import Exs, Lab
from exs.model import Offer

SWEEP = """\
name: resnet
command: "true {n}"
params: {n: [1, 2, 3]}
weight: 2.5
preemptible: false
resources: {pool: a100}
"""


@pytest.fixture
def sweep(exs: Exs) -> Path:
    path = exs.cwd / "sweep.yaml"
    path.write_text(SWEEP)
    return path


def test_a_pool_is_set_as_often_as_one_likes(exs: Exs) -> None:
    assert exs("pool", "set", "a100", "--scheduler", "fair_share") == "pool a100: fair_share\n"
    assert exs("pool", "set", "a100", "--scheduler", "fair_share") == "pool a100: fair_share  (as before)\n"
    said = exs("pool", "set", "a100", "--scheduler", "priority", "--preemption", "on", "--backfill", "on")
    assert said == "pool a100: priority, preemption, backfill\n"
    assert exs("pool", "set", "a100", "--preemption", "off") == "pool a100: priority, backfill\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("set", "a100"), "nothing to set"),
        (("set", "a100", "--scheduler", "fifo"), "'fifo' is not one of"),
        (("set", "a,b", "--preemption", "on"), "name a pool"),
        (("set", "a100", "--preemption", "maybe"), "'maybe' is not one of"),
    ],
)
def test_what_cannot_be_set_is_refused(exs: Exs, words: tuple[str, ...], says: str) -> None:
    assert says in exs.both("pool", *words, code=2)[1]
    assert exs("pool", "list", "-q") == "default\n"


def test_pools_are_listed_with_who_works_and_waits(exs: Exs, lab: Lab, sweep: Path) -> None:
    exs("pool", "set", "spare", "--scheduler", "fair_share")
    exs("push", "sweep.yaml")
    lab.push("other", jobs=2)
    lab.claim()
    lab.store.claim(Offer("gpu01-0", "gpu01", "b", pools=("a100", "spare")), "attempt900")
    found = {row["pool"]: row for row in exs.json("pool", "list")["pools"]}
    assert list(found) == ["default", "a100", "spare"]
    assert found["a100"] == {
        "pool": "a100", "scheduler": "priority", "preemption": False, "backfill": False, "slots": 1, "busy": 1,
        "idle": 0, "running": 1, "waiting": 2, "experiments": ["resnet"],
    }  # fmt: skip
    assert found["default"]["experiments"] == ["other"]
    assert (found["spare"]["slots"], found["spare"]["scheduler"]) == (1, "fair_share")
    header, *lines = exs("pool").splitlines()
    assert header.split() == ["pool", "slots", "busy", "idle", "scheduler", "experiments", "run", "wait"]
    assert [line.split() for line in lines] == [
        ["default", "1", "1", "0", "priority", "1", "1", "1"],
        ["a100", "1", "1", "0", "priority", "1", "1", "2"],
        ["spare", "1", "1", "0", "fair_share", "0", "0", "0"],
    ]


def test_one_pool_is_shown_with_its_experiments(exs: Exs, lab: Lab, sweep: Path) -> None:
    exs("push", "sweep.yaml")
    exs("pool", "set", "a100", "--scheduler", "fair_share")
    page = exs("pool", "show", "a100")
    assert "fair_share" in page and "none serves it: exs worker --pool a100" in page
    assert page.splitlines()[-2].split() == ["name", "weight", "run", "wait"]
    assert page.splitlines()[-1].split() == ["resnet", "2.5", "0", "3"]
    assert exs("pool", "show", "a100", "-q") == "resnet\n"
    assert "no pool 'b100'" in exs.both("pool", "show", "b100", code=2)[1]


def test_a_push_says_that_no_slot_serves_its_pool(exs: Exs, lab: Lab, sweep: Path) -> None:
    last = exs("push", "sweep.yaml").splitlines()[-1]
    assert last.split(maxsplit=1) == ["work", "exs worker --pool a100        (no worker is running yet)"]
    lab.push("other")
    lab.claim()
    last = exs("push", "sweep.yaml").splitlines()[-1]
    assert last.split(maxsplit=1) == ["work", "exs worker --pool a100        (no worker serves the pool a100)"]
    lab.store.claim(Offer("gpu01-0", "gpu01", "b", pools=("default", "a100")), "attempt900")
    assert "work" not in exs("push", "sweep.yaml")


def test_weight_and_preemptible_of_a_file_are_shown(exs: Exs, sweep: Path) -> None:
    exs("push", "sweep.yaml")
    assert "pool a100, priority 42, weight 2.5, never preempted" in exs("show", "resnet")
    found = exs.json("show", "resnet")
    assert (found["weight"], found["preemptible"]) == (2.5, False)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("weight: 0", "sweep.yaml:4: 'weight' must be a number above 0, at most 1,000,000, not 0."),
        ("weight: .nan", "sweep.yaml:4: '.nan' is not a finite number"),
        ("weight: heavy", "sweep.yaml:4: 'weight' must be a number"),
        ("preemptible: 1", "sweep.yaml:4: 'preemptible' must be true or false, not 1."),
    ],
)
def test_what_is_no_weight_is_refused(exs: Exs, sweep: Path, line: str, says: str) -> None:
    sweep.write_text(SWEEP.replace("weight: 2.5\npreemptible: false", line))
    assert says in exs.both("push", "sweep.yaml", code=2)[1]
