"""The tables, pinned by files in tests/data/view. To renew them on purpose: EXS_RENEW_SNAPSHOTS=1."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from pathlib import Path

import pytest

from exs.answers import PoolQueue, Pushed, QueueRow
from exs.model import Spec
from exs.rows import JobRow, PastAttempt
from exs.view.columns import choose
from exs.view.detail import ExperimentPage, JobPage
from exs.view.experiments import ExperimentTable
from exs.view.jobs import JobTable
from exs.view.pushed import summary
from exs.view.queue import QueueTable
from exs.view.render import Listing, as_csv, as_ids, as_json
from exs.view.screen import Screen, screen_of
from exs.view.slots import SlotTable
from exs.view.text import width
from unit.view_rows import NOW, S, experiment, job, mixed, slot, text

DATA = Path(__file__).parents[1] / "data" / "view"

ALL = {S.DONE: 2, S.RUNNING: 2, S.QUEUED: 2, S.CRASHED: 2, S.CANCELED: 1}


def pictures() -> dict[str, Listing]:
    experiments = [
        experiment(counts=ALL),
        experiment("bert-base", {S.DONE: 40}),
        experiment("vit", {S.CRASHED: 3, S.DONE: 2}, created_at=NOW - 86400 * 3),
        experiment("big", {S.QUEUED: 10000, S.RUNNING: 8}, max_running=8, priority=10),
    ]
    slots = [
        slot(),
        slot("gpu01/1", "busy", experiment="resnet", index=17, done=12, failed=1),
        slot("gpu02/0", "busy", seen_ago=70.0),
    ]
    minimize = experiment("MinimizeManual", {S.DONE: 1}, kind="pull")
    xy = JobRow("ExhnhQ", "MinimizeManual", 0, S.DONE, "x", {"x": 1, "y": 2}, result={"result": 5})
    return {
        "jobs": JobTable(experiment(counts=ALL), mixed(), NOW),
        "experiments": ExperimentTable(experiments, slots, NOW),
        "workers": SlotTable(slots, NOW, quiet=30),
        "schedy": JobTable(minimize, [xy], NOW),
    }


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("name", list(pictures()))
def test_the_picture_is_the_pinned_one(name: str, columns: int) -> None:
    path = DATA / f"{name}-{columns}.txt"
    drawn = text(pictures()[name], columns)
    if os.environ.get("EXS_RENEW_SNAPSHOTS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(drawn)
    assert drawn == path.read_text()
    assert all(width(line) <= columns for line in drawn.splitlines())


def test_a_table_looks_as_schedys_did() -> None:
    drawn = text(pictures()["schedy"]).splitlines()
    assert drawn == [
        "+--------+----------+-----+-----+----------+",
        "| id     | status   |   x |   y |   result |",
        "|--------+----------+-----+-----+----------|",
        "| ExhnhQ | DONE     |   1 |   2 |        5 |",
        "+--------+----------+-----+-----+----------+",
    ]


def test_only_what_differs_is_a_column() -> None:
    rows = [job(i, params={"a": 1, "b": i, "c": True}) for i in range(3)]
    rows[2].params = {"a": 1, "b": 5, "c": 1, "late": 0}
    choice = choose(rows)
    assert choice.params == ("b", "c", "late"), "true and 1 are different points"
    assert choice.constants == {"a": 1}
    assert choose(rows[:1]).params == ("a", "b", "c"), "a single row shows all"
    assert choose(rows, everything=True).constants == {}
    assert choose([]).params == ()


def test_jobs_with_the_same_parameters_are_told_apart_by_name() -> None:
    def header(rows: list[JobRow]) -> list[str]:
        return text(JobTable(experiment(), rows, NOW)).splitlines()[2].replace("|", " ").split()

    tasks = [job(i, params={}, name=name, commands=(name,)) for i, name in enumerate(["train", "test"])]
    assert header(tasks) == ["#", "id", "status", "commands", "where", "time"]
    assert "| train " in text(JobTable(experiment(), tasks, NOW), 60)
    again = [job(0, params={"lr": 1}), job(1, params={"lr": 1}, commands=("test",), name="Lr_0")]
    assert [line.split()[7] for line in text(JobTable(experiment(), again, NOW)).splitlines()[4:6]] == ["all", "test"]
    repeats = [job(i, params={"lr": i // 2}, name=f"Lr_{i // 2}-r{i % 2}") for i in range(4)]
    assert header(repeats[::-2] + repeats[::2])[3:5] == ["repeat", "lr"], "in whatever order they are shown"
    assert "repeat" not in header(repeats[::2])
    tasks = [job(i, params={}, name=f"train_repit{i}", commands=("train",)) for i in range(2)]
    assert "name" in header(tasks)
    assert "name" not in header([job(i, params={"lr": 1}, name="Lr_1") for i in range(2)]), "added twice by hand"


def test_names_that_clash_are_told_apart() -> None:
    rows = [job(i, params={"id": i, "loss": i}, result={"loss": 0.5}) for i in range(2)]
    header = text(JobTable(experiment(), rows, NOW)).splitlines()[2]
    assert [word for word in header.split() if "." in word] == ["param.id", "param.loss", "result.loss"]


def test_hostile_values_reach_no_terminal() -> None:
    evil = "\x1b[2J\u202e\x9b\n| x |"
    row = job(0, S.CRASHED, params={evil: evil, "API_KEY": "hunter2"}, detail=evil, node=evil, gpus=evil)
    row.result = {evil: evil, "token": "hunter2"}
    row.id = row.failure = row.want = evil
    row.name = row.directory = row.log = "Api_key_hunter2"
    row.history = (PastAttempt(1, failure=evil, detail="redis://:hunter2@h", directory="/x/Api_key_hunter2"),)
    rows = [row, job(1, params={evil: 1, "API_KEY": "other-secret"})]
    crowd: list[Listing] = [
        JobTable(experiment(evil), rows, NOW),
        JobTable(experiment(evil), rows, NOW, everything=True),
        ExperimentTable([experiment(evil, id=evil, user=evil)], [slot(experiment=evil, index=1)], NOW),
        SlotTable([slot(name=f"{evil}/0", experiment=evil, index=1, state=evil)], NOW, quiet=30),
        JobPage(row, NOW),
        JobPage(row, NOW, Spec({evil: {"argv": [[{"value": "API_KEY"}, evil, {"value": evil}]]}}, cwd=evil)),
        ExperimentPage(
            experiment(evil, id=evil), {evil: Spec({evil: {"argv": [[evil], [{"value": evil}]]}}, evil)}, NOW
        ),
    ]
    for listing in crowd:
        for columns in (None, 80):
            drawn = text(listing, columns)
            assert drawn.replace("\n", "").isprintable() and "hunter2" not in drawn
        assert all(line.isprintable() for line in as_ids(listing))
        assert "hunter2" not in "".join(as_json(listing)) and "\x1b" not in "".join(as_json(listing))
        for line in as_csv(listing):
            assert "hunter2" not in line and "\x1b" not in line


def test_a_huge_value_does_not_make_every_row_huge() -> None:
    rows = [job(i, params={"x": "y" * 60_000 if i == 0 else i}) for i in range(3)]
    assert max(map(len, text(JobTable(experiment(), rows, NOW)).splitlines())) < 200
    assert json.loads("".join(as_json(JobTable(experiment(), rows, NOW))))["jobs"][0]["params"]["x"] == "y" * 60_000


def test_columns_that_do_not_fit_are_named() -> None:
    rows = [job(i, params={f"parameter_{k}": i * 1000 + k for k in range(12)}) for i in range(2)]
    drawn = text(JobTable(experiment(), rows, NOW), 80)
    assert all(len(line) <= 80 for line in drawn.splitlines() if line.startswith(("|", "+")))
    assert "not shown for want of room" in drawn and "parameter_11" in drawn
    assert "parameter_11 |" in text(JobTable(experiment(), rows, NOW, everything=True), 80).replace("  ", " ")


def test_a_crashed_row_keeps_its_command_whole_on_a_narrow_screen() -> None:
    tail = f"ValueError: the loss is nan in layer {'x' * 90}"
    rows = [job(i, S.CRASHED, detail="exit code 1", tail=tail) for i in range(2)]
    drawn = text(JobTable(experiment(), rows, NOW), 80)
    assert "exs logs resnet/1 " in drawn and "exit code 1: ValueError: the " in drawn
    assert f"exit code 1: {tail}\n" in text(JobPage(rows[0], NOW)), "a page has room for all of it"


def test_csv_and_ids_have_a_line_per_row() -> None:
    listing = JobTable(experiment(), mixed(), NOW)
    rows = list(csv.DictReader(io.StringIO("\n".join(as_csv(listing)))))
    assert [row["status"] for row in rows] == [row.state.value for row in mixed()]
    assert rows[1]["acc"] == "0.913" and rows[0]["acc"] == "" and rows[3]["suspect"] == "true"
    assert list(as_ids(listing)) == [row.id for row in mixed()]


def test_colours_only_where_they_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert screen_of(Terminal(), {"COLUMNS": "100"}) == Screen(100, True, True)
    assert not screen_of(Terminal(), {"NO_COLOR": "1"}).colour
    assert not screen_of(Terminal(), {"TERM": "dumb"}).colour
    assert screen_of(io.StringIO(), {}) == Screen(None, False, False)
    listing = JobTable(experiment(counts=ALL), mixed(), NOW)
    painted = text(listing, 120, colour=True)
    assert "\x1b[31mCRASHED \x1b[0m" in painted
    assert re.sub(r"\x1b\[[0-9]+m", "", painted) == text(listing, 120)


def test_a_push_is_one_line() -> None:
    pushed = Pushed("resnet", "5f0c21aa", new=12, done=40, crashed=3, gone=5, duplicates=2)
    assert summary("pushed", pushed, Screen()) == (
        "pushed resnet: +12 new  =40 done  ~3 crashed (exs retry resnet)  -5 no longer in the file"
        "  2 identical points run once"
    )


def test_a_result_that_is_the_same_everywhere_has_no_extremes() -> None:
    rows = [job(at, result={"acc": 0.5, "loss": 0.1 * at}) for at in range(3)]
    lines = text(JobTable(experiment(), rows, NOW))
    assert [line for line in lines.splitlines() if line.startswith(("lowest", "highest"))] == [
        "lowest loss   0.0  #0  lr=0.1 seed=0",
        "highest loss  0.2  #2  lr=0.0333333 seed=2",
    ]


def test_a_page_shows_the_commands_as_a_person_would_type_them() -> None:
    shell = {"sh": 'test "${EXS_V1}" > {_output}', "vars": {"EXS_V1": {"value": "api_key"}}}
    spec = Spec({"train": {"argv": [["t"], ["--lr=", {"value": "lr"}], [{"value": "_output"}]]}, "test": shell}, "/w")
    row = job(0, params={"lr": "a b", "api_key": "hunter2"})
    page = text(JobPage(row, NOW, spec))
    assert "  commands    train: t '--lr=a b' output/Lr_0\n              test: test '***' > {_output}\n" in page
    row.commands, row.directory = ("train",), "/w/output/Lr_0-k3m9"
    assert "  command     t '--lr=a b' output/Lr_0-k3m9\n" in text(JobPage(row, NOW, spec))
    assert JobPage(row, NOW, spec).document()["command_lines"] == {"train": "t '--lr=a b' output/Lr_0-k3m9"}
    row.params = {}
    assert "  command     cannot be shown: the job has no value for {lr}" in text(JobPage(row, NOW, spec))
    assert "command" not in text(JobPage(row, NOW))


def test_a_running_job_says_why_its_directory_is_not_known_yet() -> None:
    assert "not known yet: gpu01 tells it when it first renews the lease" in text(JobPage(job(0, S.RUNNING), NOW))
    page = text(JobPage(job(0, S.RUNNING, directory="/out/Lr_0", log="/out/Lr_0/log.train"), NOW))
    assert "directory   /out/Lr_0\n" in page and "log         /out/Lr_0/log.train\n" in page
    assert "not known" not in page + text(JobPage(job(0, S.QUEUED), NOW))


def test_a_note_under_its_row_has_the_whole_width_of_the_screen() -> None:
    rows = [job(0, S.CRASHED, failure="error", detail="exit code 1: " + "a long story " * 6)]
    for columns, whole in ((120, True), (80, False)):
        lines = text(JobTable(experiment(), rows, NOW), columns).splitlines()
        table = [line for line in lines if line[:1] in "+|"]
        assert len({width(line) for line in table}) == 1 and width(table[0]) <= columns
        assert any("a long story " * 5 in line for line in table) is whole


def test_a_narrow_screen_has_the_queue_without_what_all_have_alike() -> None:
    row = QueueRow("resnet", "0123abcd", "al", "a", 42, 1, NOW, 2, 8, 9, 1)
    lines = list(QueueTable(PoolQueue("a", "", (row,))).lines(Screen(80)))
    assert lines.pop() == "not shown for want of room: Type, User, Submitted  (--csv shows all)"
    assert len(lines) == 3 and all(width(line) <= 80 for line in lines)
