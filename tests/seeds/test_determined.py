"""Determined's experiment configurations: single, grid and random, run to the end."""

from __future__ import annotations

import pytest

from cli.lab import Exs
from exs.model import JobState
from exs.store.store import Store

TRAIN = """\
import json, os, sys
params = json.loads(os.environ["EXS_PARAMS"])
json.dump({"validation_loss": params["learning_rate"] * 2}, open(os.environ["EXS_REPORT"], "w"))
print(os.environ["DATA_DIR"], json.dumps(params, sort_keys=True))
"""

CONFIG = """\
name: mnist-tutorial
entrypoint: python train.py
environment:
  image: determinedai/pytorch:latest
  environment_variables:
    - DATA_DIR=/data/mnist
hyperparameters:
  global_batch_size: 64
  learning_rate:
    type: double
    minval: 0.25
    maxval: 1.0
    count: 4
  optimizer:
    name:
      type: categorical
      vals: [sgd, adam]
    depth: {type: int, minval: 2, maxval: 2, count: 1}
searcher:
  name: grid
  metric: validation_loss
  smaller_is_better: true
  max_length: {batches: 100}
max_restarts: 0
"""


@pytest.fixture(autouse=True)
def project(exs: Exs) -> None:
    (exs.cwd / "train.py").write_text(TRAIN)


def test_a_grid_runs_every_point_and_shows_the_metric(exs: Exs, store: Store) -> None:
    (exs.cwd / "grid.yaml").write_text(CONFIG)
    out, err = exs.both("run", "--cpus", "2", "grid.yaml")
    assert "not used by exs" in err and "image" in err
    assert "lowest validation_loss" in out and "highest validation_loss" in out
    jobs = store.jobs("mnist-tutorial")
    assert [job.params["learning_rate"] for job in jobs] == [0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 1.0, 1.0]
    assert [job.params["optimizer.name"] for job in jobs] == ["sgd", "adam"] * 4
    assert [job.result["validation_loss"] for job in jobs][::2] == [0.5, 1.0, 1.5, 2.0]
    assert "/data/mnist" in exs("logs", "mnist-tutorial/0")


def test_random_draws_as_many_trials_as_asked_for(exs: Exs, store: Store) -> None:
    text = CONFIG.replace("name: grid", "name: random\n  max_trials: 3")
    (exs.cwd / "random.yaml").write_text(text.replace("    count: 4\n", ""))
    exs("run", "--cpus", "2", "random.yaml")
    rates = [job.params["learning_rate"] for job in store.jobs("mnist-tutorial")]
    assert len(rates) == 3 == len(set(rates)) and all(0.25 <= rate <= 1 for rate in rates)


SINGLE = """\
name: single
entrypoint: ["sh", "-c", "exit 1"]
hyperparameters: {learning_rate: 0.5}
searcher: {name: single, metric: validation_loss, max_length: 1}
max_restarts: 2
"""


def test_a_single_trial_is_restarted_as_often_as_allowed(exs: Exs, store: Store) -> None:
    (exs.cwd / "single.yaml").write_text(SINGLE)
    exs.env["EXS_RETRY_WAIT"] = exs.env["EXS_RETRY_WAIT_MAX"] = "0.1"
    exs.env |= {"EXS_RENEW": "0.2", "EXS_LEASE": "5", "EXS_IDLE_POLL": "0.2"}
    exs("run", "--cpus", "1", "single.yaml", code=1)
    (job,) = store.jobs("single")
    assert (job.state, job.attempts) == (JobState.CRASHED, 3)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("name: grid", "name: adaptive_asha\n  max_trials: 3", "adaptive_asha"),
        ("python train.py", "model:Trial", "model:Trial"),
    ],
)
def test_what_exs_cannot_run_is_refused(exs: Exs, store: Store, old: str, new: str, said: str) -> None:
    (exs.cwd / "c.yaml").write_text(CONFIG.replace(old, new))
    _, err = exs.both("run", "c.yaml", code=2)
    assert said in err
    assert store.experiments() == []
