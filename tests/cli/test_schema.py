"""A queue of another version of exs: every command says so, in one sentence, and leaves it alone (F53)."""

from __future__ import annotations

import pytest

from cli.lab import Exs, Lab
from exs.store import keys
from exs.store.store import Store


@pytest.fixture
def newer(exs: Exs, lab: Lab, store: Store) -> Exs:
    """A shell on a queue that a newer exs made."""
    lab.push("resnet", jobs=1)
    store._client.set(keys.SCHEMA, "2")
    (exs.cwd / "s.yaml").write_text("command: echo\n")
    return exs


@pytest.mark.fault(53)
@pytest.mark.parametrize(
    "words",
    [
        ("list",), ("list", "-t", "resnet"), ("show", "resnet/0"), ("push", "s.yaml"), ("plan", "s.yaml"), ("workers",),
        ("wait", "resnet"), ("cancel", "resnet"), ("retry", "resnet"), ("rm", "-f", "resnet"), ("logs", "resnet/0"),
        ("worker", "--cpus", "1"), ("run", "--cpus", "1", "s.yaml"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_f53_it_is_one_sentence(newer: Exs, words: tuple[str, ...]) -> None:
    out, err = newer.both(*words, code=4)
    assert out == ""
    assert err.splitlines() == [
        "exs: this Redis holds a queue of schema 2, and this exs speaks 1.",
        "     Use the same version of exs on every machine: pip install --upgrade exs",
    ]
