"""Determined's dialect: exact values of typed hyperparameters, searchers, and what is refused or only named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exs.command import render
from exs.errors import InputError
from exs.model import NewJob
from exs.settings import Limits
from exs.sweep.dialects.hyperparameters import round_half_away
from exs.sweep.load import load_file
from exs.sweep.model import Options, Sweep


@pytest.fixture
def load(tmp_path: Path) -> Any:
    def write_and_load(text: str, **options: Any) -> Sweep:
        path = tmp_path / "det.yaml"
        path.write_text(text, encoding="utf-8")
        return load_file(path, Options(**options), Limits(), tmp_path)

    return write_and_load


def jobs(sweep: Sweep) -> list[NewJob]:
    return list(sweep.jobs())


def grid(hyperparameters: str, more: str = "") -> str:
    head = "entrypoint: python3 train.py\nsearcher: {name: grid, metric: loss}"
    return f"{head}\n{more}\nhyperparameters:\n{hyperparameters}"


MNIST = """\
name: mnist_pytorch_grid
description: a grid over two hyperparameters
labels: [mnist, grid]
data: {url: https://example.org/mnist.tgz}
hyperparameters:
  global_batch_size: 64
  learning_rate: {type: log, base: 10, minval: -4, maxval: -2, count: 3}
  model:
    n_filters: {type: categorical, vals: [8, 64]}
    dropout: {type: const, val: 0.25}
    head: {}
searcher:
  name: grid
  metric: validation_loss
  smaller_is_better: true
  max_length: {batches: 937}
resources: {slots_per_trial: 2, max_slots: 9, priority: 10, resource_pool: a100, weight: 3}
max_restarts: 1
environment:
  image: determinedai/environments:cuda
  environment_variables: [MODE=fast, "URL=a=b c"]
reproducibility: {experiment_seed: 77}
preemption_timeout: 600
entrypoint: python3 train.py --lr {learning_rate} --filters {n_filters}
bind_mounts: [{host_path: /x, container_path: /y}]
"""


def test_a_grid_experiment_is_taken_as_it_is(load: Any) -> None:
    sweep = load(MNIST)
    assert (sweep.name, sweep.dialect, sweep.pool, sweep.priority) == ("mnist_pytorch_grid", "Determined", "a100", 10)
    assert (sweep.retries, sweep.max_running, sweep.count, sweep.weight) == (1, 4, 6, 3)
    assert sweep.spec.grace == 600.0
    assert sweep.spec.env == {"MODE": "fast", "URL": "a=b c", "EXS_SEED": "77"}
    found = jobs(sweep)
    assert [(job.params["learning_rate"], job.params["model.n_filters"]) for job in found] == [
        (0.0001, 8), (0.0001, 64), (0.001, 8), (0.001, 64), (0.01, 8), (0.01, 64),
    ]  # fmt: skip
    assert list(found[0].params) == [
        "global_batch_size", "learning_rate", "model.n_filters", "model.dropout", "model.head",
    ]  # fmt: skip
    assert found[0].params["model.head"] == {}
    assert found[0].resources.gpus == 2
    assert render(sweep.spec.commands["run"], found[1].params, {}).argv == [
        "python3", "train.py", "--lr", "0.0001", "--filters", "64",
    ]  # fmt: skip


def test_one_line_says_which_keys_are_not_used(load: Any) -> None:
    assert load(MNIST).notes == [
        "not used by exs: description, labels, data, bind_mounts, searcher.max_length, environment.image"
    ]
    assert load("entrypoint: x\nsearcher: {name: single, metric: loss}").notes == []


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("{type: int, minval: 0, maxval: 10, count: 3}", [0, 5, 10]),
        ("{type: int, minval: 0, maxval: 5, count: 3}", [0, 3, 5]),  # 2.5 is rounded away from 0
        ("{type: int, minval: -5, maxval: 0, count: 3}", [-5, -3, 0]),
        ("{type: int, minval: 2, maxval: 3, count: 1}", [3]),
        ("{type: int, minval: -3, maxval: -2, count: 1}", [-3]),
        ("{type: int, minval: 1, maxval: 3, count: 100}", [1, 2, 3]),
        ("{type: int, minval: 4, maxval: 4, count: 2}", [4]),
        ("{type: double, minval: 0, maxval: 1, count: 5}", [0.0, 0.25, 0.5, 0.75, 1.0]),
        ("{type: double, minval: 0, maxval: 1, count: 1}", [0.5]),
        ("{type: double, minval: 1e-3, maxval: 1e-1, count: 2}", [0.001, 0.1]),
        ("{type: log, base: 10, minval: -3, maxval: -1, count: 3}", [0.001, 0.01, 0.1]),
        ("{type: log, base: 2, minval: 0, maxval: 4, count: 1}", [4.0]),
        ("{type: log, minval: -2, maxval: 0, count: 3}", [0.01, 0.1, 1.0]),
        ("{type: categorical, vals: [a, 1, true, [1, 2], null]}", ["a", 1, True, [1, 2], None]),
        ("{type: const, val: 7}", [7]),
        ("text", ["text"]),
        ("[1, 2]", [[1, 2]]),
    ],
)
def test_grid_values_are_exactly_determined_s(load: Any, written: str, found: list[Any]) -> None:
    values = [job.params["p"] for job in jobs(load(grid(f"  p: {written}")))]
    assert values == found and [type(value) for value in values] == [type(value) for value in found]


@pytest.mark.parametrize(
    ("number", "whole"), [(2.5, 3), (-2.5, -3), (0.5, 1), (0.49999999999999994, 0), (2.4, 2), (-0.4, 0)]
)
def test_halves_are_rounded_away_from_zero(number: float, whole: int) -> None:
    assert round_half_away(number) == whole


def test_the_last_key_is_the_fastest(load: Any) -> None:
    sweep = load(grid("  z: {type: categorical, vals: [1, 2]}\n  a:\n    b: {type: categorical, vals: [x, y]}"))
    assert [tuple(job.params.values()) for job in jobs(sweep)] == [(1, "x"), (1, "y"), (2, "x"), (2, "y")]


def test_a_single_trial_needs_constants_alone(load: Any) -> None:
    text = "entrypoint: [python3, train.py, 'a b']\nsearcher: {name: single, metric: x}\nhyperparameters: {lr: %s}"
    sweep = load(text % "0.1")
    (job,) = jobs(sweep)
    assert job.params == {"lr": 0.1} and job.resources.gpus is None
    assert render(sweep.spec.commands["run"], job.params, {}).argv == ["python3", "train.py", "a b"]
    assert (sweep.retries, sweep.max_running) == (5, None)
    with pytest.raises(InputError, match=r"det\.yaml:3: the searcher single needs one value for 'lr'"):
        load(text % "{type: double, minval: 0, maxval: 1}")


RANDOM = """\
entrypoint: python3 train.py
searcher: {name: random, metric: x, max_trials: 30, max_concurrent_trials: 3}
reproducibility: {experiment_seed: 5}
hyperparameters:
  i: {type: int, minval: 1, maxval: 1000000}
  d: {type: double, minval: -1, maxval: 1}
  l: {type: log, base: 10, minval: -5, maxval: -1}
  c: {type: categorical, vals: [x, y]}
  k: 3
"""


def test_random_draws_max_trials_with_the_experiment_s_seed(load: Any) -> None:
    sweep = load(RANDOM)
    found = jobs(sweep)
    assert len(found) == sweep.count == 30 and sweep.max_running == 3
    assert all(1 <= job.params["i"] <= 10**6 and -1 <= job.params["d"] <= 1 for job in found)
    assert all(1e-5 <= job.params["l"] <= 1e-1 and job.params["k"] == 3 for job in found)
    assert {job.params["c"] for job in found} == {"x", "y"}
    assert [job.point for job in jobs(load(RANDOM))] == [job.point for job in found]
    other = load(RANDOM, overrides=("reproducibility.experiment_seed=6",))
    assert {job.point for job in jobs(other)}.isdisjoint(job.point for job in found)
    assert len(jobs(load(RANDOM, sample=4))) == 4


def test_overrides_have_determined_s_grammar(load: Any) -> None:
    sweep = load(MNIST, overrides=("hyperparameters.learning_rate=1e-3", "searcher.metric=acc", "resources.priority=7"))
    assert sweep.priority == 7
    assert {job.params["learning_rate"] for job in jobs(sweep)} == {0.001}


def test_braces_that_name_no_hyperparameter_are_text(load: Any) -> None:
    sweep = load(grid("  a: {type: categorical, vals: [1]}").replace("train.py", "train.py {a}x{b} '[c]'"))
    (job,) = jobs(sweep)
    assert "{b}" in render(sweep.spec.commands["run"], job.params, {}).typed


def test_a_short_name_stands_for_a_nested_one_only_where_it_is_clear(load: Any) -> None:
    two = "  a: {lr: {type: const, val: 1}}\n  b: {lr: {type: const, val: 2}}"
    sweep = load(grid(two).replace("train.py", "train.py {a.lr} {b.lr}"))
    assert render(sweep.spec.commands["run"], jobs(sweep)[0].params, {}).argv[2:] == ["1", "2"]


def test_a_name_with_spaces_is_cleaned_and_said(load: Any) -> None:
    sweep = load(grid("  a: 1", "name: my best model (v2)"))
    assert sweep.name == "my-best-model-v2"
    assert "name: 'my best model (v2)' is called my-best-model-v2 here" in sweep.notes


def test_variables_per_device_follow_the_slots(load: Any) -> None:
    text = "environment: {environment_variables: {cpu: [A=1], cuda: [A=2]}}\nresources: {slots_per_trial: %s}"
    assert load(grid("  a: 1", text % 0)).spec.env == {"A": "1"}
    assert load(grid("  a: 1", text % 1)).spec.env == {"A": "2"}


BAD = {
    "no entrypoint": ("searcher: {name: single}", r"det\.yaml: has no entrypoint"),
    "empty entrypoint": ("entrypoint: ''\nsearcher: {name: single}", r"det\.yaml:1: the command is empty"),
    "class": ("entrypoint: model_def:MNistTrial\nsearcher: {name: single}", r"det\.yaml:1: .* names a class"),
    "no searcher": ("entrypoint: x", r"det\.yaml:1: the searcher has no name"),
    "adaptive": (
        "entrypoint: x\nsearcher: {name: adaptive_asha}",
        r"det\.yaml:2: the searcher adaptive_asha stops and",
    ),
    "halving": ("entrypoint: x\nsearcher: {name: async_halving}", r"det\.yaml:2: the searcher async_halving stops"),
    "searcher": (
        "entrypoint: x\nsearcher: {name: gird}",
        r"det\.yaml:2: unknown searcher 'gird'\. Did you mean 'grid'",
    ),
    "max_trials": ("entrypoint: x\nsearcher: {name: random}", r"det\.yaml:2: the random searcher has no max_trials"),
    "key": ("entrypoint: x\nserchr: 1\nsearcher: {name: single}", r"det\.yaml:2: unknown key 'serchr'.*'searcher'"),
    "count": (grid("  a: {type: int, minval: 0, maxval: 9}"), r"det\.yaml:5: the grid needs a count for int 'a'"),
    "type": (
        grid("  a: {type: duoble, minval: 0}"),
        r"det\.yaml:5: unknown type 'duoble' of 'a'\. Did you mean 'double",
    ),
    "typed key": (grid("  a: {type: int, minval: 0, maxvla: 9}"), r"det\.yaml:5: unknown key 'maxvla'.*'maxval'"),
    "minval": (grid("  a: {type: int, maxval: 9, count: 2}"), r"det\.yaml:5: int 'a' has no minval"),
    "bounds": (grid("  a: {type: int, minval: 9, maxval: 1, count: 2}"), r"det\.yaml:5: 'a' has a minval of 9, above"),
    "float int": (grid("  a: {type: int, minval: 0.5, maxval: 1, count: 2}"), r"det\.yaml:5: 'minval' must be a whole"),
    "vals": (grid("  a: {type: categorical}"), r"det\.yaml:5: categorical 'a' has no vals"),
    "empty vals": (grid("  a: {type: categorical, vals: []}"), r"det\.yaml:5: 'vals' must be a list of at least one"),
    "val": (grid("  a: {type: const}"), r"det\.yaml:5: const 'a' has no val"),
    "overflow": (
        grid("  a: {type: log, base: 10, minval: 1, maxval: 999, count: 2}"),
        r"det\.yaml:5: 'a' cannot be 10 to",
    ),
    "underflow": (grid("  a: {type: log, base: 0.1, minval: -999, maxval: 1, count: 2}"), r"'a' cannot be 0\.1 to the"),
    "infinite": (grid("  a: {type: double, minval: -1e308, maxval: 1e308, count: 2}"), r"bounds of 'a' are too large"),
    "huge": (grid("  a: {type: double, minval: 0, maxval: 1, count: 1000000000}"), r"'a' has 1,000,000,000 values"),
    "grid": (
        grid("".join(f"  {n}: {{type: double, minval: 0, maxval: 1, count: 1000}}\n" for n in "abc")),
        r"det\.yaml: has 1,000,000,000 jobs",
    ),
    "twice": (grid("  a.b: 1\n  a: {b: 2}"), r"det\.yaml:6: the hyperparameter 'a\.b' stands twice"),
    "max_slots": (grid("  a: 1", "resources: {slots_per_trial: 4, max_slots: 2}"), r"no trial of 4 slots fits into"),
    "variable": (
        grid("  a: 1", "environment: {environment_variables: [A]}"),
        r"det\.yaml:3: 'A' is not of the form NAME",
    ),
    "variables": (grid("  a: 1", "environment: {environment_variables: A=1}"), r"det\.yaml:3: must be a list like"),
    "seed": (
        grid("  a: 1", "reproducibility: {experiment_seed: -1}"),
        r"'experiment_seed' must be a whole number from 0",
    ),
    "mixture": (
        "entrypoint: x\ncommand: y",
        r"'entrypoint' of Determined's \(line 1\) and 'command' of exs's \(line 2\)",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_sentence_with_its_place(load: Any, case: str) -> None:
    text, sentence = BAD[case]
    with pytest.raises(InputError, match=sentence) as caught:
        jobs(load(text))
    assert "\n" not in str(caught.value)
