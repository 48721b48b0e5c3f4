"""Run directories: whose they are, what stands in them, and what cannot become one."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exs.errors import Refused
from exs.model import Claim, Spec
from exs_worker import rundir

CLAIM = Claim("job1", "attempt1", 1, "exp", 0, "Lr_1", {"lr": 1}, "ab" * 8, "d", (), False)
OTHER = replace(CLAIM, job="job2", attempt="attempt2", experiment="another")


def taken(root: Path, claim: Claim = CLAIM, job_dirs: bool = True, output: str = "out") -> rundir.Directory:
    while True:
        directory = rundir.find(str(root), output, claim, job_dirs)
        owner = {"_job": claim.job, "_experiment": claim.experiment, "_point": claim.point}
        if directory.write_params({**claim.params, **owner}, claim.attempt):
            return directory


def content(path: str | Path) -> Any:
    return json.loads(Path(path).read_text())


def test_a_job_gets_the_directory_of_its_name(tmp_path: Path) -> None:
    directory = taken(tmp_path)
    assert Path(directory.files.root) == tmp_path / "out/Lr_1"
    assert (directory.shown, directory.name, directory.fresh) == ("out/Lr_1", "Lr_1", True)
    assert os.listdir(directory.files.root) == ["param.json"]


def test_the_same_trial_shares_it_and_any_other_job_does_not(tmp_path: Path) -> None:
    taken(tmp_path)
    assert taken(tmp_path, replace(CLAIM, job="job8", attempt="a8")).name == "Lr_1"
    other_commands = replace(CLAIM, job="job9", attempt="a9", point="cd" * 8, commands=("test",))
    assert taken(tmp_path, other_commands).name == "Lr_1"
    assert taken(tmp_path, OTHER).name == "Lr_1-job2"
    other_default = replace(CLAIM, job="job3", attempt="a3", point="ef" * 8, params={"lr": 1, "epochs": 9})
    assert taken(tmp_path, other_default).name == "Lr_1-job3"
    by_hand = replace(CLAIM, job="job4", attempt="a4", point="")
    assert taken(tmp_path, by_hand).name == "Lr_1-job4"
    assert taken(tmp_path, replace(by_hand, attempt="a5")).name == "Lr_1-job4"


def test_a_directory_that_runner_itself_made_is_known_by_its_parameters(tmp_path: Path) -> None:
    (tmp_path / "out/Lr_1").mkdir(parents=True)
    (tmp_path / "out/Lr_1/param.json").write_text('{"_name": "Lr_1", "_commands": {}, "lr": 1}')
    assert taken(tmp_path, replace(CLAIM, params={"lr": 2})).name == "Lr_1-job1"
    assert taken(tmp_path).name == "Lr_1"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "\xff", "[" * 100_000])
def test_a_damaged_record_belongs_to_nobody_we_know(tmp_path: Path, text: str) -> None:
    (tmp_path / "out/Lr_1").mkdir(parents=True)
    (tmp_path / "out/Lr_1/param.json").write_text(text, encoding="latin-1")
    (tmp_path / "out/Lr_1-job1").mkdir()
    (tmp_path / "out/Lr_1-job1/stat.json").write_text(text, encoding="latin-1")
    directory = taken(tmp_path)
    assert directory.name == "Lr_1-job1"
    directory.set_stat("train", 0, "", "a")
    assert content(directory.files.stat) == {"train": {"code": 0, "gpu": ""}}


def test_jobs_that_race_for_a_name_end_in_different_directories(tmp_path: Path) -> None:
    claims = [replace(CLAIM, job=f"job{n}", attempt=f"a{n}", experiment=f"e{n}") for n in range(24)]
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(lambda claim: taken(tmp_path, claim).name, claims))
    assert len(set(names)) == len(claims)
    for claim, name in zip(claims, names, strict=True):
        assert content(tmp_path / "out" / name / "param.json")["_job"] == claim.job
    assert not list(tmp_path.rglob(".exs-tmp*"))


def test_without_job_directories_the_files_bear_the_name(tmp_path: Path) -> None:
    first = taken(tmp_path, job_dirs=False)
    second = taken(tmp_path, OTHER, job_dirs=False)
    first.set_stat("train", 0, "1", "a")
    assert first.files.root == second.files.root == str(tmp_path / "out")
    assert (first.shown, second.name) == ("out", "Lr_1-job2")
    assert sorted(os.listdir(tmp_path / "out")) == ["param.json.Lr_1", "param.json.Lr_1-job2", "stat.json.Lr_1"]
    assert first.files.log("train", "now") == str(tmp_path / "out/log.train.now.Lr_1")


def test_stat_is_merged_and_forgotten(tmp_path: Path) -> None:
    taken(tmp_path).set_stat("train", 0, "0,1", "a")
    directory = rundir.find(str(tmp_path), "out", CLAIM, True)
    directory.set_stat("test", 1, "2", "b")
    assert content(directory.files.stat) == {"train": {"code": 0, "gpu": "0,1"}, "test": {"code": 1, "gpu": "2"}}
    assert Path(directory.files.stat).read_text().count("\n") == 1
    assert directory.succeeded("train") and not directory.succeeded("test") and not directory.succeeded("other")
    directory.forget(["train", "other"], "c")
    assert list(content(directory.files.stat)) == ["test"]


def test_a_second_log_of_the_same_second_gets_its_own_name(tmp_path: Path) -> None:
    taken(tmp_path)
    directory = rundir.find(str(tmp_path), "out", CLAIM, True)
    stamps = []
    for _ in range(3):
        stamps.append(directory.stamp(["train"]))
        Path(directory.files.log("train", stamps[-1])).touch()
    assert len(set(stamps)) == 3


def test_two_jobs_in_one_directory_do_not_lose_each_others_ends(tmp_path: Path) -> None:
    train = taken(tmp_path)
    test = taken(tmp_path, replace(CLAIM, job="job9", attempt="a9", point="cd" * 8, commands=("test",)))
    train.set_stat("train", 0, "", "a1")
    test.set_stat("test", 0, "", "a9")
    assert set(content(train.files.stat)) == {"train", "test"}


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc/passwd", "../../x", "a\0b", "x" * 256, "x" * 251])
def test_f48_a_name_that_is_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Refused):
        rundir.find(str(tmp_path), "out", replace(CLAIM, name=name), True)
    with pytest.raises(Refused):
        rundir.find(str(tmp_path), "out", replace(CLAIM, attempt=f"../{name}"), True)
    assert os.listdir(tmp_path) == []


def test_f48_an_output_that_leaves_the_working_directory_is_refused(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    with pytest.raises(Refused, match="outside"):
        taken(work, output="a/../../out")
    assert Path(taken(work, output="a/../out").files.root).resolve() == work / "out/Lr_1"
    assert taken(work, output=str(tmp_path / "elsewhere")).shown == str(tmp_path / "elsewhere/Lr_1")


def test_f48_a_planted_link_is_refused_but_output_itself_may_be_one(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "scratch")
    (tmp_path / "secret").mkdir()
    (tmp_path / "scratch/Lr_1").symlink_to(tmp_path / "secret")
    with pytest.raises(Refused, match="symbolic link"):
        taken(tmp_path)
    assert os.listdir(tmp_path / "secret") == []
    assert Path(taken(tmp_path, replace(CLAIM, name="Lr_2")).files.root).resolve() == tmp_path / "scratch/Lr_2"


def test_f48_links_in_place_of_our_files_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text('{"lr": 1}')
    (tmp_path / "out/Lr_1").mkdir(parents=True)
    for name in ("param.json", "stat.json"):
        (tmp_path / "out/Lr_1" / name).symlink_to(tmp_path / "secret")
    directory = taken(tmp_path)
    directory.set_stat("train", 0, "", "a")
    assert (tmp_path / "secret").read_text() == '{"lr": 1}'


def test_f36_a_directory_that_cannot_be_made_says_which(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OSError) as caught:
        taken(tmp_path)
    assert str(tmp_path / "out") in str(caught.value)


def test_where_a_job_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pushed = tmp_path / "pushed"
    pushed.mkdir()
    here = Spec({}, cwd=str(pushed))
    sent = replace(here, capsule="0" * 64)
    for spec in (here, sent):
        assert rundir.working_directory(spec, "") == str(pushed)
        assert rundir.working_directory(replace(spec, cwd="/not/here"), "") == str(tmp_path)
        assert rundir.working_directory(spec, "sub") == str(tmp_path / "sub")
    (pushed / "output").write_text("nothing can be made here, not by root either")
    assert rundir.working_directory(here, "") == str(pushed), "its code is there"
    assert rundir.working_directory(sent, "") == str(tmp_path)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(JSON_VALUES)
def test_param_json_is_written_as_runner_wrote_it(value: object) -> None:
    assert rundir.indented(value) == json.dumps(value, indent=4, sort_keys=True)
