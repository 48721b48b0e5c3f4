"""Runs read from directories: both layouts, the cache, and MLXP's DataFrame on them."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

import exs
from exs.errors import InputError, NotFound
from exs.reader.errors import InvalidMapError, NoColumn
from exs.reader.frame import DataFrame
from exs.reader.index import index
from unit.mlxp_runs import write_run, write_sweep


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> DataFrame:
    root = tmp_path_factory.mktemp("logs")
    write_sweep(root)
    found: DataFrame = exs.Reader(root, tmp_path_factory.mktemp("cache")).filter()
    return found


def exs_run(root: Path, name: str, params: dict[str, Any], codes: dict[str, int]) -> Path:
    """A run directory as a slot of exs leaves it."""
    folder = root / name
    (folder / "metrics").mkdir(parents=True)
    record = {"_name": name, "_commands": {"train": "python train.py"}, "_output": str(folder), **params}
    (folder / "param.json").write_text(json.dumps(record))
    if codes:
        (folder / "stat.json").write_text(json.dumps({key: {"code": code, "gpu": "0"} for key, code in codes.items()}))
    (folder / "metrics/loss.json").write_text('{"step": 1, "loss": 0.5}\n{"step": 2, "loss": 0.25}\n{"step": 3, "lo')
    return folder


# ------------------------------------------------------------------ reading


def test_a_run_of_mlxp_has_its_keys(runs: DataFrame) -> None:
    run = runs[0]
    assert run["config.optimizer.lr"] == 10.0
    assert run["info.status"] == "COMPLETE"
    assert run["info.start_date"] == "20/11/2026"
    assert run["train.epoch"] == [0, 1, 2]
    assert run["train.loss.count"] == 3
    assert "'train.loss': 'METRIC'" in repr(run)
    assert [run.label for run in runs][8:11] == ["9", "10", "11"]


def test_a_run_of_exs_has_the_same_keys(tmp_path: Path) -> None:
    exs_run(tmp_path / "output", "Lr_0.1", {"lr": 0.1, "net": {"depth": 3}}, {"train": 0})
    exs_run(tmp_path / "output", "Lr_0.2", {"lr": 0.2}, {"train": 1})
    exs_run(tmp_path / "output" / "more", "Lr_0.3", {"lr": 0.3}, {})
    runs = exs.Reader(tmp_path / "output", tmp_path / "cache").filter()
    assert runs["config.lr"] == [0.1, 0.2, 0.3]
    assert runs["info.status"] == ["COMPLETE", "FAILED", "UNFINISHED"]
    assert runs[0]["config.net.depth"] == 3
    assert runs[0]["loss"] == [0.5, 0.25]  # the last line is torn
    assert runs[0]["loss.min"] == 0.25


def test_the_result_is_read_from_what_the_job_told(tmp_path: Path) -> None:
    folder = exs_run(tmp_path / "output", "Lr_0.1", {"lr": 0.1, "_attempt": "a2"}, {"train": 0})
    (folder / ".exs-report.a1").write_text('{"acc": 0.1}')
    report = folder / ".exs-report.a2"
    report.write_text(
        '{"step": 1, "metrics": {"loss": 0.5}}\n{\n "acc": 0.5,\n "best": {"epoch": 3}\n}\n{"progress": 0.5}\n'
    )

    def found() -> dict[str, Any]:
        (run,) = exs.Reader(tmp_path / "output", tmp_path / "cache").filter()
        return {key: value for key, value in run.items() if key.startswith("result.")}

    assert found() == {"result.acc": 0.5, "result.best.epoch": 3}
    with report.open("a") as file:
        file.write('{"result": {"acc": 0.75, "loss": NaN}}\nhalf a li')
    assert found() == {"result.acc": 0.75, "result.best.epoch": 3, "result.loss": "nan"}
    with report.open("a") as file:
        file.write('ne\n{"step": 4, "acc": "\\ud800"}\n{"result": 3}\n')
    assert found() == {"result.acc": 0.75, "result.best.epoch": 3, "result.loss": "nan", "result.result": 3}
    assert index(str(tmp_path / "output"), str(tmp_path / "cache")).read == 0, "what is as it was is not read again"


@pytest.mark.parametrize("attempt", ["../../secret", "", 3, "a" * 300])
def test_no_other_file_is_taken_for_a_report(tmp_path: Path, attempt: Any) -> None:
    (tmp_path / "secret").write_text('{"password": "x"}')
    (tmp_path / "output" / ".exs-report...").mkdir(parents=True)
    exs_run(tmp_path / "output", "Lr_0.1", {"lr": 0.1, "_attempt": attempt}, {"train": 0})
    (run,) = exs.Reader(tmp_path / "output", tmp_path / "cache").filter()
    assert not [key for key in run if key.startswith("result.")]


def test_a_report_that_is_a_link_or_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    for number, name in enumerate(("link", "pipe")):
        folder = exs_run(tmp_path / "output", name, {"lr": number, "_attempt": "a1"}, {"train": 0})
        report = folder / ".exs-report.a1"
        os.mkfifo(report) if name == "pipe" else report.symlink_to("/etc/passwd")
    reader = exs.Reader(tmp_path / "output", tmp_path / "cache")
    assert len(reader) == 2 and len(reader.problems) == 1 and "link/.exs-report.a1" in reader.problems[0]


def test_newer_files_of_mlrunner_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "output" / "Lr_0.01"
    folder.mkdir(parents=True)
    (folder / "param").write_text("_name: Lr_0.01\n_scripts:\n  train: python3 main.py --lr 0.01\nlr: 0.01\n")
    (folder / "stat").write_text("train: finished\n")
    (run,) = exs.Reader(tmp_path / "output", tmp_path / "cache").filter("lr == 0.01 & info.status == 'COMPLETE'")
    assert run["info.scripts.train"] == "python3 main.py --lr 0.01"


def test_runs_that_share_a_directory_are_told_apart(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"param.json.{name}").write_text(json.dumps({"x": name}))
        (tmp_path / f"stat.json.{name}").write_text('{"run": {"code": 0}}')
    runs = exs.Reader(tmp_path, tmp_path / "cache").filter()
    assert [(run.label, run["config.x"]) for run in runs] == [("a", "a"), ("b", "b")]


def test_a_run_that_was_submitted_and_has_not_begun_is_shown(tmp_path: Path) -> None:
    folder = tmp_path / "logs/1/metadata"
    folder.mkdir(parents=True)
    (folder / "config_unresolved.yaml").write_text("lr: 1.0\n")
    (run,) = exs.Reader(tmp_path / "logs", tmp_path / "cache").filter()
    assert (run["info.status"], run["config.lr"]) == ("STARTING", 1.0)


def test_a_run_that_was_killed_does_not_run(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "logs", 1, {"lr": 1.0}, status="RUNNING")
    with (folder / "metadata/info.yaml").open("a") as file:
        file.write("exs:\n  boot: elsewhere\n  started: 1\n  locked: true\n")
    (folder / "metadata/.lock").touch()
    (run,) = exs.Reader(tmp_path / "logs", tmp_path / "cache").filter()
    assert run["info.status"] == "FAILED"


def test_what_cannot_be_read_is_told_and_costs_no_other_run(tmp_path: Path) -> None:
    write_run(tmp_path / "logs", 1, {"lr": 1.0})
    broken = write_run(tmp_path / "logs", 2, {"lr": 2.0})
    (broken / "metadata/config.yaml").write_text("lr: [1\n")
    deep = write_run(tmp_path / "logs", 3, {"lr": 3.0})
    (deep / "metadata/config.yaml").write_text("{a: " * 5000)
    reader = exs.Reader(tmp_path / "logs", tmp_path / "cache")
    assert len(reader) == 3
    assert len(reader.problems) == 2
    assert str(broken / "metadata/config.yaml") in reader.problems[0]
    assert reader.filter()["config.lr"] == [1.0, None, None]


def test_aliases_do_not_multiply_without_end(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "logs", 1, {})
    bomb = "a0: &a0 {x: 1, y: 2}\n" + "".join(
        f"a{n}: &a{n} {{p: *a{n - 1}, q: *a{n - 1}, r: *a{n - 1}}}\n" for n in range(1, 30)
    )
    (folder / "metadata/config.yaml").write_text(bomb)
    assert len(exs.Reader(tmp_path / "logs", tmp_path / "cache").filter()[0]) <= 10_100


def test_artifacts_are_loaded_unless_that_would_run_them(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "logs", 1, {"lr": 1.0})
    for name, text in (("json/a/b/best.json", '{"epoch": 2}'), ("pickle/last.pkl", "cos\nsystem\n(S'true'\ntR.")):
        path = folder / "artifacts" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    (run,) = exs.Reader(tmp_path / "logs", tmp_path / "cache").filter()
    assert run["artifact.json.a.b"]["best.json"].load() == {"epoch": 2}
    with pytest.raises(InputError, match="could run what is in it"):
        run["artifact.pickle."]["last.pkl"].load()


def test_links_are_not_followed(tmp_path: Path) -> None:
    write_run(tmp_path / "logs", 1, {"lr": 1.0})
    (tmp_path / "logs/latest").symlink_to("1")
    (tmp_path / "logs/loop").symlink_to("..")
    assert len(exs.Reader(tmp_path / "logs", tmp_path / "cache")) == 1


def test_no_directory_and_no_source_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        exs.Reader(tmp_path / "nothing")
    with pytest.raises(InputError):
        exs.Reader()


# ------------------------------------------------------------------ the cache


def test_only_what_changed_is_read_again(tmp_path: Path) -> None:
    root, cache = tmp_path / "logs", str(tmp_path / "cache")
    write_sweep(root)
    assert index(str(root), cache).read == 18
    assert index(str(root), cache).read == 0
    (root / "3/metadata/info.yaml").write_text("status: FAILED\n")
    write_run(root, 19, {"seed": 9})
    shutil.rmtree(root / "1")
    found = index(str(root), cache)
    assert (found.read, len(found.runs)) == (2, 18)
    assert [run["info.status"] for run in found.runs if run.label == "3"] == ["FAILED"]
    assert index(str(root), cache).read == 0


def test_a_new_metric_of_an_old_run_is_seen(tmp_path: Path) -> None:
    root, cache = tmp_path / "logs", str(tmp_path / "cache")
    folder = write_run(root, 1, {"seed": 1}, {"train": [{"loss": 1.0}]})
    assert list(index(str(root), cache).runs[0].metrics) == ["train.loss"]
    (folder / "metrics/test.json").write_text('{"acc": 0.5}\n')
    with (folder / "metrics/.keys/train.yaml").open("a") as file:
        file.write("epoch: ''\n")
    assert list(index(str(root), cache).runs[0].metrics) == ["test.acc", "train.loss", "train.epoch"]


def test_without_refresh_the_cache_is_believed(tmp_path: Path) -> None:
    root, cache = tmp_path / "logs", tmp_path / "cache"
    write_run(root, 1, {"seed": 1})
    exs.Reader(root, cache)
    write_run(root, 2, {"seed": 2})
    assert len(exs.Reader(root, cache, refresh=False)) == 1
    assert len(exs.Reader(root, cache)) == 2


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]\n", b'{"exs_index":99,"runs":0}\n', None])
def test_a_broken_cache_is_made_anew(tmp_path: Path, content: bytes | None) -> None:
    root, cache = tmp_path / "logs", tmp_path / "cache"
    write_sweep(root)
    index(str(root), str(cache))
    (place,) = cache.iterdir()
    whole = place.read_bytes()
    place.write_bytes(whole[: len(whole) // 2] if content is None else content)
    assert index(str(root), str(cache)).read == 18
    assert index(str(root), str(cache)).read == 0


def test_readers_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    root, cache = tmp_path / "logs", str(tmp_path / "cache")
    write_sweep(root)
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(len(index(str(root), cache).runs))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [18] * 8
    assert index(str(root), cache).read == 0
    assert len(os.listdir(cache)) == 1


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    write_sweep(tmp_path / "logs")
    (tmp_path / "file").touch()
    found = index(str(tmp_path / "logs"), str(tmp_path / "file"))
    assert (len(found.runs), found.cached) == (18, False)


# ------------------------------------------------------------------ tables


def mean(values: list[Any]) -> Any:
    return [sum(column) / len(column) for column in zip(*values, strict=True)]


def lowest(values: list[list[float]]) -> list[bool]:
    return [value[-1] == min(other[-1] for other in values) for value in values]


def test_columns_and_parts(runs: DataFrame) -> None:
    assert runs[:]["config.seed"] == runs["config.seed"]
    assert len(runs[2:5]) == 3
    assert runs[2:5]["config.seed"] == [3, 1, 2]
    with pytest.raises(NoColumn, match=r"Did you mean 'config\.seed'"):
        runs["config.sed"]


def test_diff_names_what_differs(runs: DataFrame) -> None:
    assert runs.diff() == runs.sort("config.optimizer.lr").diff(), "in one order, whichever run comes first"
    assert sorted(runs.diff()) == ["config.model.num_units", "config.optimizer.lr", "config.seed"]
    assert runs.diff("info.status") == []


def test_the_best_parameters_as_mlxp_finds_them(runs: DataFrame) -> None:
    groups = runs.groupby(["config.model.num_units", "config.optimizer.lr"])
    assert set(groups.keys()) == {(units, lr) for units in (2, 3, 4) for lr in (10.0, 1.0)}
    best = groups.aggregate((mean, "train.loss")).filter(
        (lowest, "fmean.train.loss"), bygroups="config.model.num_units"
    )
    assert set(best.keys()) == {(2, 10.0), (3, 10.0), (4, 10.0)}
    chosen = groups.select(best.keys()).aggregate((mean, "test.loss"), ungroup=True)
    assert chosen.keys() == ["fmean.test.loss", "config.model.num_units", "config.optimizer.lr"]
    assert [len(value) for value in chosen["fmean.test.loss"]] == [1, 1, 1]


def test_maps_of_every_type(runs: DataFrame) -> None:
    few = runs[:3]
    assert few.map((len, "train.loss"))["flen.train.loss"] == [3, 3, 3]
    assert few.transform((sorted, "config.seed", "s"))["s"] == [1, 2, 3]
    assert few.apply((lambda a, b: a + b, ("config.seed", "config.num_epoch"), "t"), "Rowwise")["t"] == [4, 5, 6]
    assert few.apply((lambda a, b: (sum(a), sum(b)), ("config.seed", "config.num_epoch"), ("a", "b")))["a"] == [6]
    assert few.aggregate([(sum, "config.seed"), (max, "config.seed")])[0] == {
        "fsum.config.seed": 6,
        "fmax.config.seed": 3,
    }


def test_nothing_changes_the_table_it_is_asked_of(runs: DataFrame) -> None:
    before = runs.keys()
    ungrouped = runs.groupby("config.seed").aggregate((len, "train.loss"), ungroup=True)
    merged = ungrouped.merge(ungrouped.map((str, "config.seed", "text")))
    assert merged["text"] == ["1", "2", "3"]
    with pytest.raises(NoColumn):
        ungrouped["text"]
    assert runs.keys() == before


def test_sort_puts_what_is_missing_last(tmp_path: Path) -> None:
    for number, seed in enumerate((3, None, 1), 1):
        write_run(tmp_path / "logs", number, {} if seed is None else {"seed": seed})
    runs = exs.Reader(tmp_path / "logs", tmp_path / "cache").filter()
    assert [run.label for run in runs.sort("config.seed")] == ["3", "1", "2"]
    assert [run.label for run in runs.sort("config.seed", ascending=False)] == ["1", "3", "2"]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda df: df.aggregate(sum),
        lambda df: df.aggregate((sum,)),
        lambda df: df.aggregate((sum, 3)),
        lambda df: df.transform((sum, "config.seed")),
        lambda df: df.filter((lambda seeds: [True], "config.seed")),
        lambda df: df.apply((sum, "config.seed"), "Sideways"),
        lambda df: df.apply((lambda seeds: (1, 2), "config.seed")),
        lambda df: df.groupby("config.seed").groupby("config.seed"),
    ],
)
def test_what_is_no_map_is_refused(runs: DataFrame, wrong: Any) -> None:
    with pytest.raises(InvalidMapError):
        wrong(runs)


def test_a_table_is_printed_without_reading_anything(runs: DataFrame) -> None:
    assert "METRIC" in repr(runs)
    assert "[18 rows" in repr(runs)
    assert "in 3 groups by config.seed" in repr(runs.groupby("config.seed"))


def test_fields_and_searchable(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "logs", 1, {"lr": 1.0}, {"train": [{"loss": 1.0}]})
    (folder / "artifacts/json").mkdir()
    (folder / "artifacts/json/a.json").write_text("1")
    reader = exs.Reader(tmp_path / "logs", tmp_path / "cache")
    assert reader.fields["config.lr"] == "float"
    assert reader.fields["train.loss"] == "METRIC"
    assert reader.fields["artifact.json."] == "ARTIFACT"
    assert "artifact.json." not in reader.searchable
    assert "config.lr" in repr(reader.searchable)


def test_pandas_has_the_same_or_a_sentence(runs: DataFrame) -> None:
    try:
        import pandas  # noqa: F401
    except ImportError:
        with pytest.raises(InputError, match="pandas is not installed"):
            runs.toPandas()
        return
    assert list(runs.toPandas()["train.loss"]) == ["METRIC"] * 18
    assert runs.toPandas(lazy=False)["train.loss"][0] == runs[0]["train.loss"]
    grouped = runs.groupby("config.seed").aggregate((len, "train.loss")).toPandas()
    assert grouped.index.names[0] == "config.seed"
