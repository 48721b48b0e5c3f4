"""`exs results` over the queue and over directories: queries, groups, the best, every form of output."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from cli.lab import Exs, Lab
from cli.measured import tell
from exs.model import JobState
from unit.mlxp_runs import write_run, write_sweep


@pytest.fixture
def four(exs: Exs, lab: Lab) -> Exs:
    """resnet/0-2 are done with a loss each, /3 crashed, /4 waits; EXS has its cache in the test's directory."""
    lab.push(jobs=5)
    for losses in ([0.9, 0.2, 0.4], [0.8, 0.1], [0.7, 0.6]):
        claim = lab.claim()
        tell(lab, claim, loss=losses)
        lab.end(claim, result={"acc": 1 - losses[-1]})
    lab.end(lab.claim(), JobState.CRASHED, exit_code=1)
    return exs


def rows(exs: Exs, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = exs.json("results", *words)["rows"]
    return found


def names(exs: Exs, *words: str) -> list[str]:
    return [row["run"] for row in rows(exs, *words)]


def test_the_query_of_the_issue_runs_over_the_queue(four: Exs) -> None:
    query = "config.seed in [1,4] & info.status == 'COMPLETE' | loss.min < 0.3"
    assert names(four, "resnet", "-q", query) == ["resnet/0", "resnet/1"]
    assert names(four, "resnet", "-q", "info.state == 'CRASHED'") == ["resnet/3"]
    assert names(four, "resnet", "-q", "loss == None") == ["resnet/3", "resnet/4"]
    assert names(four, "resnet", "-q", "loss.mean < 0.51 and acc > 0.5") == ["resnet/0", "resnet/1"]
    assert names(four, "resnet", "-q", "loss.count == 3") == ["resnet/0"]


def test_a_table_has_what_differs_and_what_came_of_it(four: Exs) -> None:
    table = four("results", "resnet")
    assert table.splitlines()[0] == "resnet  |  5 runs"
    header = [word.strip() for word in table.splitlines()[2].strip("|").split("|")]
    assert header == ["run", "status", "lr", "seed", "loss", "acc"]
    assert "COMPLETE" in table and "FAILED" in table


def test_a_narrow_screen_keeps_the_result_that_is_asked_for(four: Exs) -> None:
    def shown(columns: int, *words: str) -> tuple[list[str], str]:
        four.env["COLUMNS"] = str(columns)
        lines = four("results", "resnet", *words).splitlines()
        return [word.strip() for word in lines[2].strip("|").split("|")], lines[-1]

    header, hint = shown(43, "--best", "-acc", "-q", "info.state == 'DONE'")
    assert header == ["run", "lr", "seed", "acc"]
    assert hint == "not shown for want of room: status, loss  (--columns chooses, --json has all)"
    assert shown(43)[0] == ["run", "status", "lr", "loss"], "not all of them are done"


def test_best_is_lowest_unless_asked_otherwise(four: Exs) -> None:
    assert names(four, "resnet", "--best", "loss", "--top", "2") == ["resnet/1", "resnet/0"]
    assert names(four, "resnet", "--best", "loss.min") == [f"resnet/{n}" for n in (1, 0, 2, 3, 4)]
    assert names(four, "resnet", "--best", "-loss", "--top", "1") == ["resnet/2"]
    assert names(four, "resnet", "--best", "acc", "--max", "--top", "1") == ["resnet/1"]


def test_best_by_a_result_shows_it_once_and_what_tells_the_best_from_the_others(four: Exs) -> None:
    def header(*words: str) -> list[str]:
        found: list[str] = four.json("results", "resnet", *words)["columns"]
        return found

    assert header("--best", "-acc", "--top", "1") == ["run", "status", "lr", "seed", "loss", "acc"]
    assert header("--best", "-result.acc", "--top", "2") == ["run", "status", "lr", "seed", "loss", "acc"]
    assert header("--best", "param.lr") == ["run", "status", "lr", "seed", "loss", "acc"]
    assert header("--best", "loss.min") == ["run", "status", "lr", "seed", "loss.min", "loss", "acc"]
    assert header("-q", "seed == 1") == ["run", "status", "lr", "seed", "model", "loss", "acc"], "one run: all of it"


def test_groups_are_numbers_over_runs(four: Exs) -> None:
    found = rows(four, "resnet", "--group-by", "model,status", "--agg", "mean,std,count", "--columns", "loss.min")
    (complete,) = [row for row in found if row["status"] == "COMPLETE"]
    assert complete["runs"] == 3
    assert complete["mean(loss.min)"] == pytest.approx(0.3)
    assert complete["std(loss.min)"] == pytest.approx(0.2645751)
    assert [row["mean(loss.min)"] for row in found if row["status"] != "COMPLETE"] == [None, None]
    (over_all,) = rows(four, "resnet", "--agg", "max")
    assert over_all == {"runs": 5, "max(loss)": 0.6, "max(acc)": 0.9}
    best = rows(four, "resnet", "--group-by", "seed", "--best", "loss", "--top", "1")
    assert [row["seed"] for row in best] == [1]


def test_groups_by_what_no_run_has_are_refused(four: Exs) -> None:
    err = four.both("results", "resnet", "--group-by", "lrr", code=2)[1]
    assert err == "exs: no run has 'lrr', by which they are grouped.\n     exs results shows what there is.\n"
    assert four("results", "resnet", "--group-by", "model").startswith("resnet  |  5 runs  |  1 group\n")
    assert four("results", "resnet", "--group-by", "info.failure").startswith("resnet  |  5 runs  |  ")


def test_some_jobs_of_an_experiment_are_asked(four: Exs) -> None:
    assert names(four, "resnet/1-3") == ["resnet/1", "resnet/2", "resnet/3"]
    assert names(four, "resnet/0", "resnet/2", "-q", "loss.mean > 0.6") == ["resnet/2"]
    assert "has no job 9" in four.both("results", "resnet/9", code=2)[1]
    (four.cwd / "resnet" / "1-3" / "Lr_7").mkdir(parents=True)
    (four.cwd / "resnet" / "1-3" / "Lr_7" / "param.json").write_text('{"lr": 7}')
    assert names(four, "resnet/1-3") == ["Lr_7"], "what is there is a path"


def test_diff_lists_parameters_with_their_values(four: Exs) -> None:
    found = rows(four, "resnet", "--diff", "-q", "seed < 2")
    assert found == [
        {"parameter": "config.lr", "values": [0.05, 0.1]},
        {"parameter": "config.seed", "values": [0, 1]},
    ]


def test_every_form_has_the_same_rows(four: Exs, tmp_path: Path) -> None:
    words = ("results", "resnet", "--columns", "status,lr,loss", "-q", "loss < 0.5", "-o")
    assert list(csv.DictReader(io.StringIO(four(*words, "csv")))) == [
        {"run": "resnet/0", "status": "COMPLETE", "lr": "0.1", "loss": "0.4"},
        {"run": "resnet/1", "status": "COMPLETE", "lr": "0.05", "loss": "0.1"},
    ]
    assert four(*words, "markdown").splitlines() == [
        "| run | status | lr | loss |",
        "| --- | --- | --- | --- |",
        "| resnet/0 | COMPLETE | 0.1 | 0.4 |",
        "| resnet/1 | COMPLETE | 0.05 | 0.1 |",
    ]
    four(*words, "csv", "--to", "a.csv")
    assert (tmp_path / "a.csv").read_text() == four(*words, "csv")
    _, err = four.both(*words, "csv", "--to", "a.csv", code=4)
    assert err.startswith("exs: a.csv exists")


def test_parquet_or_a_sentence(four: Exs, tmp_path: Path) -> None:
    words = ("results", "resnet", "-o", "parquet", "--to", "a.parquet")
    try:
        import pyarrow.parquet
    except ImportError:
        _, err = four.both(*words, code=2)
        assert err.startswith("exs: -o parquet is written by pyarrow, which is not installed.")
        return
    four(*words)
    table = pyarrow.parquet.read_table(tmp_path / "a.parquet")
    assert table.column("loss").to_pylist() == [0.4, 0.1, 0.6, None, None]
    assert table.column("status").to_pylist()[:2] == ["COMPLETE"] * 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("-q", "config.seed = 1"),
            "query, character 13: a single = compares nothing.\n     config.seed = 1\n" + " " * 17 + "^",
        ),
        (("-q", "los < 1"), "query, character 1: no run has a parameter, metric or result 'los'."),
        (("-q", "config.lr < 'a'"), "query, character 11: config.lr is the number 0.1 in a run"),
        (("--agg", "average"), "'average' is no aggregate."),
        (("--best", "nothing"), "no run has 'nothing', by which the best is chosen."),
        (("--json", "--csv"), "--json, --csv and -o are forms of output"),
        (("--json", "-o", "csv"), "--json, --csv and -o are forms of output"),
        (("--diff", "--top", "3"), "--diff shows parameters"),
        (("--max",), "--max says which value is the best"),
        (("--top", "0"), "Invalid value for '--top'"),
        (("--group-by", "seed", "--best", "lr", "--columns", "loss"), "--best lr is none of the columns."),
    ],
)
def test_mistakes_are_sentences(four: Exs, words: tuple[str, ...], said: str) -> None:
    _, err = four.both("results", "resnet", *words, code=2)
    assert err.startswith(f"exs: {said}")


def test_a_slip_in_a_parameter_is_remarked(four: Exs) -> None:
    out, err = four.both("results", "resnet", "-q", "config.sed == 1", "-o", "json")
    assert json.loads(out)["rows"] == []
    assert err == "no run has config.sed. Did you mean config.seed?\n"


def test_directories_need_no_queue(exs: Exs, tmp_path: Path) -> None:
    write_sweep(tmp_path / "logs")
    exs.env["EXS_REDIS_URL"] = "unix:///nowhere"
    exs.env["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    assert len(names(exs, "./logs", "-q", "config.seed in [1,4]")) == 6
    best = rows(exs, "./logs", "--group-by", "config.optimizer.lr", "--best", "train.loss.min", "--top", "1")
    assert [row["config.optimizer.lr"] for row in best] == [10.0]
    assert list((tmp_path / "cache/exs/index").iterdir())


def test_numbers_beyond_floats_and_a_status_that_is_a_list_are_shown(exs: Exs, tmp_path: Path) -> None:
    exs.env["EXS_REDIS_URL"] = "unix:///nowhere"
    for number, n in enumerate((10**400, 1), 1):
        write_run(exs.cwd / "logs", number, {"lr": 0.1, "n": n})
    info = exs.cwd / "logs/1/metadata/info.yaml"
    info.write_text(info.read_text().replace("status: COMPLETE", "status: [COMPLETE, {a: 1}]"))
    (row,) = rows(exs, "logs", "--group-by", "lr", "--columns", "n", "--agg", "mean,max,sum,count")
    assert [row[key] for key in row if key != "lr"][-4:] == ["inf", 1, "inf", 2], row
    assert len(names(exs, "logs")) == 2
    assert "COMPLETE" in exs("results", "logs")


def test_a_word_that_is_no_experiment_may_be_a_directory(four: Exs, tmp_path: Path) -> None:
    write_sweep(tmp_path / "logs")
    assert len(names(four, "logs")) == 18
    _, err = four.both("results", "nowhere", code=2)
    assert err.startswith("exs: no experiment 'nowhere'.")


def test_a_function_of_mine_fills_columns(exs: Exs, tmp_path: Path) -> None:
    write_sweep(tmp_path / "logs")
    (tmp_path / "mine.py").write_text(
        "def found(path, experiment, caches):\n    experiment.metric['twice'] = 2 * experiment.param['seed']\n"
        "def breaks(path, experiment, caches):\n    1 / 0\n"
    )
    for name in ("mine:found", "./mine.py:found"):
        assert len(names(exs, "./logs", "--with", name, "-q", "twice == 6")) == 6
    assert len(names(exs, "./logs", "--with", "mine:found", "--jobs", "2", "-q", "twice == 6")) == 6
    _, err = exs.both("results", "./logs", "--with", "mine:breaks", code=2)
    assert err.startswith("exs: mine:breaks failed at") and "mine.py:4: ZeroDivisionError: division by zero." in err
    for wrong in ("mine", "mine:nothing", "nothing:found", "mine:1"):
        exs.both("results", "./logs", "--with", wrong, code=2)


def test_secrets_and_control_characters_stay_inside(exs: Exs, lab: Lab, tmp_path: Path) -> None:
    folder = tmp_path / "output/a"
    folder.mkdir(parents=True)
    (folder / "param.json").write_text(json.dumps({"api_key": "hunter2", "note": "\x1b[2J|x", "z": 1}))
    for form in ("table", "csv", "markdown", "json"):
        out = exs("results", "./output", "-o", form)
        assert "hunter2" not in out and "\x1b" not in out
