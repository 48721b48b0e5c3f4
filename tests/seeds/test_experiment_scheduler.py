"""experiment-scheduler's quick start: its YAML file, and the command it ends with."""

from __future__ import annotations

import pytest

from cli.lab import Exs
from exs.store.store import Store
from seeds.documents import fenced, text_of

DOCUMENT = "experiment-scheduler-quick-start.md"
(SWEEP,) = [block for block in fenced(DOCUMENT) if block.startswith("# hp_optimization.yaml")]
(FRAGMENT,) = [block for block in fenced(DOCUMENT) if "repitition: 3" in block]


@pytest.fixture
def script(exs: Exs) -> None:
    path = exs.cwd / "train_model.sh"
    path.write_text('#!/bin/sh\necho "$@" on "$CUDA_VISIBLE_DEVICES"\n')
    path.chmod(0o755)


def outputs(exs: Exs) -> dict[str, str]:
    """Run directory -> what its job printed."""
    return {path.parent.name: path.read_text() for path in exs.cwd.glob("output/*/log.*")}


@pytest.mark.usefixtures("script")
def test_the_file_runs_with_the_documents_command(exs: Exs, store: Store) -> None:
    command = "exs run hp_optimization.yaml"
    assert f"$ ~/ {command}" in text_of(DOCUMENT)
    (exs.cwd / "hp_optimization.yaml").write_text(SWEEP)
    assert "on gpu0, gpu1, gpu2, gpu3" in exs(*command.split()[1:])
    found = outputs(exs)
    assert found.keys() == {"train_default_hp", "test_previous_best_hp"}
    assert found["train_default_hp"].startswith("--lr 0.01 --bs 16 on ")
    assert found["test_previous_best_hp"].startswith("--lr 0.02 --bs 16 on ")
    assert {text.split()[-1] for text in found.values()} < {"0", "1", "2", "3"}
    assert store.experiment("hyper_parameter_optimization").jobs == 2


@pytest.mark.usefixtures("script")
def test_a_task_is_repeated(exs: Exs, store: Store) -> None:
    head = SWEEP.partition("# tasks")[0]
    (exs.cwd / "repeated.yaml").write_text(head + FRAGMENT)
    exs("run", "repeated.yaml")
    assert sorted(outputs(exs)) == [f"train_default_hp_repit{number}" for number in (1, 2, 3)]


@pytest.mark.usefixtures("script")
def test_a_task_that_needs_more_gpus_than_a_slot_has_gets_those_of_two(exs: Exs, store: Store) -> None:
    (exs.cwd / "wide.yaml").write_text(SWEEP.replace("gpu: 1", "gpu: 2", 1))
    assert "2 done" in exs("run", "wide.yaml")
    assert sorted(len(job.gpus.split(",")) for job in store.jobs("hyper_parameter_optimization")) == [1, 2]
    exs("rm", "-f", "hyper_parameter_optimization")
    assert "on gpu0-1, gpu2-3" in exs("run", "wide.yaml", "--slot", "0,1", "--slot", "2,3")
