"""A queue that an older exs left must go on; one of another schema is left alone, by everybody (F53)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exs.errors import EXIT_REFUSED, ExsError, OtherSchema
from exs.model import Fenced, JobState
from exs.store import keys
from store.actors import DONE, Lab
from store.dump import load, take

DATA = Path(__file__).parents[1] / "data"
S = JobState


@pytest.fixture
def old(lab: Lab) -> Lab:
    """The queue that was dumped when this schema was new; there must be one."""
    file = DATA / f"queue-of-schema-{keys.SCHEMA_VERSION}.json"
    load(lab.client, json.loads(file.read_text(encoding="utf-8")))
    return lab


def test_a_dump_is_what_was_loaded(old: Lab) -> None:
    file = DATA / f"queue-of-schema-{keys.SCHEMA_VERSION}.json"
    assert take(old.client) == json.loads(file.read_text(encoding="utf-8"))


def test_an_old_queue_lists(old: Lab) -> None:
    found = {row.name: row for row in old.store.experiments()}
    assert {name: row.jobs for name, row in found.items()} == {"resnet": 12, "by-hand": 2, "other": 3}
    assert (found["resnet"].priority, found["resnet"].retries, found["other"].max_running) == (20, 1, 1)
    assert old.states("resnet") == [
        "DONE", "PRUNED", "CRASHED", "CANCELED", "QUEUED", "RUNNING", "QUEUED", "QUEUED", "CANCELED", *["QUEUED"] * 3,
    ]  # fmt: skip
    done, _, crashed, *_ = old.store.jobs("resnet")
    assert (done.result, done.params, done.directory) == ({"loss": 0.5}, {"i": 0}, "/run/x")
    assert (crashed.attempts, crashed.exit_code, crashed.tail) == (2, 3, "Traceback")
    assert len(old.store.job(crashed.id).history) == 1
    assert old.store.audit() == []
    assert [row.name for row in old.store.workers()] == ["gpu1:gpu0@a1b2"]


@pytest.mark.fault(53)
def test_an_old_queue_runs_to_its_end(old: Lab) -> None:
    """What ran when it was dumped ran on a node that is gone; the rest is claimed, run and stored as ever."""
    (running,) = (row.id for row in old.store.jobs("resnet", states=[S.RUNNING]))
    old.silence(running, 3600)
    assert old.reap() == 1
    assert old.state(running) is S.QUEUED
    old.hasten()
    slot = old.slot("s9", gpus=("0", "1"), gpu_memory=80 << 30)
    order = []
    while claim := slot.claim():
        order.append((claim.experiment, claim.index))
        assert old.store.spec(claim.experiment, claim.spec).commands
        assert slot.renew() == (Fenced.OURS, "")
        assert slot.finish(DONE) is Fenced.OURS
    assert sorted(order) == [("other", n) for n in range(3)] + [("resnet", n) for n in (4, 5, 6, 7, 9, 10, 11)]
    assert old.store.audit() == []


def test_an_old_queue_is_steered(old: Lab) -> None:
    again = old.push(0, 2, 50, name="resnet", retries=1)
    assert (again.new, again.done, again.crashed) == (1, 1, 1)
    crashed = [row.id for row in old.store.jobs("resnet", states=[S.CRASHED])]
    old.store.retry(crashed)
    assert old.state(crashed[0]) is S.QUEUED
    old.store.cancel([row.id for row in old.store.jobs("other")])
    assert old.states("other") == ["CANCELED"] * 3
    old.store.remove(old.ids("other"))
    assert old.store.remove_experiment("other")
    assert [row.name for row in old.store.experiments()] == ["resnet", "by-hand"]
    assert old.store.audit() == []


@pytest.mark.fault(53)
def test_nobody_touches_a_queue_of_another_schema(old: Lab) -> None:
    """Not even a slot that has been connected since before the upgrade."""
    store, slot = old.store, old.slot("gpu1:gpu0@a1b2", node="gpu1", boot="boot-1", gpus=("0",))
    (held,) = store.jobs("resnet", states=[S.RUNNING])
    slot.held = slot.claim(held.attempt)
    assert slot.held is not None
    assert slot.held.job == held.id
    old.client.set(keys.SCHEMA, "99")
    before = take(old.client)
    for verb in (
        store.experiments,
        lambda: store.jobs("resnet"),
        lambda: store.job(held.id),
        store.workers,
        lambda: old.push(60),
        lambda: store.cancel([held.id]),
        lambda: store.retry([held.id]),
        lambda: store.remove([held.id]),
        lambda: store.remove_experiment("resnet"),
        lambda: store.node_up("n", "b", "m", 1),
        store.reap,
        lambda: store.claim(slot.offer, "next"),
        slot.renew,
        slot.finish,
        slot.release,
        lambda: store.finish_and_claim(held.id, held.attempt, DONE, slot.offer, "next"),
        lambda: store.slot_dead([slot.offer.slot], "killed"),
    ):
        with pytest.raises(OtherSchema, match=r"holds a queue of schema 99, and this exs speaks 1\."):
            verb()
    assert take(old.client) == before


def test_the_refusal_is_one_of_safety() -> None:
    error: ExsError = OtherSchema("2", "1")
    assert error.exit_code == EXIT_REFUSED
    assert "Use the same version of exs on every machine" in error.hint
