"""Drain and enable: who gets no job although it lives, and who is not woken for one."""

from __future__ import annotations

import json

import pytest

from exs.errors import InputError
from exs.model import JobState
from exs.store import keys
from exs.store.push import new_id
from store.actors import DONE, Lab, Slot


def slot(lab: Lab, node: str = "gpu01", suffix: str = "gpu0", process: str = "1a2b") -> Slot:
    return lab.slot(f"{node}:{suffix}@{process}", node=node)


def test_a_drained_slot_finishes_its_job_and_gets_no_other(lab: Lab) -> None:
    lab.push(*range(4))
    first, second = slot(lab), slot(lab, suffix="gpu1")
    held = first.must_claim()
    ((drain, what),) = lab.store.drain(["gpu01:gpu0"], "ann", why="fan is loud")
    assert (what, drain.place, drain.by, drain.why, drain.kind) == ("new", "gpu01:gpu0", "ann", "fan is loud", "drain")
    assert abs(drain.at - lab.store.now()) < 5
    assert first.held is held
    fence, claim = lab.store.finish_and_claim(held.job, held.attempt, DONE, first.offer, new_id())
    assert (fence.value, claim) == ("ours", None)
    assert first.claim() is None
    assert second.must_claim().index == 1


def test_a_drained_node_gives_none_of_its_slots_a_job_at_whatever_start(lab: Lab) -> None:
    lab.push(*range(4))
    lab.store.drain(["gpu01"], "ann")
    assert slot(lab).claim() is None
    assert slot(lab, suffix="gpu1").claim() is None
    lab.store.slot_dead(["gpu01:gpu0@1a2b"], "its slot left")
    assert slot(lab, process="ffff").claim() is None
    assert slot(lab, node="gpu011").must_claim().index == 0
    assert lab.states() == ["RUNNING", "QUEUED", "QUEUED", "QUEUED"]


def test_nobody_wakes_a_drained_slot_instead_of_one_that_can_work(lab: Lab) -> None:
    out, good = slot(lab), slot(lab, node="gpu02")
    assert out.claim() is None
    lab.store.drain(["gpu01"], "ann")
    assert out.claim() is None
    assert good.claim() is None
    lab.push(1)
    assert lab.client.llen(keys.WAKE + good.offer.slot) == 1
    assert lab.client.llen(keys.WAKE + out.offer.slot) == 0


def test_enable_wakes_the_slots_at_once(lab: Lab) -> None:
    lab.push(1)
    out = slot(lab)
    lab.store.drain(["gpu01", "gpu01:gpu0"], "ann")
    assert out.claim() is None
    assert [drain.place for drain in sorted(lab.store.enable(["gpu01"]), key=lambda d: d.place)] == [
        "gpu01",
        "gpu01:gpu0",
    ]
    assert lab.store.claim_when_woken(out.offer, new_id(), 20.0) is not None
    assert lab.store.enable(["gpu01"]) == []
    assert not lab.client.exists(keys.DRAINED)


def test_to_enable_a_slot_leaves_its_node_and_its_neighbours_as_they_are(lab: Lab) -> None:
    lab.store.drain(["gpu01:gpu0", "gpu01:gpu01", "gpu011"], "ann")
    assert [drain.place for drain in lab.store.enable(["gpu01:gpu0"])] == ["gpu01:gpu0"]
    assert set(lab.client.hkeys(keys.DRAINED)) == {"gpu01:gpu01", "gpu011"}


def test_said_again_it_changes_what_is_said_anew_and_nothing_else(lab: Lab) -> None:
    def drain(**options: object) -> tuple[str, str, float]:
        ((found, what),) = lab.store.drain(["gpu01"], "bob", **options)  # type: ignore[arg-type]
        assert found.by == "ann"
        return what, found.why, found.stop_at

    lab.store.drain(["gpu01"], "ann", why="dust")
    assert drain() == ("same", "dust", 0.0)
    what, why, stop = drain(grace=600.0)
    assert (what, why) == ("changed", "dust")
    assert 590 < stop - lab.store.now() <= 600
    assert drain(why="more dust") == ("changed", "more dust", stop)
    assert drain(why="more dust") == ("same", "more dust", stop)
    assert drain(after_current=True) == ("changed", "more dust", 0.0)


def test_a_person_takes_over_what_the_breaker_drained(lab: Lab) -> None:
    record = {"why": "5 jobs failed here", "by": "breaker", "at": 1, "kind": "quarantine", "until": 1 << 50}
    lab.client.hset(keys.DRAINED, "gpu01", json.dumps(record))
    ((drain, what),) = lab.store.drain(["gpu01"], "ann")
    assert (what, drain.by, drain.kind, drain.until) == ("changed", "ann", "drain", 0.0)
    assert drain.why == "5 jobs failed here"


@pytest.mark.parametrize(
    ("record", "takes"),
    [
        ("{}", False),
        ("no JSON", False),
        ('{"until": 1}', True),  # over by itself
        ('{"until": 1e15}', False),
        ('{"until": "x", "why": 3, "at": "x", "by": []}', False),
    ],
)
def test_a_drain_that_cannot_be_read_drains_all_the_same(lab: Lab, record: str, takes: bool) -> None:
    lab.push(1)
    lab.client.hset(keys.DRAINED, "gpu01", record)
    one = slot(lab)
    assert (one.claim() is not None) is takes
    (row,) = lab.store.workers()
    assert row.state == ("busy" if takes else "drained")
    assert (row.drain is None) is takes
    lab.store.drain(["gpu01"], "ann", why="x")
    assert lab.store.enable(["gpu01"])[0].why == "x"


def test_lists_say_what_is_drained(lab: Lab) -> None:
    lab.push(*range(2))
    slot(lab).must_claim()
    slot(lab, suffix="gpu1").must_claim()
    slot(lab, node="gpu02").claim()
    lab.store.drain(["gpu01:gpu0", "gpu02"], "ann", why="dust")
    rows = {row.lasting: row for row in lab.store.workers()}
    assert {name: row.state for name, row in rows.items()} == {
        "gpu01:gpu0": "draining",
        "gpu01:gpu1": "busy",
        "gpu02:gpu0": "drained",
    }
    drain = rows["gpu02:gpu0"].drain
    assert drain is not None and (drain.place, drain.why) == ("gpu02", "dust")
    assert rows["gpu01:gpu1"].drain is None
    assert rows["gpu01:gpu1"].job_started_at == pytest.approx(lab.store.now(), abs=5)


def test_a_reason_is_one_line_of_a_list(lab: Lab) -> None:
    with pytest.raises(InputError, match="201 characters"):
        lab.store.drain(["gpu01"], "ann", why="x" * 201)
    assert not lab.client.exists(keys.DRAINED)


def test_a_suspended_queue_is_suspended_whoever_is_drained(lab: Lab) -> None:
    lab.push(1)
    lab.store.drain(["gpu02"], "ann")
    lab.client.set(keys.RQ_SUSPENDED, "1")
    one = slot(lab)
    assert one.claim() is None
    lab.client.delete(keys.RQ_SUSPENDED)
    assert one.must_claim()
    assert lab.states() == [JobState.RUNNING.value]


def test_what_runs_is_asked_to_stop_once_its_time_is_up(lab: Lab) -> None:
    lab.push(*range(2))
    first, second = slot(lab), slot(lab, suffix="gpu1")
    jobs = [first.must_claim().job, second.must_claim().job]
    lab.store.drain(["gpu01:gpu0"], "ann", grace=600)
    lab.reap()
    assert [lab.store.job(job).want for job in jobs] == ["", ""]
    record = json.loads(lab.client.hget(keys.DRAINED, "gpu01:gpu0") or "{}")
    lab.client.hset(keys.DRAINED, "gpu01:gpu0", json.dumps({**record, "stop": 1}))
    lab.reap()
    assert [lab.store.job(job).want for job in jobs] == ["preempt", ""]
    assert first.release().value == "ours"
    assert lab.state(jobs[0]) is JobState.QUEUED
    lab.store.enable(["gpu01"])
    assert first.must_claim().job == jobs[0]
    lab.store.drain(["gpu01"], "ann")
    lab.reap()
    assert [lab.store.job(job).want for job in jobs] == ["", ""]
    lab.store.drain(["gpu01"], "ann", grace=0)
    assert [lab.store.job(job).want for job in jobs] == ["preempt", "preempt"]
