"""plan and push."""

from __future__ import annotations

import getpass
from pathlib import Path

import pytest

from cli.lab import Exs, Lab
from exs.model import JobState
from exs.store.store import Store

S = JobState

SWEEP = """\
name: resnet
command: python train.py --lr {lr} --seed {seed}
params:
  lr: [0.1, 0.01]
  seed: [1, 2, 3]
"""


@pytest.fixture
def sweep(exs: Exs) -> Path:
    path = exs.cwd / "sweep.yaml"
    path.write_text(SWEEP)
    return path


def test_a_push_says_what_it_did_and_what_to_type(exs: Exs, lab: Lab, sweep: Path) -> None:
    assert exs("plan", "sweep.yaml").splitlines() == ["plan for resnet: +6 new"]
    assert lab.store.experiments() == []
    lines = exs("push", "sweep.yaml").splitlines()
    assert lines[0] == "pushed resnet: +6 new"
    assert "  look  exs list -t resnet" in lines and "  wait  exs wait resnet" in lines
    assert "no worker is running" in lines[-1]
    (row,) = lab.store.experiments()
    assert (row.jobs, row.user, row.host, row.source) == (6, getpass.getuser(), "laptop", str(sweep))


def test_an_edited_file_adds_what_is_new_and_keeps_what_is_there(exs: Exs, lab: Lab, sweep: Path) -> None:
    exs("push", "sweep.yaml")
    lab.end(lab.claim())
    lab.end(lab.claim(), S.CRASHED, exit_code=1)
    exs("cancel", "resnet/2")
    sweep.write_text(SWEEP.replace("0.01]", "0.5, 0.1]"))
    expected = "+3 new  =1 done  ~1 crashed (exs retry resnet)  ~1 canceled (exs retry resnet)"
    gone = "-3 no longer in the file  3 identical points run once"
    assert exs("plan", "sweep.yaml") == f"plan for resnet: {expected}  {gone}\n"
    assert exs("push", "sweep.yaml").splitlines()[0] == f"pushed resnet: {expected}  {gone}"
    assert exs.json("push", "sweep.yaml")["queued"] == 3


def test_force_runs_again_what_succeeded(exs: Exs, lab: Lab, sweep: Path) -> None:
    exs("push", "sweep.yaml")
    lab.end(lab.claim())
    expected = "resnet: +0 new  ^1 run again  =5 in the queue"
    assert exs("plan", "-f", "sweep.yaml") == f"plan for {expected}\n"
    assert exs("push", "--force", "sweep.yaml").splitlines()[0] == f"pushed {expected}"
    assert lab.store.counts("resnet")[S.QUEUED] == 6


def test_a_push_says_which_jobs_keep_resources_that_are_no_longer_asked_for(exs: Exs, lab: Lab, sweep: Path) -> None:
    exs("push", "sweep.yaml")
    lab.end(lab.claim())
    assert "resources" not in exs.both("push", "sweep.yaml")[1]
    sweep.write_text(SWEEP + "resources: {gpus: 0}\n")
    kept = "5 jobs that are there keep other resources than are asked for now: "
    assert kept + "exs rm resnet --status queued,crashed, and push again" in exs.both("push", "sweep.yaml")[1]
    exs("rm", "-y", "resnet", "--status", "queued,crashed")
    assert "+5 new" in exs("push", "sweep.yaml")
    assert "resources" not in exs.both("push", "sweep.yaml")[1]


def test_quiet_prints_the_ids_of_the_new_jobs(exs: Exs, lab: Lab, sweep: Path) -> None:
    assert exs("push", "-q", "sweep.yaml").split() == [row.id for row in lab.store.jobs("resnet")]
    sweep.write_text(SWEEP.replace("3]", "3, 4]"))
    assert exs("push", "-q", "sweep.yaml").split() == [row.id for row in lab.store.jobs("resnet")[6:]]
    assert exs("push", "-q", "sweep.yaml") == ""


def test_options_name_and_place_the_experiment(exs: Exs, lab: Lab, sweep: Path) -> None:
    words = ("--name", "other", "--priority", "7", "--pool", "a100", "-o", "out=put", "-o", "./out")
    _, err = exs.both("push", "-o", "a", "-o", "b", "sweep.yaml", code=2)
    assert "two output directories: a and b" in err
    _, err = exs.both("push", *words, "sweep.yaml", code=2)
    assert "out" in err, "an override of a key that does not exist"
    exs(
        "push",
        "--name",
        "other",
        "--priority",
        "7",
        "--pool",
        "a100",
        "-o",
        "params.lr=[1,2]",
        "-o",
        "./out",
        "sweep.yaml",
    )
    (row,) = lab.store.experiments()
    assert (row.name, row.priority, row.pool, row.jobs) == ("other", 7, "a100", 6)
    assert [job.params["lr"] for job in lab.store.jobs("other")] == [1, 1, 1, 2, 2, 2]
    assert "out" in lab.store.spec("other", lab.store.jobs("other")[0].spec).output
    assert "99" in exs.both("push", "--priority", "100", "sweep.yaml", code=2)[1]


def test_sample_draws_the_same_points_for_the_same_seed(exs: Exs, lab: Lab, sweep: Path) -> None:
    def drawn(name: str, *words: str) -> list[object]:
        exs("push", "--name", name, "--sample", "2", *words, "sweep.yaml")
        return [job.params for job in lab.store.jobs(name)]

    assert drawn("a", "--sample-seed", "5") == drawn("b", "--sample-seed", "5")
    assert len(drawn("c", "--sample-seed", "6")) == 2


def test_words_after_two_dashes_are_a_sweep(exs: Exs, lab: Lab) -> None:
    exs("push", "--name", "typed", "--", "python", "main.py", "--force", "lr=10.,1.", "seed=1,2")
    jobs = lab.store.jobs("typed")
    assert [(job.params["lr"], job.params["seed"]) for job in jobs] == [(10.0, 1), (10.0, 2), (1.0, 1), (1.0, 2)]
    _, err = exs.both("push", "sweep.yaml", "--", "python", "main.py", code=2)
    assert "a sweep file (sweep.yaml) and a command" in err


def test_params_yaml_is_read_when_no_file_is_named(exs: Exs, lab: Lab) -> None:
    _, err = exs.both("push", code=2)
    assert "there is no params.yaml here" in err and "exs push --" in err
    (exs.cwd / "params.yaml").write_text("template: {run: 'echo {x}'}\nresource: [0]\n---\nx: [1, 2]\n")
    assert "+2 new" in exs("push", "--name", "r")
    assert "Two sweep files" in exs.both("push", "-y", "a.yaml", "b.yaml", code=2)[1]


def test_the_name_of_another_source_is_refused(exs: Exs, lab: Lab, sweep: Path) -> None:
    lab.push("resnet", jobs=1)
    for verb in ("plan", "push"):
        out, err = exs.both(verb, "sweep.yaml", code=4)
        assert out == "" and "alice" in err and "--into" in err
    assert "+6 new" in exs("push", "--into", "sweep.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("command: [unclosed", "sweep.yaml:"),
        ("params: {lr: [1]}", "command"),
        ("command: x {lr}", "lr"),
        ("comand: x", "Did you mean 'command'?"),
        ("command: x\ncommand: y", "sweep.yaml:2"),
        ("name: ../x\ncommand: echo", "name"),
        ("\x1b[2J: 1", "sweep.yaml:"),
    ],
)
def test_a_bad_file_is_one_sentence_and_nothing_is_pushed(exs: Exs, lab: Lab, text: str, said: str) -> None:
    (exs.cwd / "sweep.yaml").write_text(text)
    for verb in ("plan", "push"):
        out, err = exs.both(verb, "sweep.yaml", code=2)
        assert out == "" and err.startswith("exs: ") and said in err and "\x1b" not in err
        assert len(err.splitlines()) <= 2
    assert lab.store.experiments() == []


def test_a_missing_file_is_one_sentence(exs: Exs) -> None:
    assert "nothere.yaml" in exs.both("push", "nothere.yaml", code=2)[1]


def test_a_pool_that_no_worker_could_name_is_refused(exs: Exs, lab: Lab) -> None:
    for verb in (("push", "--pool", "a,b", "--", "true", "x=1"), ("worker", "--cpus", "1", "--pool", "a,b")):
        assert "--pool: 'a,b' cannot name a pool." in exs.both(*verb, code=2)[1]
    assert lab.store.experiments() == []


@pytest.mark.parametrize(
    "words",
    ["--priority 5", "--pool a100", "--canary 1", "--paused", "--into", "-o lr=3", "-o out", "-t A", "-c run", "-f",
     "--sample 3", "--name other", "--env A=b", "--no-context"],
)  # fmt: skip
def test_a_job_by_hand_takes_no_option_that_it_would_not_obey(exs: Exs, store: Store, words: str) -> None:
    (exs.cwd / "sweep.yaml").write_text("name: byhand\ncommand: echo {lr}\nparams: {lr: [1]}\n")
    exs("push", "sweep.yaml")
    _, err = exs.both("push", "byhand", *words.split(), "-p", "lr", "2", code=2)
    assert err.startswith("exs: -p adds a job that runs as those pushed last") and "--strict" in err
    assert len(store.ids("byhand")) == 1
