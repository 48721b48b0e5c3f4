"""Jobs are moved inside their experiment."""

from __future__ import annotations

import random

import pytest

from exs.answers import Change
from exs.errors import InputError
from exs.model import JobState, Resources, Update
from exs.store import keys
from store.actors import CRASHED, Lab


def move(lab: Lab, job: int | str, operation: str, other: int | str = "") -> Change:
    """Move one job of `e`, each named by its index or id."""
    target, value = (f"e/{word}" if isinstance(word, int) else word for word in (job, other))
    (change,) = lab.store.update([Update(target, operation, value)])
    return change


def listed(lab: Lab) -> list[int]:
    """What waits in e's first queue, by index, in order."""
    index = {row.id: row.index for row in lab.store.jobs("e")}
    return [index[job] for job in lab.client.lrange(keys.RQ_QUEUE + "e", 0, -1)]


def claimed(lab: Lab, **offer: object) -> list[int]:
    slot = lab.slot("taker", **offer)
    found: list[int] = []
    while claim := slot.claim():
        found.append(claim.index)
        slot.finish()
    return found


@pytest.mark.parametrize(
    ("job", "operation", "other", "after"),
    [
        (4, "ahead-of", 1, [0, 4, 1, 2, 3]),
        (0, "behind-of", 3, [1, 2, 3, 0, 4]),
        (1, "behind-of", 4, [0, 2, 3, 4, 1]),
        (3, "to-top", "", [3, 0, 1, 2, 4]),
        (2, "ahead-of", 3, [0, 1, 2, 3, 4]),
        (2, "behind-of", 1, [0, 1, 2, 3, 4]),
        (2, "ahead-of", 2, [0, 1, 2, 3, 4]),
        (0, "to-top", "", [0, 1, 2, 3, 4]),
    ],
)
def test_a_moved_job_is_claimed_in_its_new_place(
    lab: Lab, job: int, operation: str, other: int | str, after: list[int]
) -> None:
    lab.push(*range(5))
    assert move(lab, job, operation, other).moved is (after != [0, 1, 2, 3, 4])
    assert claimed(lab) == after
    assert lab.store.audit() == []


def test_by_ids_and_their_beginnings(lab: Lab) -> None:
    lab.push(*range(3))
    ids = lab.ids()
    change = move(lab, ids[2], "ahead-of", ids[0][:6])
    assert (change.subject, change.beside, change.moved) == ("e/2", "e/0", True)
    assert listed(lab) == [2, 0, 1]


def test_a_later_push_stands_behind_and_a_moved_job_keeps_its_index(lab: Lab) -> None:
    lab.push(*range(3))
    for _ in range(60):
        move(lab, 0, "behind-of", 2)
        move(lab, 1, "behind-of", 0)
        move(lab, 2, "behind-of", 1)
    lab.push(*range(5))
    assert listed(lab) == [0, 1, 2, 3, 4]
    assert [row.index for row in lab.store.jobs("e")] == [0, 1, 2, 3, 4]


def test_over_the_shapes_of_an_experiment(lab: Lab) -> None:
    lab.push(0, 1, resources=Resources(gpus=1))
    lab.push(2, 3, resources=Resources())
    move(lab, 3, "ahead-of", 1)
    move(lab, 0, "behind-of", 2)
    assert claimed(lab, gpus=("0",)) == [3, 1, 2, 0]
    assert lab.store.audit() == []


def test_a_place_is_kept_through_pause_release_and_loss(lab: Lab) -> None:
    lab.push(*range(6))
    move(lab, 5, "ahead-of", 2)
    move(lab, 0, "behind-of", 4)
    job = lab.ids()[5]
    lab.store.pause([job], "ann")
    assert listed(lab) == [1, 2, 3, 4, 0]
    lab.store.activate([job])
    assert listed(lab) == [1, 5, 2, 3, 4, 0]
    slot = lab.slot()
    slot.must_claim()
    slot.must_claim()
    slot.release()
    assert listed(lab) == [5, 2, 3, 4, 0]


def test_what_was_put_back_to_the_front_does_not_hide_others(lab: Lab) -> None:
    lab.push(*range(1500))
    lab.store.cancel(lab.ids()[1400:1402])
    lab.store.retry(lab.ids()[1400:1402])
    places = list(lab.client.lrange(keys.RQ_QUEUE + "e", 0, -1))
    stands = [
        float(lab.client.hget(keys.RQ_JOB + job, "po") or lab.client.hget(keys.RQ_JOB + job, "ix")) for job in places
    ]
    assert stands == sorted(stands) and listed(lab)[:3] == [1400, 1401, 0]


@pytest.mark.parametrize("started", ["running", "done", "later"])
def test_beside_one_that_does_not_wait_is_first(lab: Lab, started: str) -> None:
    lab.push(*range(4), retries=1)
    slot = lab.slot()
    slot.must_claim()
    if started == "done":
        slot.finish()
    elif started == "later":
        slot.finish(CRASHED)
    change = move(lab, 3, "behind-of", 0)
    assert change.first and change.moved
    assert listed(lab) == [3, 1, 2]
    assert move(lab, 0, "ahead-of", 1).moved is False
    assert lab.store.audit() == []


def test_of_two_that_run_the_one_that_stood_first_is_not_stopped(lab: Lab) -> None:
    lab.store.set_pool("default", preemption=True)
    lab.push(*range(4))
    move(lab, 3, "to-top")
    first, second = lab.slot("s1", node="n"), lab.slot("s2", node="n")
    assert (first.must_claim().index, second.must_claim().index) == (3, 0)
    lab.push(1, name="urgent", priority=1)
    assert (first.renew()[1], second.renew()[1]) == ("", "preempt")


def test_a_job_has_a_place_and_nothing_else(lab: Lab) -> None:
    lab.push(0, 1)
    lab.push(0, 1, name="other")
    for operation, value, said in (
        ("priority", "1", "of a job only the place"),
        ("ahead-of", "other", "one is an experiment and the other a job"),
        ("ahead-of", "other/0", "jobs of two experiments"),
        ("ahead-of", "e/7", "no experiment or job 'e/7'"),
    ):
        with pytest.raises(InputError, match=said):
            move(lab, 1, operation, value)
    with pytest.raises(InputError, match="one is an experiment"):
        lab.store.update([Update("other", "ahead-of", "e/0")])
    assert listed(lab) == [0, 1]


@pytest.mark.parametrize("size", [12, 1200])
def test_thousands_of_moves_keep_the_order_they_say(lab: Lab, size: int) -> None:
    """1200: more than are looked through one by one."""
    lab.push(*range(size))
    chance = random.Random(size)
    expected = list(range(size))
    few = chance.sample(expected, 4)
    for _ in range(15):
        batch = []
        for _ in range(100):
            job, other = chance.sample(chance.choice((expected, few)), 2)
            operation = chance.choice(("ahead-of", "behind-of", "to-top"))
            batch.append(Update(f"e/{job}", operation, "" if operation == "to-top" else f"e/{other}"))
            expected.remove(job)
            at = 0 if operation == "to-top" else expected.index(other) + (operation == "behind-of")
            expected.insert(at, job)
        lab.store.update(batch)
        assert listed(lab) == expected
    lab.store.cancel([row.id for row in lab.store.jobs("e") if row.index % 2])
    assert listed(lab) == [job for job in expected if job % 2 == 0]
    assert {row.state for row in lab.store.jobs("e")} == {JobState.QUEUED, JobState.CANCELED}
    assert lab.store.audit() == []
