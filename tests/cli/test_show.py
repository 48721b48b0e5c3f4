from __future__ import annotations

from pathlib import Path

from cli.lab import Exs, Lab
from exs.model import Failure, JobState


def test_a_crashed_job_says_why_where_and_what_to_type(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=1)
    lab.end(
        lab.claim(),
        JobState.CRASHED,
        failure=Failure.OOM,
        detail="killed by SIGKILL",
        tail="step 1\n\x1b[2Jboom\n",
        directory="/data/resnet/Lr_0",
    )
    page = exs("show", "resnet/0")
    assert page.splitlines()[0].endswith("CRASHED")
    for text in ("oom: killed by SIGKILL", "lr = 0.1", "laptop:0", "/data/resnet/Lr_0", "\\x1b[2Jboom"):
        assert text in page
    assert page.splitlines()[-1] == "next: exs logs resnet/0 · exs retry resnet/0"
    assert "\x1b" not in page
    assert exs.json("show", "resnet/0")["failure"] == "oom"


def test_a_job_that_waits_shows_what_it_will_run(exs: Exs) -> None:
    exs("push", "--name", "greet", "--", "echo", "hello there", "who=you,me")
    assert "  command     echo 'hello there' who=me\n" in exs("show", "greet/1")
    assert exs.json("show", "greet/0")["command_lines"] == {"run": "echo 'hello there' who=you"}


def test_an_experiment_is_shown_as_a_whole(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=2, retries=2)
    for selector in ("resnet", "last"):
        page = exs("show", selector)
        assert "by alice on laptop" in page and "/home/alice/resnet.yaml" in page
    assert exs.json("show", "resnet")["retries"] == 2
    assert len(exs("show", "resnet", "--status", "queued", "-q").split()) == 2


def test_a_unique_beginning_of_an_id_is_enough(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=1)
    (job,) = lab.store.jobs("resnet")
    assert exs.json("show", job.id[:6])["id"] == job.id
    _, err = exs.both("show", "nosuchjob", code=2)
    assert err.startswith("exs: no experiment or job 'nosuchjob'.")


def test_workers_are_listed_even_when_there_are_none(exs: Exs, lab: Lab) -> None:
    assert exs("workers") == "workers: 0 busy, 0 idle\nstart one on each machine: exs worker\n"
    assert exs.json("workers") == {"workers": [], "counts": {"busy": 0, "idle": 0}, "unused_gpus": []}


def test_an_experiment_shows_every_way_in_which_its_jobs_run(exs: Exs, tmp_path: Path) -> None:
    """A file that was pushed, edited and pushed again; one command of bash, one that is executed."""
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text("name: two\ncommand: python train.py --lr {lr} [fast]\nparams: {lr: [1, 2], fast: [true]}\n")
    exs("push", "sweep.yaml")
    sweep.write_text("name: two\ncommand: cat {lr} | sort > '{fast}'\nparams: {lr: [3], fast: [a b]}\ntimeout: 60\n")
    exs("push", "sweep.yaml")
    text = exs("show", "two")
    assert "  command     cat {lr} | sort > '{fast}'\n" in text
    assert "  command     python train.py --lr {lr} [fast]\n" in text
    assert text.index("of the last push") < text.index("cat {lr}") < text.index("python train.py")
    assert [spec["timeout"] for spec in exs.json("show", "two")["specs"]] == [60, None]
