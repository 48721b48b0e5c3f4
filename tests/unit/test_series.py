"""What is kept of a metric, whatever comes and however it is cut into batches."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest

from exs.paths import RunDir
from exs_worker.metricfiles import MetricFiles
from exs_worker.report import EVERYTHING, NOWHERE, Report
from exs_worker.series import Metrics, Series, checked


def values(seed: int, count: int) -> list[tuple[int, Any]]:
    """Steps and values, some of which are no finite numbers."""
    rng = random.Random(seed)
    odd = ["nan", "inf", "-inf", 0, -3, 1e300]
    return [(n, rng.choice(odd) if rng.random() < 0.05 else rng.gauss(0, 10)) for n in range(count)]


class Mirror:
    """What Redis makes of the news."""

    def __init__(self) -> None:
        self.text = ""
        self.summary: dict[str, Any] = {}

    def take(self, news: list[Any]) -> None:
        self.summary, base, text = news
        assert base <= len(self.text)
        self.text = self.text[:base] + text

    @property
    def points(self) -> list[list[float]]:
        return [[float(word) for word in line.split()] for line in self.text.splitlines()]


@pytest.mark.parametrize("seed", range(30))
def test_points_do_not_depend_on_batches_and_are_spread_evenly(seed: int) -> None:
    rng = random.Random(seed)
    most, given = rng.choice([2, 3, 10, 500]), values(seed, rng.choice([0, 1, 5, 499, 500, 501, 1000, 1001, 5000]))
    series, mirror = Series(most), Mirror()
    for step, value in given:
        series.add(step, value)
        if rng.random() < 0.1:
            mirror.take(series.news(whole=rng.random() < 0.1))
    mirror.take(series.news(whole=False))
    kept = given[:: series.every]
    assert len(kept) <= most and (series.every == 1 or len(kept) * 2 + 2 > most)
    assert [point[0] for point in mirror.points] == [step for step, _ in kept]
    for (_, found), (_, expected) in zip(mirror.points, kept, strict=True):
        exact = float(expected)
        assert math.isnan(exact) == math.isnan(found)
        assert math.isnan(exact) == math.isnan(found) and (
            math.isnan(exact) or math.isclose(found, exact, rel_tol=1e-8)
        )
    again = Mirror()
    again.take(series.news(whole=True))
    assert again.text == mirror.text
    finite = [point for point in given if not isinstance(point[1], str)]
    expected = {"n": len(given), "every": series.every}
    if given:
        expected |= {"first": list(given[0]), "last": list(given[-1])}
    if finite:
        expected |= {"min": list(min(finite, key=lambda p: p[1])), "max": list(max(finite, key=lambda p: p[1]))}
    assert mirror.summary == expected
    json.dumps(mirror.summary, allow_nan=False)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (1, 1),
        (0.5, 0.5),
        (True, 1),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        ("NaN", "nan"),
        ("Infinity", "inf"),
    ],
)
def test_what_a_metric_may_be(given: Any, kept: Any) -> None:
    assert checked(given) == kept


@pytest.mark.parametrize("given", [None, "0.5", "x", [1], {"a": 1}, 10**400])
def test_what_a_metric_may_not_be(given: Any) -> None:
    with pytest.raises(ValueError, match="no number"):
        checked(given)


# ------------------------------------------------------------ the report and its files


def attempt(root: Path, name: str, go_on: float | None = None, points: int = 500, names: int = 10) -> Report:
    files = RunDir(str(root))
    metrics = Metrics(MetricFiles(files, name), points, names)
    return Report(files.report(name), str(root), 1000, metrics, go_on)


def says(report: Report, *lines: Any) -> None:
    with Path(report.path).open("a") as file:
        for line in lines:
            file.write(line if isinstance(line, str) else json.dumps(line))
            file.write("\n")
    report.look()


def at(step: Any, **metrics: Any) -> dict[str, Any]:
    return {"step": step, "metrics": metrics}


def lines(root: Path, name: str) -> list[Any]:
    return [json.loads(line) for line in (root / "metrics" / f"{name}.json").read_text().splitlines()]


def test_each_point_stands_in_the_run_directory_and_news_build_upon_news(tmp_path: Path) -> None:
    report = attempt(tmp_path, "a1")
    says(report, at(1, loss=0.5, acc=1), at(2, loss=0.25))
    news = report.news()
    once = {"first": [1, 1], "last": [1, 1], "min": [1, 1], "max": [1, 1]}
    twice = {"first": [1, 0.5], "last": [2, 0.25], "min": [2, 0.25], "max": [1, 0.5]}
    assert news == {
        "whole": True,
        "last": {"loss": 0.25, "acc": 1},
        "metrics": {
            "loss": [{"n": 2, "every": 1, **twice}, 0, "1 0.5\n2 0.25\n"],
            "acc": [{"n": 1, "every": 1, **once}, 0, "1 1\n"],
        },
    }
    says(report, at(3, loss=float("nan")))
    news = report.news()
    assert news is not None and list(news["metrics"]) == ["loss"] and news["metrics"]["loss"][1:] == [13, "3 nan\n"]
    assert report.news() is None
    assert lines(tmp_path, "loss") == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.25}, {"step": 3, "loss": "nan"}]
    assert lines(tmp_path, "acc") == [{"step": 1, "acc": 1}]
    report.not_delivered()
    news = report.news()
    assert news is not None and news["whole"] and news["metrics"]["loss"][1:] == [0, "1 0.5\n2 0.25\n3 nan\n"]
    assert report.whole()["metrics"] == news["metrics"]


def test_without_a_step_each_metric_counts_its_own(tmp_path: Path) -> None:
    report = attempt(tmp_path, "a1")
    says(report, {"metrics": {"a": 1}}, {"metrics": {"a": 2, "b": 3}}, {"metrics": {"b": 4}})
    report.point("c", None, 5)
    report.point("c", 70, 6)
    report.point("c", None, "text")
    report.look()
    assert lines(tmp_path, "a") == [{"step": 1, "a": 1}, {"step": 2, "a": 2}]
    assert lines(tmp_path, "b") == [{"step": 1, "b": 3}, {"step": 2, "b": 4}]
    assert lines(tmp_path, "c") == [{"step": 1, "c": 5}, {"step": 70, "c": 6}]
    assert report.problem == ""


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"metrics": 3}', "metrics is no object"),
        ('{"step": "x", "metrics": {"ok": 1}}', "step is no number"),
        ('{"step": NaN, "metrics": {"ok": 1}}', "step is no number"),
        ('{"metrics": {"a": "high", "ok": 1}}', "metric 'a': no number"),
        ('{"metrics": {"": 1, "ok": 1}}', "metric '': not a name"),
        ('{"metrics": {"step": 1, "ok": 1}}', "metric 'step': not a name"),
        ('{"metrics": {"a\\u001b[31m": 1, "ok": 1}}', "metric 'a\\x1b[31m': not a name"),
        (json.dumps({"metrics": {"x" * 101: 1, "ok": 1}}), "metric 'xxx"),
        (json.dumps({"metrics": {"ok": 1, **{f"m{n}": n for n in range(12)}}}), "metric 'm9': a job has at most 10"),
    ],
)
def test_a_metric_that_makes_no_sense_is_said_and_the_others_count(tmp_path: Path, line: str, why: str) -> None:
    report = attempt(tmp_path, "a1")
    says(report, line, at(9, ok=2))
    assert report.problem.startswith(f"line 1: {why}")
    assert lines(tmp_path, "ok")[-1] == {"step": 9, "ok": 2}


@pytest.mark.parametrize("name", ["val/loss", "..", ".", "a b", "50%", "%2F", "ü", "x.json", ".hidden", "a\\b"])
def test_a_name_cannot_lead_elsewhere_and_comes_back(tmp_path: Path, name: str) -> None:
    root = tmp_path / "run"
    root.mkdir()
    first = attempt(root, "a1")
    says(first, {"step": 1, "metrics": {name: 1}})
    first.whole()
    (file,) = (root / "metrics").iterdir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]
    second = attempt(root, "a2", go_on=1)
    says(second, {"step": 2, "metrics": {name: 2}})
    assert second.whole()["metrics"][name][0]["n"] == 2
    assert len(file.read_text().splitlines()) == 2
    assert (first.problem, second.problem) == ("", "")


@pytest.mark.parametrize(
    ("go_on", "kept"), [(NOWHERE, []), (0, []), (3, [1, 2, 3]), (3.5, [1, 2, 3]), (float("inf"), [1, 2, 3, 4])]
)
def test_what_lies_beyond_the_checkpoint_is_superseded(tmp_path: Path, go_on: float, kept: list[int]) -> None:
    """Determined's rule: [1, 2, 3, 4], started again after 3, becomes [1, 2, 3, 5]; never both."""
    first = attempt(tmp_path, "a1")
    says(first, *(at(step, loss=step, old=step) for step in (1, 2, 3, 4)))
    first.whole()
    second = attempt(tmp_path, "a2", go_on)
    says(second, {"progress": 0.1})
    assert second.news() == {"progress": 0.1}  # what the first one told stays until there is something else
    says(second, at(5, loss=5))
    news = second.news()
    assert news is not None and news["whole"]
    assert news["metrics"]["loss"][2] == "".join(f"{n} {n}\n" for n in (*kept, 5))
    assert second.whole()["metrics"]["loss"][0]["n"] == len(kept) + 1
    assert [line["loss"] for line in lines(tmp_path, "loss")] == [*kept, 5]
    assert (tmp_path / "metrics" / "old.json").exists() == bool(kept)
    assert sorted(path.name for path in (tmp_path / "metrics").iterdir() if path.name.startswith(".")) == []


def test_an_attempt_that_begins_before_its_checkpoint_says_nothing_twice(tmp_path: Path) -> None:
    first = attempt(tmp_path, "a1")
    says(first, *(at(step, loss=step) for step in (1, 2, 3, 4)))
    second = attempt(tmp_path, "a2", 3)
    says(second, at(2, loss=22), at(3, loss=33))
    assert [line["loss"] for line in lines(tmp_path, "loss")] == [1, 22, 33]


def test_commands_that_were_done_before_keep_their_metrics(tmp_path: Path) -> None:
    first = attempt(tmp_path, "a1")
    says(first, *(at(step, loss=step) for step in (1, 2, 3)))
    second = attempt(tmp_path, "a2", EVERYTHING)
    says(second, at(1, acc=5))
    assert [line["loss"] for line in lines(tmp_path, "loss")] == [1, 2, 3]
    assert set(second.whole()["metrics"]) == {"loss", "acc"}


def test_an_attempt_that_was_fenced_out_writes_into_the_void(tmp_path: Path) -> None:
    zombie = attempt(tmp_path, "a1")
    says(zombie, at(1, loss=1), at(2, loss=2))
    heir = attempt(tmp_path, "a2", go_on=1)
    says(heir, at(2, loss=20))
    says(zombie, at(3, loss=3))
    says(heir, at(3, loss=30))
    assert [line["loss"] for line in lines(tmp_path, "loss")] == [1, 20, 30]


def test_files_of_the_job_itself_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "loss.json").write_text('{"epoch": 1, "loss": 3, "acc": 4}\n')
    (tmp_path / "metrics" / "notes.txt").write_text("mine")
    report = attempt(tmp_path, "a1", go_on=NOWHERE)
    says(report, at(1, loss=1, acc=2))
    assert (tmp_path / "metrics" / "loss.json").read_text() == '{"epoch": 1, "loss": 3, "acc": 4}\n'
    assert lines(tmp_path, "acc") == [{"step": 1, "acc": 2}]
    assert "loss.json is not whole: the job has a file of that name" in report.problem
    assert report.whole()["metrics"]["loss"][0]["n"] == 1


def test_r18_a_folder_of_metrics_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    root = tmp_path / "run"
    root.mkdir()
    (root / "metrics").symlink_to(tmp_path / "elsewhere")
    report = attempt(root, "a1", go_on=NOWHERE)
    says(report, at(1, loss=1))
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert "loss.json is not whole" in report.problem
    assert report.whole()["metrics"]["loss"][0]["n"] == 1


def test_a_checkpoint_without_a_step_is_of_the_last_one(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    report = attempt(tmp_path, "a1")
    says(report, {"checkpoint": "c"})
    assert report.whole() == {"checkpoint": {"path": "c"}}
    says(report, at(7, loss=1), at(5, loss=2), {"checkpoint": "c"}, at(9, loss=3))
    assert report.whole()["checkpoint"] == {"path": "c", "step": 7}


def test_a_long_series_is_taken_over_in_little_memory(tmp_path: Path) -> None:
    first = attempt(tmp_path, "a1")
    says(first, *(at(step, loss=step / 7) for step in range(30_000)))
    first.whole()
    second = attempt(tmp_path, "a2", go_on=25_000)
    says(second, at(25_001, loss=0))
    assert [line["step"] for line in lines(tmp_path, "loss")] == list(range(25_002))
    assert second.whole()["metrics"]["loss"][0]["n"] == 25_002
