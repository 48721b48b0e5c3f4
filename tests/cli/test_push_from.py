"""`exs push --from`: a new experiment made of one that is there, as a push of its file would have made it."""

from __future__ import annotations

import pytest

from cli.lab import Exs, Lab
from exs.model import Failure, JobState
from exs.rows import JobRow
from exs.store import keys

S = JobState
SWEEP = """
name: tune
command: 'true --lr {lr} --seed {seed} {model}'
params: {lr: [0.1, 0.2], seed: [1, 2], model: r50}
resources: {gpus: 1, pool: big}
priority: 7
retries: 3
max_running: 2
lost_after: 2h
preemptible: false
canary: 1
breaker: false
env: {WANDB_API_KEY: hush-hush, MODE: fast}
secrets: [WANDB_API_KEY]
on_failure: {timeout: fail}
"""
SETTINGS = ("pool", "priority", "retries", "max_running", "lost_after", "preemptible", "canary", "breaker", "source")


@pytest.fixture
def pushed(exs: Exs, lab: Lab) -> list[JobRow]:
    (exs.cwd / "tune.yaml").write_text(SWEEP)
    exs("push", "tune.yaml")
    return lab.store.jobs("tune")


def points(rows: list[JobRow]) -> list[tuple[object, str]]:
    return [(row.params, row.name) for row in rows]


def planned(exs: Exs, *words: str) -> tuple[int, int, int]:
    counts = exs.json("plan", "tune.yaml", *words)
    return counts["new"], counts["queued"], counts["gone"]


def test_everything_of_the_first_is_in_the_second(exs: Exs, lab: Lab, pushed: list[JobRow]) -> None:
    said, err = exs.both("push", "--from", "tune")
    assert "tune-2" in said and "hush-hush" not in said + err + exs("show", "tune-2/0")
    old, new = lab.store.experiment("tune"), lab.store.experiment("tune-2")
    assert [getattr(new, name) for name in SETTINGS] == [getattr(old, name) for name in SETTINGS]
    assert new.lost_after == 7200 and not new.breaker and list(new.needs.values()) == list(old.needs.values())
    rows = lab.store.jobs("tune-2")
    assert points(rows) == points(pushed) and {row.state for row in rows} == {S.QUEUED}
    assert {row.spec for row in rows} == {row.spec for row in pushed}
    spec = lab.store.spec("tune-2", rows[0].spec)
    assert spec.env["WANDB_API_KEY"] == "hush-hush" and spec.secrets == ["WANDB_API_KEY"]
    assert planned(exs, "--name", "tune-2") == (0, 4, 0)
    exs("push", "--from", "tune")
    assert lab.store.experiment("tune-3").jobs == 4
    assert lab.store.audit() == []


def test_overrides_are_those_of_the_file(exs: Exs, lab: Lab, pushed: list[JobRow]) -> None:
    more = ("--name", "next", "-o", "params.lr=0.3,0.5", "-o", "seed=1,2,3")
    said = exs.json("push", "--from", "tune", *more)
    assert (said["new"], said["duplicates"]) == (6, 18)
    assert planned(exs, *more) == (0, 6, 0)
    assert [row.name for row in lab.store.jobs("next")][:2] == ["Lr_0.3-Seed_1", "Lr_0.3-Seed_2"]
    exs("push", "--from", "tune/1", "-o", "model=r101")
    assert points(lab.store.jobs("tune-2")) == [({"lr": 0.1, "seed": 2, "model": "r101"}, "Lr_0.1-Seed_2-Model_r101")]


def test_what_it_cannot_do_is_one_sentence_and_pushes_nothing(exs: Exs, lab: Lab, pushed: list[JobRow]) -> None:
    def refused(*words: str, code: int = 2) -> str:
        return exs.both("push", *words, code=code)[1]

    assert "experiment tune has no parameter 'sed'" in (err := refused("--from", "tune", "-o", "sed=3"))
    assert "Did you mean 'seed'?" in err
    assert "has no parameter 'lrr'" in refused("--from", "tune", "-o", "params.lrr=3")
    assert "names no parameter" in refused("--from", "tune", "-o", "params=3")
    assert "at random" in refused("--from", "tune", "-o", "lr={uniform: [0, 1]}")
    assert "Did you mean tune?" in refused("--from", "tun")
    assert "a sweep was given too" in refused("tune.yaml", "--from", "tune")
    assert "It goes with" in refused("--from", "tune", "--into")
    assert "It goes with" in refused("--from", "tune", "--sample", "2")
    assert "tune is there already" in refused("--from", "tune", "--name", "tune", code=4)
    exs("add", "hand", "manual")
    assert "jobs by hand" in refused("--from", "hand", code=4)
    assert [row.name for row in lab.store.experiments()] == ["tune", "hand"]


def test_jobs_of_several_ways_are_taken_one_way_at_a_time(exs: Exs, lab: Lab, pushed: list[JobRow]) -> None:
    exs("edit", "tune/2-3", "--command", "echo {lr} {seed} {model}")
    _, err = exs.both("push", "--from", "tune", code=4)
    assert "run in 2 ways" in err and "exs push --from tune/0-1" in err
    exs("push", "--from", "tune/2-3")
    rows = lab.store.jobs("tune-2")
    assert points(rows) == points(pushed[2:])
    assert "echo 0.2 1 r50" in exs("show", "tune-2/0")


def test_repeats_and_jobs_by_hand_stay_apart(exs: Exs, lab: Lab) -> None:
    (exs.cwd / "r.yaml").write_text("name: again\ncommand: 'true {lr}'\nparams: {lr: [1]}\nrepeat: 2\n")
    exs("push", "r.yaml")
    exs("push", "again", "-p", "lr", "1")
    exs("push", "--from", "again", "-o", "lr=2")
    assert [row.name for row in lab.store.jobs("again-2")] == ["Lr_2-r0", "Lr_2-r1", "Lr_2"]
    assert "+0 new" in (out := exs("plan", "r.yaml", "--name", "again-2", "-o", "lr=2")) or "new" not in out


def test_its_code_stays_when_the_first_is_removed(exs: Exs, lab: Lab, pushed: list[JobRow]) -> None:
    (exs.cwd / "src").mkdir()
    (exs.cwd / "src" / "train.py").write_text("print('as pushed')\n")
    exs("push", "tune.yaml", "src", "--name", "coded")
    exs("push", "--from", "coded")
    exs("rm", "coded", "-f")
    lab.store.sweep_capsules(0)
    exs("checkout", "coded-2/0", "back")
    assert (exs.cwd / "back" / "train.py").read_text() == "print('as pushed')\n"
    lab.store._client.delete(keys.CAPSULE + lab.store.spec("coded-2", lab.store.jobs("coded-2")[0].spec).capsule)
    assert "not in Redis any more" in exs.both("push", "--from", "coded-2", code=2)[1]
    assert [row.name for row in lab.store.experiments()] == ["tune", "coded-2"]


def test_what_failures_made_of_a_job_is_not_taken_along(exs: Exs, lab: Lab) -> None:
    lab.push("moved", jobs=1, retries=2)
    lab.end(lab.claim(), S.CRASHED, failure=Failure.ERROR, exclude_node=True)
    assert lab.store.jobs("moved")[0].excluded == ("laptop",)
    exs("push", "--from", "moved")
    assert [needs.exclude_nodes for needs in lab.store.experiment("moved-2").needs.values() if needs] == [()]
    assert lab.store.jobs("moved-2")[0].excluded == ()
