"""mlrunner's Examiner: its example, with the import changed, on directories as it shipped them."""

from __future__ import annotations

import os
import re
import statistics
from pathlib import Path
from typing import Any

import pytest

import exs
from exs import Examiner, latest_log
from exs.errors import InputError, NotFound

#: Learning rate -> accuracy of the last of 120 iterations, for seeds 0, 1, 2, as in mlrunner's example.
ACCURACIES = {0.01: (0.9039, 0.9021, 0.9011), 0.1: (0.929, 0.9242, 0.9296)}


@pytest.fixture
def output(tmp_path: Path) -> Path:
    for lr, accuracies in ACCURACIES.items():
        for seed, accuracy in enumerate(accuracies):
            name = f"Data_CIFAR10-Loss_CE-Lr_{lr}-Seed_{seed}"
            folder = tmp_path / "output" / name
            folder.mkdir(parents=True)
            (folder / "param").write_text(
                f"_name: {name}\n_output: output/{name}\n_time: '20220517.074342'\n"
                f"data: CIFAR10\nloss: CE\nlr: {lr}\nseed: {seed}\n"
            )
            for date, value in (("20220517.074342", accuracy), ("20220516.074342", 0.1)):
                (folder / f"log.train.{date}").write_text(
                    f"Iter 119: loss=1, test_acc=0.5, best_acc=0.5, duration=0:00:08\n"
                    f"Iter 120: loss=-6.1655, lr=0, test_acc={value:.4f}, best_acc=0.9053, duration=0:00:08\n"
                )
    return tmp_path / "output"


def get_acc(path: Path, experiment: Any, caches: dict[str, Any]) -> None:
    # the latest log include results we want.
    log = latest_log("train", path)
    if log is None:
        # ignore corner case
        return
    with open(log) as fin:  # noqa: PTH123
        for line in fin:  # noqa: B007
            continue
    matches = re.findall("(?<=test_acc=).+?(?=, )", line)
    if len(matches) != 1:
        # ignore corner case
        return
    # update the metric container
    experiment.metric["acc"] = float(matches[0])
    experiment.cache["log"] = str(log)
    caches.setdefault("seen", set()).add(os.getpid())


@pytest.mark.parametrize("workers", [-1, 2])
def test_the_example_of_mlrunner(output: Path, workers: int) -> None:
    examiner = Examiner()
    examiner.add(get_acc)
    examiner.exam(output=str(output), regex=".*", workers=workers)
    rows, headers = examiner.entries()
    assert headers == ["lr", "seed", "acc"]
    assert rows == [[lr, seed, acc] for lr, accs in ACCURACIES.items() for seed, acc in enumerate(accs)]
    found = {lr: [row[2] for row in rows if row[0] == lr] for lr in ACCURACIES}
    assert [round(statistics.mean(accs), 6) for accs in found.values()] == [0.902367, 0.9276]
    assert [round(statistics.stdev(accs), 6) for accs in found.values()] == [0.001419, 0.00296]
    assert (os.getpid() in examiner.caches["seen"]) is (workers < 0)
    assert all("log" in one.cache for one in examiner.experiments.values())


def test_a_function_of_a_notebook_can_be_examined_in_parallel(output: Path) -> None:
    scale = 100
    examiner = Examiner()
    examiner.add(lambda path, experiment, caches: experiment.metric.update(seed100=scale * experiment.param["seed"]))
    examiner.exam(output, regex="Lr_0.1-", workers=2)
    assert [row[-1] for row in examiner.entries()[0]] == [0, 100, 200]


def test_everything_is_shown_when_asked(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    examiner = Examiner()
    examiner.add(get_acc)
    examiner.exam(output, verbose=True)
    assert examiner.entries(concise=False)[1] == ["data", "loss", "lr", "seed", "acc"]
    assert capsys.readouterr().out.count("Data_CIFAR10") == 6


def test_the_runs_of_a_query_are_examined(output: Path, tmp_path: Path) -> None:
    examiner = Examiner()
    examiner.add(get_acc)
    examiner.exam(exs.Reader(output, tmp_path / "cache").filter("lr == 0.1"))
    assert len(examiner.experiments) == 3


def test_latest_log_counts_from_the_newest(output: Path) -> None:
    folder = next(output.iterdir())
    logs = sorted(folder.glob("log.train.*"))
    assert latest_log("train", folder) == logs[-1]
    assert latest_log("train", folder, 0) == logs[0]
    assert latest_log("train", folder, -3) is None
    assert latest_log("test", folder) is None


def test_mistakes_are_sentences(output: Path) -> None:
    with pytest.raises(NotFound):
        Examiner().exam("nowhere")
    with pytest.raises(InputError, match="regular expression"):
        Examiner().exam(output, regex="(")


def test_a_process_that_dies_ends_the_examination(output: Path) -> None:
    examiner = Examiner()
    examiner.add(lambda path, experiment, caches: os._exit(1))
    with pytest.raises(InputError, match="died"):
        examiner.exam(output, workers=2)


def test_runs_of_one_name_in_two_directories_are_two(tmp_path: Path) -> None:
    for sweep, lr in (("a", 1), ("b", 2)):
        folder = tmp_path / "output" / sweep / "Seed_0"
        folder.mkdir(parents=True)
        (folder / "param.json").write_text(f'{{"lr": {lr}, "seed": 0}}')
    examiner = Examiner()
    examiner.add(lambda path, experiment, _: experiment.metric.update(sweep=path.parent.name))
    examiner.exam(tmp_path / "output", regex="^Seed")
    assert examiner.entries() == ([[1, "a"], [2, "b"]], ["lr", "sweep"])
    for refresh in (True, False):
        runs = exs.Reader(tmp_path / "output", tmp_path / "cache", refresh)
        assert [run.label for run in runs] == ["a/Seed_0", "b/Seed_0"]
