"""What a push, and a plan, says of jobs of older code, and which of them it queues again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exs.answers import OlderCode
from exs.model import FORCED, IF_CODE_CHANGED, JobState, Spec
from exs.settings import Limits, Settings
from exs.store import keys
from exs.store.records import spec_text
from exs.store.store import Store, open_store
from store.actors import CRASHED, DONE, ME, PRUNED, SPEC, Lab, points

S = JobState
OLD, NEW, NONE = replace(SPEC, capsule="1" * 64), replace(SPEC, capsule="2" * 64), SPEC


def queued(lab: Lab, name: str = "e") -> list[int]:
    return [row.index for row in lab.store.jobs(name, states=[S.QUEUED])]


@pytest.fixture
def ran(lab: Lab) -> Lab:
    """Jobs 0 to 5 of old code: done, pruned, crashed, canceled, two that wait; 6 and 7 of new code: done, crashed."""
    lab.push(6, 7, spec=NEW, code="new")
    slot = lab.slot()
    slot.must_claim()
    slot.finish(DONE)
    slot.must_claim()
    slot.finish(CRASHED)
    lab.push(*range(6), spec=OLD, code="old")
    for outcome in (DONE, PRUNED, CRASHED):
        slot.must_claim()
        slot.finish(outcome)
    lab.store.cancel([row.id for row in lab.store.jobs("e") if row.params["i"] == 3])
    return lab


@pytest.mark.parametrize("batch", [3, 500])
def test_what_is_of_older_code_is_told_and_queued_again_on_demand(ran: Lab, queue_url: str, batch: int) -> None:
    store = open_store(queue_url, Settings(limits=Limits(push_batch=batch)))
    wanted = list(points(*range(10)))

    def planned(**more: object) -> object:
        return store.plan("e", wanted, ME, spec=NEW, code="new", **more)  # type: ignore[arg-type]

    found = planned()
    assert found == replace(store.plan("e", wanted, ME), older=OlderCode(queued=2, done=2, crashed=1, canceled=1))
    foreseen = planned(again=IF_CODE_CHANGED)
    again = store.push("e", NEW, wanted, ME, code="new", again=IF_CODE_CHANGED)
    assert replace(again, first_ids=(), id="") == foreseen
    assert (again.new, again.forced, again.queued, again.done, again.crashed, again.canceled) == (2, 3, 2, 1, 1, 1)
    assert again.older == OlderCode(queued=2, canceled=1)
    rows = {row.params["i"]: row for row in ran.store.jobs("e")}
    ways = {i: ran.store.spec("e", row.spec).capsule[0] for i, row in rows.items()}
    assert {i for i, way in ways.items() if way == "1"} == {3, 4, 5}  # what waits, and what a person ended
    assert {i for i, row in rows.items() if row.state is S.QUEUED} == {0, 1, 2, 4, 5, 8, 9}
    assert ran.store.experiment("e").spec == spec_text(NEW)[1]
    once_more = store.push("e", NEW, wanted, ME, code="new", again=IF_CODE_CHANGED)
    assert (once_more.new, once_more.forced, once_more.queued) == (0, 0, 7)
    assert once_more.older == OlderCode(queued=2, canceled=1)
    assert ran.store.audit() == []


def test_what_runs_again_runs_every_command_with_the_code_of_that_push(ran: Lab) -> None:
    ran.store.cancel([row.id for row in ran.store.jobs("e", states=[S.QUEUED])])
    ran.push(*range(8), spec=NEW, code="new", again=IF_CODE_CHANGED)
    slot = ran.slot()
    for _ in range(3):
        claim = slot.must_claim()
        assert claim.force and ran.store.spec("e", claim.spec).capsule == NEW.capsule
        slot.finish(DONE)
    assert slot.claim() is None
    newest = replace(SPEC, capsule="3" * 64)
    assert ran.push(*range(8), spec=newest, code="newest", again=FORCED).forced == 4
    assert ran.store.spec("e", slot.must_claim().spec).capsule == newest.capsule


def test_many_that_run_again_keep_their_order(lab: Lab) -> None:
    count = 130
    lab.push(*range(count), spec=OLD, code="old")
    slot = lab.slot()
    for _ in range(count):
        slot.must_claim()
        slot.finish(DONE)
    assert lab.push(*range(count), spec=NEW, code="new", again=IF_CODE_CHANGED).forced == count
    assert [slot.must_claim().index for _ in range(3)] == [0, 1, 2]
    assert lab.store.audit() == []


@pytest.mark.parametrize(
    ("first", "code", "then", "code_then", "older"),
    [
        (OLD, "old", NEW, "new", 1),
        (OLD, "same", NEW, "same", 0),  # the same files, packed at another commit
        (OLD, "old", OLD, "new", 0),  # the same capsule, pushed from two sweep files in it
        (NONE, "", NEW, "new", 0),
        (OLD, "", NEW, "new", 0),  # by an exs that noted nothing
    ],
)
def test_only_what_is_known_to_differ_is_older(
    lab: Lab, first: Spec, code: str, then: Spec, code_then: str, older: int
) -> None:
    lab.push(0, spec=first, code=code)
    lab.slot().must_claim()
    assert lab.store.plan("e", points(0), ME, spec=then, code=code_then).older == OlderCode(queued=older)
    assert lab.push(0, spec=then, code=code_then).older == OlderCode(queued=older)


def test_without_code_nothing_is_said(lab: Lab) -> None:
    lab.push(0, spec=OLD, code="old")
    assert lab.store.plan("e", points(0), ME, spec=NONE).older is None
    assert lab.push(0, spec=NONE).older is None


def test_an_edited_job_is_of_the_code_of_its_push(lab: Lab, store: Store) -> None:
    lab.push(0, spec=OLD, code="old")
    (row,) = store.jobs("e")
    store.edit(row.id, (row.point, row.spec), {"i": 0}, row.name, row.point, replace(OLD, env={"A": "b"}))
    assert store.plan("e", points(0), ME, spec=NEW, code="new").older == OlderCode(queued=1)
    assert store.code("e", store.jobs("e")[0].spec) == "old"


def test_it_goes_with_its_experiment(lab: Lab) -> None:
    lab.push(0, spec=OLD, code="old")
    assert lab.client.exists(keys.CODES + "e")
    lab.store.remove(lab.ids())
    lab.store.remove_experiment("e")
    assert not lab.client.exists(keys.CODES + "e")
