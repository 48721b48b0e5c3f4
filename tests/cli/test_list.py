from __future__ import annotations

import csv
import io

from cli.lab import Exs, Lab
from exs.model import Claim, Failure, JobState

S = JobState


def mixed(lab: Lab) -> None:
    """Four jobs: done, crashed, running, queued."""
    lab.push(jobs=4)
    lab.end(lab.claim(), result={"loss": 0.25})
    lab.end(lab.claim(), S.CRASHED, failure=Failure.ERROR, detail="exit code 3", exit_code=3)
    lab.claim("gpu01")


def test_a_bare_exs_says_what_is_active_and_who_works(exs: Exs, lab: Lab) -> None:
    assert "no experiments yet" in exs()
    lab.push("first", jobs=1)
    lab.end(lab.claim())
    lab.push("second", jobs=2)
    lines = exs().splitlines()
    assert [line.split()[0] for line in lines if line.startswith(("first", "second"))] == ["second"]
    assert "+ 1 finished: exs list" in lines
    assert any(line.startswith("workers: 0 busy, 1 idle") for line in lines)
    assert [row["name"] for row in exs.json()["experiments"]] == ["second"]
    assert "exs list --json" in exs.both("--json", "list", code=2)[1]
    lab.leave()
    lines = exs().splitlines()
    assert any(line.startswith("workers: 0 busy, 0 idle") for line in lines)
    assert lines[-1] == "jobs wait, but no worker is running. Start one: exs worker"


def test_a_table_of_some_jobs(exs: Exs, lab: Lab) -> None:
    mixed(lab)
    ids = [row.id for row in lab.store.jobs("resnet")]
    assert exs("list", "-t", "resnet/1-2", "-q").split() == ids[1:3]
    assert exs("list", ids[3], "-q").split() == [ids[3]]
    assert exs("list", "resnet/1-3", "--status", "crashed", "-q").split() == [ids[1]]
    assert "(2 shown)" in exs("list", "resnet/0-1")
    assert "experiment resnet has no job 9" in exs.both("list", "resnet/9", code=2)[1]


def test_list_has_one_line_per_experiment_with_its_counts(exs: Exs, lab: Lab) -> None:
    mixed(lab)
    lines = exs("list").splitlines()
    assert lines[0] == "1 experiment, 1 running, 1 waiting"
    assert lines[1].split() == ["name", "done", "run", "wait", "fail", "left", "pushed"]
    assert lines[2].split()[:5] == ["resnet", "1", "1", "1", "1"]
    assert exs("ls", "-q") == "resnet\n"
    found = exs.json("list")
    assert found["experiments"][0]["counts"]["CRASHED"] == 1
    assert found["workers"] == {"busy": 1, "idle": 1}


def test_the_table_shows_what_differs_and_what_to_type(exs: Exs, lab: Lab) -> None:
    mixed(lab)
    lines = exs("list", "-t", "resnet").splitlines()
    assert lines[0] == "resnet  model=r50  |  1 done  1 running  1 waiting  1 crashed"
    header = [cell.strip() for cell in lines[2].strip("|").split("|")]
    assert header == ["#", "id", "status", "lr", "seed", "loss", "where", "time", "note"]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[4:8]]
    assert [row[2] for row in rows] == ["DONE", "CRASHED", "RUNNING", "QUEUED"]
    assert rows[0][5] == "0.25" and rows[0][6] == "laptop:0"
    assert rows[1][8] == "exit code 3  exs logs resnet/1"
    assert rows[2][6] == "gpu01:0"
    assert rows[3][6] == "soon"


def test_the_table_as_json_csv_and_ids_has_every_row(exs: Exs, lab: Lab) -> None:
    mixed(lab)
    jobs = exs.json("list", "-t", "resnet")["jobs"]
    assert [job["status"] for job in jobs] == ["DONE", "CRASHED", "RUNNING", "QUEUED"]
    assert jobs[0]["params"] == {"lr": 0.1, "seed": 0, "model": "r50"} and jobs[0]["result"] == {"loss": 0.25}
    assert exs("list", "-q", "-t", "last").split() == [job["id"] for job in jobs]
    rows = list(csv.DictReader(io.StringIO(exs("list", "-t", "resnet", "--csv"))))
    assert [row["seed"] for row in rows] == ["0", "1", "2", "3"]
    assert rows[0]["loss"] == "0.25" and rows[1]["exit_code"] == "3"


def test_status_and_sort_choose_and_order_rows(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=4)
    for loss in (0.5, 0.1, 0.9):
        lab.end(lab.claim(), result={"loss": loss})
    indices = [job["index"] for job in exs.json("list", "-t", "resnet", "--sort", "loss")["jobs"]]
    assert indices == [1, 0, 2, 3]
    indices = [job["index"] for job in exs.json("list", "-t", "resnet", "-s", "result.loss", "-d")["jobs"]]
    assert indices == [2, 0, 1, 3], "a row without a value stands last in both directions"
    assert [job["index"] for job in exs.json("list", "-t", "resnet", "--status", "QUEUED,failed")["jobs"]] == [3]
    assert "Did you mean 'loss'?" in exs.both("list", "-t", "resnet", "-s", "los", code=2)[1]
    assert "Did you mean 'crashed'?" in exs.both("list", "-t", "resnet", "--status", "crashd", code=2)[1]


def test_an_unknown_experiment_is_one_sentence(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=1)
    out, err = exs.both("list", "-t", "resnt", code=2)
    assert out == ""
    assert err.startswith("exs: no experiment or job 'resnt'. Did you mean resnet?\n")


def test_a_reader_that_has_seen_enough_ends_the_list_quietly(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=5000)
    process = exs.start("list", "-t", "resnet")
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(30) == 141


def test_a_direction_without_a_field_is_refused(exs: Exs, lab: Lab) -> None:
    lab.push()
    assert "give --sort FIELD" in exs.both("list", "-t", "resnet", "-d", code=2)[1]


def told(lab: Lab, claim: Claim, *values: float) -> None:
    """What a slot tells of the metrics `loss` and `acc` of a job that runs."""
    points = [(step, value) for step, value in enumerate(values, 1)]
    ends = {"first": points[0], "last": points[-1], "min": (1, min(values)), "max": (1, max(values))}
    text = "".join(f"{step} {value}\n" for step, value in points)
    metrics = {"loss": [{"n": len(values), "every": 1, **ends}, 0, text], "acc": [{"n": 1, "every": 1, **ends}, 0, ""]}
    last = {"loss": values[-1], "acc": 0.5}
    lab.store.report(claim.job, claim.attempt, {"whole": True, "metrics": metrics, "last": last, "progress": 0.5})


def test_the_last_values_of_metrics_are_columns_and_their_parts_are_fields(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=3)
    first, second = lab.claim("gpu01"), lab.claim("gpu02")
    told(lab, first, 4.0, 1.0, 3.0)
    told(lab, second, 7.0, 2.0)
    lab.end(second, node="gpu02", result={"acc": 0.9})
    table = exs("list", "-t", "resnet")
    assert "loss" in table and "3.0" in table and "2.0" in table
    assert "0.9" in table and "0.5" in table  # a result stands before a metric of its name
    fields = [word for part in ("loss", "loss.min", "loss.max", "loss.count") for word in ("-f", part)]
    shown = exs("list", "-t", "resnet", *fields, "-s", "loss.min", "-d")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in shown.splitlines() if line.startswith("|")]
    rows = [row for row in rows if not row[0].startswith("-")]
    assert rows[0] == ["loss", "loss.min", "loss.max", "loss.count"]
    assert rows[1:] == [["2.0", "2.0", "7.0", "2"], ["3.0", "1.0", "4.0", "3"], ["", "", "", ""]]
    assert "no job has such a parameter or result" in exs.both("list", "-t", "resnet", "-f", "loss.median", code=2)[1]
    found = exs.json("list", "-t", "resnet")["jobs"]
    assert [row["metrics"] for row in found] == [{"loss": 3.0, "acc": 0.5}, {"loss": 2.0, "acc": 0.5}, {}]
    assert [row["progress"] for row in found] == [0.5, 0.5, None]
