"""`exs edit`: the job becomes what a push of those values would have made of it, under its own id."""

from __future__ import annotations

import json

import pytest

from cli.lab import Exs, Lab
from exs.model import JobState
from exs.rows import JobRow

S = JobState
SWEEP = """
name: tune
command: 'true --lr {lr} --seed {seed} {model}'
params: {lr: [0.1, 0.2], seed: [1, 2], model: r50}
"""


@pytest.fixture
def pushed(exs: Exs, lab: Lab) -> list[JobRow]:
    (exs.cwd / "tune.yaml").write_text(SWEEP)
    exs("push", "tune.yaml")
    return lab.store.jobs("tune")


def test_an_edited_job_is_the_point_that_a_push_of_its_values_makes(exs: Exs, lab: Lab, pushed: list[JobRow]) -> None:
    assert exs("edit", "tune/1", "-p", "lr=0.5") == "edited 1 job: lr=0.5\n"
    row = lab.store.jobs("tune")[1]
    assert (row.id, row.params, row.name) == (pushed[1].id, {"lr": 0.5, "seed": 2, "model": "r50"}, "Lr_0.5-Seed_2")
    assert "+1 new" in exs("plan", "tune.yaml")  # what it was is not there any more
    out = exs("plan", "tune.yaml", "-o", "params.lr=0.5", "-o", "params.seed=2")
    assert "+0 new" in out or "new" not in out, out
    assert exs("edit", "tune/1", "-p", "lr=0.5") == "edited 0 jobs: lr=0.5; 1 job is so already\n"
    assert lab.store.audit() == []


def test_a_constant_becomes_part_of_the_name(exs: Exs, lab: Lab, pushed: list[JobRow]) -> None:
    exs("edit", "tune/0", "-p", "model=r101", "-p", "seed=9")
    assert lab.store.jobs("tune")[0].name == "Lr_0.1-Seed_9-Model_r101"


def test_a_job_that_would_be_the_same_as_another_is_refused(exs: Exs, lab: Lab, pushed: list[JobRow]) -> None:
    _, err = exs.both("edit", "tune/0", "-p", "seed=2", code=2)
    assert "tune/0 would be the same job as tune/1; it was not changed." in err
    _, err = exs.both("edit", "tune", "-p", "seed=7", "-p", "lr=3", code=2)
    assert "tune/0 and tune/1 would be the same job; nothing was changed." in err
    assert [row.point for row in lab.store.jobs("tune")] == [row.point for row in pushed]


def test_another_command_for_all_that_is_not_over(exs: Exs, lab: Lab, pushed: list[JobRow]) -> None:
    lab.end(lab.claim())
    exs("pause", "tune/3")
    said = exs("edit", "tune", "--command", "echo {lr} {seed} {model} | cat")
    assert said == "edited 3 jobs: another command; 1 was over already\n"
    rows = lab.store.jobs("tune")
    assert [row.name for row in rows] == [row.name for row in pushed]
    assert [row.spec == pushed[0].spec for row in rows] == [True, False, False, False]
    assert [row.state for row in rows] == [S.DONE, S.QUEUED, S.QUEUED, S.PAUSED]
    assert "echo 0.2 1 r50 | cat" in exs("show", "tune/2")
    assert lab.store.audit() == []


def test_repeats_keep_their_number(exs: Exs, lab: Lab) -> None:
    (exs.cwd / "r.yaml").write_text("name: again\ncommand: 'true {lr}'\nparams: {lr: [1]}\nrepeat: 3\n")
    exs("push", "r.yaml")
    exs("edit", "again/2", "-p", "lr=2")
    assert [row.name for row in lab.store.jobs("again")] == ["Lr_1-r0", "Lr_1-r1", "Lr_2-r2"]
    exs("edit", "again", "-p", "lr=2")
    assert [row.name for row in lab.store.jobs("again")] == ["Lr_2-r0", "Lr_2-r1", "Lr_2-r2"]
    assert "new" not in exs("plan", "r.yaml", "-o", "params.lr=2").replace("+0 new", "")


def test_a_job_added_by_hand_may_be_the_same_as_another(exs: Exs, lab: Lab, pushed: list[JobRow]) -> None:
    exs("push", "tune", "-p", "lr", "9", "seed", "1", "model", "x")
    assert exs("edit", "tune/4", "-p", "lr=0.1", "-p", "model=r50") == "edited 1 job: lr=0.1 model=r50\n"
    row = lab.store.jobs("tune")[4]
    assert (row.params["lr"], row.point) == (0.1, "")


def test_a_running_job_stops_and_becomes_it_then(exs: Exs, lab: Lab, pushed: list[JobRow]) -> None:
    claim = lab.claim()
    assert exs("edit", "tune/0", "-p", "lr=7") == "asked 1 running job to stop and run anew: lr=7\n"
    assert exs("edit", "tune/0", "-p", "lr=7") == "asked 1 running job to stop and run anew: lr=7\n"
    _, err = exs.both("edit", "tune/0", "-p", "lr=8", code=4)
    assert "edited by somebody else meanwhile" in err
    _, err = exs.both("edit", "tune/2", "-p", "lr=7", code=2)  # the place is taken
    assert "the same job as tune/0" in err
    row = lab.store.jobs("tune")[0]
    assert (row.state, row.params["lr"]) == (S.PAUSING, 0.1)
    assert "run anew as edited" in exs("list", "-t", "tune", "-a")
    lab.store.release(claim.job, claim.attempt, "stopped to be edited", lab.offer())
    row = lab.store.job(claim.job)
    assert (row.state, row.params["lr"], row.name) == (S.QUEUED, 7, "Lr_7-Seed_1")
    again = lab.claim()
    assert (again.job, again.params["lr"], again.force, again.number) == (claim.job, 7, True, 2)
    assert lab.store.audit() == []


def test_what_cannot_be_edited_is_one_sentence(exs: Exs, lab: Lab, pushed: list[JobRow]) -> None:
    lab.end(lab.claim())
    for words, code, sentence in (
        (("tune/0", "-p", "lr=3"), 4, "tune/0 is DONE: what ran stays as it ran."),
        (("tune/1",), 2, "Nothing to change"),
        (("tune/1", "-p", "lr"), 2, "-p 'lr' has no value."),
        (("tune/1", "-p", "lr=1", "-p", "lr=2"), 2, "-p gives 'lr' twice."),
        (("tune/1", "-p", "rl=3"), 2, "tune/1 has no parameter 'rl'."),
        (("tune/1", "-p", "lr=[1"), 2, "-p lr"),
        (("tune/1", "--command", "true {lrr}"), 2, "Did you mean 'lr'?"),
        (("tune/1", "--command", " "), 2, "--command: the command is empty."),
        (("tune/1", "--command", "true {lr}", "-c", "test"), 2, "tune/1 has no command 'test'."),
        (("tune/1", "-c", "test", "-p", "lr=2"), 2, "-c says which command"),
        (("tune/99", "-p", "lr=2"), 2, "has no job 99"),
    ):
        _, err = exs.both("edit", *words, code=code)
        assert sentence in err, err
    assert [row.point for row in lab.store.jobs("tune")] == [row.point for row in pushed]


def test_one_of_several_commands(exs: Exs, lab: Lab) -> None:
    (exs.cwd / "two.yaml").write_text("name: two\ncommands: {a: 'true {x}', b: 'false {x}'}\nparams: {x: [1, 2]}\n")
    exs("push", "two.yaml")
    _, err = exs.both("edit", "two/0", "--command", "echo {x}", code=2)
    assert "two/0 runs 2 commands, and none is named. Name one with -c: a, b." in " ".join(err.split())
    exs("edit", "two/0", "--command", "echo {x}", "-c", "b")
    typed = json.loads(exs("show", "two/0", "--json"))
    assert "echo 1" in json.dumps(typed) and "true 1" in json.dumps(typed)
