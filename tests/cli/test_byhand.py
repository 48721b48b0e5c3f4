"""`exs push NAME -p x 1 y 2`: one job by hand, for an experiment that is there."""

from __future__ import annotations

import pytest

from cli.lab import Exs, Lab
from exs.settings import Limits


@pytest.fixture
def resnet(exs: Exs) -> Exs:
    (exs.cwd / "sweep.yaml").write_text(
        "name: resnet\ncommand: echo {lr} {seed}\nparams: {lr: [0.1, 0.01], seed: 1}\nretries: 3\npriority: 7\n"
    )
    exs("push", "sweep.yaml")
    return exs


def test_it_is_one_job_more_and_the_same_again_is_another(resnet: Exs, lab: Lab) -> None:
    resnet("push", "resnet", "-p", "lr", "0.3", "seed", "2")
    assert resnet("push", "resnet", "-p", "lr", "0.3", "seed", "2").startswith("pushed resnet: +1 new\n")
    rows = lab.store.jobs("resnet")
    assert [dict(row.params) for row in rows[2:]] == [{"lr": 0.3, "seed": 2}] * 2
    assert [row.index for row in rows] == [0, 1, 2, 3]
    assert lab.store.audit() == []


def test_the_experiment_keeps_its_settings(resnet: Exs, lab: Lab) -> None:
    before = lab.store.experiment("resnet")
    resnet("push", "resnet", "-p", "lr", "1", "seed", "2")
    after = lab.store.experiment("resnet")
    assert (after.retries, after.priority, after.source) == (3, 7, before.source)
    assert after.jobs == before.jobs + 1


def test_values_are_json_and_a_bare_word_is_text(resnet: Exs, lab: Lab) -> None:
    resnet("push", "resnet", "-p", "lr", "-1e-3", "seed", '"1"')
    resnet("push", "resnet", "-q", "-p", "lr", "auto", "seed", "[1,2]")
    assert [dict(row.params) for row in lab.store.jobs("resnet")[2:]] == [
        {"lr": -0.001, "seed": "1"},
        {"lr": "auto", "seed": [1, 2]},
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("push", "resnet", "-p", "lr", "1"), "the command of resnet needs seed"),
        (("push", "resnet", "-p", "lr"), "'lr' has no value"),
        (("push", "resnet", "-p"), "-p has no parameters"),
        (("push", "resnet", "-p", "lr", "1", "lr", "2"), "gives 'lr' twice"),
        (("push", "resnet", "-p", "lr", "null", "seed", "2"), "-p: parameter lr is null"),
        (("push", "resnet", "-p", "lr", "[" * 5000, "seed", "2"), "-p lr: is nested deeper than 50 levels"),
        (("push", "resnet", "-p", "lr", "9" * 5000, "seed", "2"), "-p lr: a number of 5,000 characters is too long"),
        (("push", "resnet", "-p", "lr", "1e999", "seed", "2"), "-p lr: '1e999' is not a finite number"),
        (("push", "resnet", "-p", "lr", '"\\0"', "seed", "2"), "-p lr: a text with a NUL"),
        (("push", "resnet", "-p", "lr", "1", "seed", "2", "_name", "x"), "-p: '_name' is what exs itself fills in"),
        (("push", "resnet", "-p", "lr", "1", "seed", "2", "a\x1b", "x"), "-p: 'a\\x1b' cannot name a parameter"),
        (("push", "resnett", "-p", "lr", "1", "seed", "2"), "Did you mean resnet?"),
        (("push", "-p", "lr", "1", "seed", "2"), "none is named"),
    ],
)
def test_what_cannot_be_pushed_gets_a_sentence(resnet: Exs, lab: Lab, words: tuple[str, ...], said: str) -> None:
    _, err = resnet.both(*words, code=2)
    assert said in err
    assert lab.store.experiment("resnet").jobs == 2


def test_long_values_still_name_a_directory(resnet: Exs, lab: Lab) -> None:
    more = [word for name in "abc" for word in (name, name * 99)]
    resnet("push", "resnet", "-p", "lr", "1", "seed", "2", *more)
    assert len(lab.store.jobs("resnet")[2].name) == Limits.directory_chars
