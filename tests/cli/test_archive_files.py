"""`exs export` and `exs archive --to`: files that results and list read as they read the queue, and never half."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from cli.lab import Exs, Lab
from cli.measured import tell
from exs.errors import BrokenRecord, InputError
from exs.model import JobState
from exs.reader import archivefile


@pytest.fixture
def done(exs: Exs, lab: Lab) -> Exs:
    """resnet: two jobs are done, the second in its second attempt, one crashed."""
    lab.push(jobs=3, retries=1)
    for number, losses in enumerate(([0.9, 0.2], [0.8, 0.1])):
        claim = lab.claim()
        if number:
            lab.store.release(claim.job, claim.attempt, "its worker was stopped", lab.offer())
            claim = lab.claim()
        tell(lab, claim, loss=losses)
        lab.end(claim, result={"acc": 1 - losses[-1]}, directory=f"/data/Lr_{number}")
    claim = lab.claim()
    lab.end(claim, JobState.CANCELED, tail="boom\n")
    return exs


def table(exs: Exs, *words: str) -> Any:
    return json.loads(
        exs("results", *words, "--columns", "status,lr,loss,loss.min,loss.mean,acc,attempts", "-o", "json")
    )


def test_a_file_answers_as_the_queue_does(done: Exs, tmp_path: Path) -> None:
    before = table(done, "resnet")["rows"]
    jobs = done.json("list", "-t", "resnet")
    assert done("export", "resnet", "a.jsonl") == "wrote 3 jobs to a.jsonl\n"
    assert table(done, "a.jsonl")["rows"] == before
    assert done.json("list", "-t", "a.jsonl")["jobs"] == jobs["jobs"]
    assert "resnet" in done("list", "a.jsonl", "-s", "loss.min")
    assert done("list", "a.jsonl", "--status", "canceled", "-q") == done(
        "list", "-t", "resnet", "--status", "canceled", "-q"
    )
    assert (tmp_path / "a.jsonl").stat().st_mode & 0o777 == 0o600
    assert done.json("list", "-t", "resnet") == jobs  # still there


def test_archive_to_takes_it_out_of_redis(done: Exs, lab: Lab, tmp_path: Path) -> None:
    before = table(done, "resnet")["rows"]
    (tmp_path / "old").mkdir()
    assert done("archive", "resnet", "--to", "old") == "moved resnet with its 3 jobs to old/resnet.jsonl\n"
    assert done.json("list", "-a")["experiments"] == []
    assert lab.store._client.keys("rq:job:*") == []
    done.env["EXS_REDIS_URL"] = "unix:///nowhere"
    assert table(done, "old/resnet.jsonl")["rows"] == before
    assert "CANCELED" in done("list", "-t", "old/resnet.jsonl")


def test_what_is_compressed_is_read_too(done: Exs, tmp_path: Path) -> None:
    done("export", "resnet", "a.jsonl.gz")
    assert gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()).startswith(b'{"exs_archive":1,')
    assert table(done, "a.jsonl.gz")["rows"] == table(done, "resnet")["rows"]


def test_earlier_attempts_and_points_are_kept(done: Exs, lab: Lab, tmp_path: Path) -> None:
    done("export", "resnet", "a.jsonl")
    filed = list(archivefile.read(str(tmp_path / "a.jsonl")).jobs())
    rows = lab.store.jobs("resnet")
    assert [row.history for row in filed] == [lab.store.job(row.id).history for row in rows]
    assert filed[1].attempts == 2
    assert filed[0].series == lab.store.metrics([rows[0].id])[rows[0].id]


def test_nothing_is_moved_that_is_not_over_or_has_no_place(exs: Exs, lab: Lab, tmp_path: Path) -> None:
    lab.push(jobs=1)
    _, err = exs.both("archive", "resnet", "--to", "a.jsonl", code=4)
    assert err.startswith("exs: resnet has 1 job that is not over")
    exs("cancel", "resnet")
    (tmp_path / "a.jsonl").write_text("mine")
    _, err = exs.both("archive", "resnet", "--to", "a.jsonl", code=4)
    assert err.startswith("exs: a.jsonl exists; it was left as it is.")
    _, err = exs.both("archive", "resnet", "--to", "nowhere/a.jsonl", code=2)
    assert err.startswith("exs: nowhere/a.jsonl cannot be written")
    assert (tmp_path / "a.jsonl").read_text() == "mine"
    (experiment,) = exs.json("list", "-a")["experiments"]
    assert (experiment["jobs"], experiment["archived"]) == (1, False)
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".tmp"] == []


def test_several_need_a_directory(done: Exs, lab: Lab) -> None:
    lab.push("other", jobs=1)
    done("cancel", "other")
    done.both("archive", "resnet", "other", "--to", "a.jsonl", code=2)
    os.mkdir(done.cwd / "old")
    assert done("archive", "resnet", "other", "--to", "old", "-q") == "resnet\nother\n"
    assert sorted(path.name for path in (done.cwd / "old").iterdir()) == ["other.jsonl", "resnet.jsonl"]


@pytest.mark.parametrize("broken", ["cut", "line", "byte", "added", "version", "nothing", "garbage"])
def test_a_file_that_is_not_as_it_was_written_is_refused(done: Exs, tmp_path: Path, broken: str) -> None:
    done("export", "resnet", "a.jsonl")
    whole = (tmp_path / "a.jsonl").read_bytes()
    lines = whole.splitlines(keepends=True)
    made = {
        "cut": whole[:-40],
        "line": b"".join([lines[0], *lines[2:]]),
        "byte": whole.replace(b"0.9", b"0.8", 1),
        "added": whole + lines[1],
        "version": whole.replace(b'"exs_archive":1', b'"exs_archive":9'),
        "nothing": b"",
        "garbage": b"\x00\xff" * 100,
    }[broken]
    (tmp_path / "a.jsonl").write_bytes(made)
    for words in (("results", "a.jsonl"), ("list", "-t", "a.jsonl")):
        _, err = done.both(*words, code=2)
        assert err.startswith("exs: a.jsonl")


def test_a_record_of_the_wrong_type_is_refused(done: Exs, tmp_path: Path) -> None:
    """The checksum says that nothing was lost, not that it can be trusted."""
    import hashlib

    done("export", "resnet", "a.jsonl")
    head, job, *_ = (tmp_path / "a.jsonl").read_bytes().splitlines(keepends=True)
    for wrong in ({"params": []}, {"state": "ODD"}, {"series": {"loss": {}}}, {"index": True}, {"history": [{"x": 1}]}):
        line = json.dumps({**json.loads(job), **wrong}).encode() + b"\n"
        digest = hashlib.sha256(head + line).hexdigest()
        (tmp_path / "b.jsonl").write_bytes(
            head + line + json.dumps({"jobs": 1, "sha256": digest}, separators=(",", ":")).encode()
        )
        with pytest.raises(BrokenRecord, match=r"b\.jsonl:2"):
            list(archivefile.read(str(tmp_path / "b.jsonl")).jobs())


def test_a_disk_that_is_full_leaves_everything_as_it_was(done: Exs, lab: Lab) -> None:
    from exs.api.archiving import move

    with pytest.raises(InputError, match=r"/dev/full"):
        move(lab.store, "resnet", "/dev/full/a.jsonl")
    assert not lab.store.experiment("resnet").archived
    assert len(lab.store.ids("resnet")) == 3


def test_compare_two_jobs_and_two_experiments(done: Exs, lab: Lab) -> None:
    page = done("compare", "resnet/0", "resnet/1")
    found = {row["name"]: row for row in json.loads(done("compare", "resnet/0", "resnet/1", "--json"))["rows"]}
    assert found["lr"] == {
        "name": "lr", "kind": "parameter", "resnet/0": 0.1, "resnet/1": 0.05, "difference": pytest.approx(-0.05),
    }  # fmt: skip
    assert found["loss.min"]["difference"] == pytest.approx(-0.1)
    assert found["acc"]["kind"] == "result"
    assert found["attempts"]["kind"] == "run"
    assert "model" not in found and "model" in done("compare", "resnet/0", "resnet/1", "--all")
    assert "parameter" in page
    done("push", "--name", "other", "--", "echo", "hi", "lr=1,2")
    rows = {row["name"]: row for row in json.loads(done("compare", "resnet", "other", "--json"))["rows"]}
    assert rows["lr"]["other"] == [1, 2]
    assert rows["mean(loss)"]["resnet"] == pytest.approx(0.15)
    assert rows["jobs QUEUED"]["other"] == 2
    assert rows["command run"]["kind"] == "code"
    assert done("compare", "resnet/0", "resnet/0").strip() == "resnet/0 and resnet/0 do not differ."
    done.both("compare", "resnet", "nothing", code=2)


def test_compare_an_experiment_with_the_file_that_it_went_to(done: Exs) -> None:
    done("export", "resnet", "a.jsonl")
    assert done("compare", "resnet", "a.jsonl") == "resnet and a.jsonl do not differ.\n"
    rows = json.loads(done("compare", "resnet", "a.jsonl", "--all", "--json"))["rows"]
    assert {row["kind"] for row in rows} == {"parameter", "result", "run", "code", "environment"}


def test_compare_names_the_files_that_are_otherwise(done: Exs, tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "sweep.yaml").write_text("name: one\ncommand: python3 train.py {lr}\nparams: {lr: 1}\n")
    (code / "train.py").write_text("print(1)\n")
    (code / "same.py").write_text("")
    done("push", "code/sweep.yaml", "code")
    done("push", "code/sweep.yaml", "code", "--name", "again")
    (code / "train.py").write_text("print(2)\n")
    (code / "more.py").write_text("")
    done("push", "code/sweep.yaml", "code", "--name", "two")
    assert done("compare", "one/0", "again/0") == "one/0 and again/0 do not differ.\n"
    assert done("compare", "one", "two", "-q").split("\n") == ["file train.py", "file more.py", ""]
    done("export", "two", "two.jsonl")
    assert done("compare", "two", "two.jsonl") == "two and two.jsonl do not differ.\n"
    assert done("compare", "one", "two.jsonl", "-q") == "digest of the code\n"


def test_compare_takes_a_directory_by_its_bare_name(done: Exs) -> None:
    for number in (1, 2):
        folder = done.cwd / "mine" / f"Lr_{number}"
        folder.mkdir(parents=True)
        log = f"mine/Lr_{number}/log.run.2026-11-26.07:07:0{number}"
        record = {"lr": number, "_commands": {"run": f"CUDA_VISIBLE_DEVICES={number} python train.py > {log} 2>&1"}}
        (folder / "param.json").write_text(json.dumps(record))
    (row,) = json.loads(done("compare", "mine/Lr_1", "mine/Lr_2", "--json"))["rows"]
    assert row == {"name": "lr", "kind": "parameter", "mine/Lr_1": 1, "mine/Lr_2": 2, "difference": 1}
    rows = json.loads(done("compare", "mine", "resnet", "--json"))["rows"]
    assert {row["name"]: row["mine"] for row in rows}["lr"] == [1, 2]


def test_an_exported_file_has_no_secrets(done: Exs, tmp_path: Path) -> None:
    sweep = "name: hidden\ncommand: echo {lr}\nparams: {lr: 1}\nenv: {WANDB: s3cret, PLAIN: seen}\nsecrets: [WANDB]\n"
    (tmp_path / "sweep.yaml").write_text(sweep)
    done("push", "sweep.yaml")
    done("export", "hidden", "b.jsonl")
    text = (tmp_path / "b.jsonl").read_text()
    assert "s3cret" not in text and "seen" in text
