"""What a running job tells of itself, in Redis: fenced, whole, harmless when told twice, gone with its job."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from exs.model import Fenced, JobState, Told
from exs.store import keys
from store.actors import CRASHED, DONE, Lab

S = JobState
HERE = {"path": "checkpoints/a", "step": 7}


def field(lab: Lab, job: str, name: str) -> Any:
    return lab.client.hget(keys.RQ_JOB + job, name)


def test_the_next_attempt_is_told_of_the_checkpoint(lab: Lab) -> None:
    lab.push(1, retries=1)
    slot = lab.slot()
    claim = slot.must_claim()
    assert claim.checkpoint == {}
    told = {"checkpoint": HERE, "progress": 0.5, "status": "warm"}
    assert lab.store.report(claim.job, claim.attempt, told) is Told.OURS
    lab.store.slot_dead(["s1"], "killed")
    again = slot.must_claim()
    assert (again.number, again.checkpoint) == (2, HERE)
    assert field(lab, claim.job, "pg") is None and field(lab, claim.job, "ss") is None
    slot.finish(CRASHED)
    lab.hasten()
    assert slot.must_claim().checkpoint == HERE


@pytest.mark.parametrize("end", ["finish", "release", "finish_and_claim"])
def test_what_was_told_last_comes_with_the_end_of_the_attempt(lab: Lab, end: str) -> None:
    lab.push(1, retries=1)
    slot = lab.slot()
    claim = slot.must_claim()
    last = replace(CRASHED, report={"checkpoint": HERE})
    for _ in range(2):  # its reply may be lost
        if end == "finish":
            assert slot.finish(last) is Fenced.OURS
        elif end == "release":
            assert lab.store.release(claim.job, claim.attempt, "why", slot.offer, last) is Fenced.OURS
        else:
            fence, _ = lab.store.finish_and_claim(claim.job, claim.attempt, last, slot.offer, "next")
            assert fence is Fenced.OURS
    lab.hasten()
    assert slot.must_claim().checkpoint == HERE


def test_a_retry_goes_on_and_a_forced_one_begins_anew(lab: Lab) -> None:
    lab.push(1, 2)
    slot = lab.slot()
    for outcome in (CRASHED, DONE):
        slot.must_claim()
        slot.finish(replace(outcome, report={"checkpoint": HERE}))
    crashed, done = lab.ids()
    lab.store.retry([crashed])
    assert slot.must_claim().checkpoint == HERE
    slot.finish(DONE)
    lab.store.retry([done], force=True)
    assert slot.must_claim().checkpoint == {}


def test_a_checkpoint_that_cannot_be_read_is_none(lab: Lab) -> None:
    lab.push(1)
    for broken in ("{", "[]", '"x"', "\0"):
        lab.client.hset(keys.RQ_JOB + lab.ids()[0], "ck", broken)
        slot = lab.slot()
        claim = slot.must_claim()
        assert (claim.checkpoint, claim.problem) == ({}, "")
        slot.release()


def test_who_does_not_hold_the_job_tells_nothing(lab: Lab) -> None:
    lab.push(1)
    slot = lab.slot()
    old = slot.must_claim()
    lab.store.slot_dead(["s1"], "killed")
    claim = lab.slot("s2").must_claim()
    before = lab.client.dump(keys.RQ_JOB + claim.job)
    keys_before = set(lab.client.keys("*"))
    told = {"whole": True, "progress": 1.0, "checkpoint": HERE, "metrics": {"loss": [{"n": 1}, 0, "1 2\n"]}}
    assert lab.store.report(old.job, old.attempt, told) is Told.FENCED
    assert slot.finish(replace(DONE, report=told)) is Fenced.FENCED
    assert lab.client.dump(keys.RQ_JOB + claim.job) == before
    assert set(lab.client.keys("*")) == keys_before
    lab.slot("s3").store.slot_dead(["s2"], "killed")
    lab.store.remove([claim.job])
    assert lab.store.report(claim.job, claim.attempt, told) is Told.GONE


def metrics(text: str, base: int = 0, **summary: Any) -> dict[str, Any]:
    return {"metrics": {"loss": [summary or {"n": 1}, base, text]}}


def test_points_are_added_once_however_often_they_are_told(lab: Lab) -> None:
    lab.push(1)
    claim = lab.slot().must_claim()

    def tell(**told: Any) -> Told:
        return lab.store.report(claim.job, claim.attempt, told)

    series = keys.SERIES + claim.job + ":loss"
    assert tell(**metrics("1 0.5\n")) is Told.AGAIN  # it builds upon nothing
    for _ in range(2):
        assert tell(whole=True, **metrics("1 0.5\n")) is Told.OURS
        assert lab.client.get(series) == "1 0.5\n"
    for _ in range(2):
        assert tell(**metrics("2 0.25\n", 6, n=2)) is Told.OURS
        assert lab.client.get(series) == "1 0.5\n2 0.25\n"
    assert tell(**metrics("9 9\n", 99)) is Told.AGAIN
    assert lab.client.get(series) == "1 0.5\n2 0.25\n"
    assert tell(**metrics("1 0.5\n", 0, n=7)) is Told.OURS  # thinned out
    assert lab.client.get(series) == "1 0.5\n"
    stored = lab.client.hgetall(keys.METRICS + claim.job)
    assert stored.pop("") == claim.attempt
    assert {name: json.loads(text) for name, text in stored.items()} == {"loss": {"n": 7}}


def test_what_another_attempt_told_is_superseded_by_the_first_word_of_the_next(lab: Lab) -> None:
    lab.push(1)
    slot = lab.slot()
    claim = slot.must_claim()
    both = {"loss": [{"n": 1}, 0, "1 2\n"], "acc": [{"n": 1}, 0, "1 3\n"]}
    lab.store.report(claim.job, claim.attempt, {"whole": True, "metrics": both, "last": {"loss": 2, "acc": 3}})
    lab.store.slot_dead(["s1"], "killed")
    claim = slot.must_claim()
    assert lab.store.report(claim.job, claim.attempt, {"whole": True, **metrics("5 6\n"), "last": {"loss": 6}})
    assert lab.client.keys(keys.SERIES + "*") == [f"{keys.SERIES}{claim.job}:loss"]
    assert set(lab.client.hgetall(keys.METRICS + claim.job)) == {"", "loss"}
    slot.release()
    claim = slot.must_claim()
    assert lab.store.report(claim.job, claim.attempt, {"whole": True, "progress": 0.1}) is Told.OURS
    assert lab.client.keys(keys.SERIES + "*") == lab.client.keys(keys.METRICS + "*") == []
    assert field(lab, claim.job, "mt") is None


@pytest.mark.parametrize("how", ["remove", "by hand"])
def test_metrics_go_with_their_job(lab: Lab, how: str) -> None:
    lab.push(1)
    slot = lab.slot()
    claim = slot.must_claim()
    lab.store.report(claim.job, claim.attempt, {"whole": True, **metrics("1 2\n")})
    slot.finish()
    if how == "remove":
        lab.store.remove([claim.job])
    else:
        lab.client.delete(keys.RQ_JOB + claim.job)
        lab.client.zrem(keys.RQ_FINISHED + "e", claim.job)
    lab.store.remove_experiment("e")
    assert lab.client.keys("exs:metrics:*") == lab.client.keys("exs:series:*") == []


def test_a_full_redis_takes_outcomes_and_no_metrics(lab: Lab) -> None:
    lab.push(1)
    slot = lab.slot()
    claim = slot.must_claim()
    lab.client.config_set("maxmemory", 1)
    try:
        outcome = replace(DONE, report={"progress": 1.0, **metrics("1 2\n")})
        assert slot.finish(outcome) is Fenced.OURS
    finally:
        lab.client.config_set("maxmemory", 0)
    assert lab.state(claim.job) is S.DONE
    assert lab.client.keys("exs:metrics:*") == []


def summary(count: int, low: float, high: float) -> dict[str, Any]:
    return {"n": count, "every": 1, "first": [1, low], "last": [count, high], "min": [1, low], "max": [count, high]}


def test_metrics_of_many_jobs_are_read_in_one_round_trip(lab: Lab) -> None:
    lab.push(*range(12))
    slot = lab.slot()
    for number in range(11):  # the last one tells nothing
        claim = slot.must_claim()
        told = {
            "loss": [summary(2, number, 9.5), 0, f"1 {number}\n2 9.5\n"],
            "acc": [{"n": 1, "every": 1, "first": [1, "nan"], "last": [1, "nan"]}, 0, "1 nan\n"],
        }
        lab.store.report(claim.job, claim.attempt, {"whole": True, "metrics": told, "last": {"loss": 9.5}})
        slot.finish()
    ids = lab.ids()
    lab.store.metrics(ids[:1])  # from now on Redis knows the script
    reads = lab.client.info("stats")["total_reads_processed"]
    found = lab.store.metrics(ids)
    assert lab.client.info("stats")["total_reads_processed"] - reads == 2  # this question is one of them
    assert list(found) == lab.ids()[:11]
    loss, acc = found[lab.ids()[3]]["loss"], found[lab.ids()[3]]["acc"]
    assert (loss.count, loss.first, loss.last, loss.lowest, loss.highest) == (2, (1, 3), (2, 9.5), (1, 3), (2, 9.5))
    assert loss.points == ((1, 3), (2, 9.5))
    assert (acc.last, acc.lowest) == ((1, "nan"), None) and acc.points[0][1] != acc.points[0][1]
    assert [row.metrics for row in lab.store.jobs("e")] == [{"loss": 9.5}] * 11 + [{}]
    assert lab.store.metrics([]) == {}


def test_metrics_that_cannot_be_read_are_left_out(lab: Lab) -> None:
    lab.push(1)
    claim = lab.slot().must_claim()
    lab.store.report(
        claim.job, claim.attempt, {"whole": True, "metrics": {"loss": [summary(2, 1, 2), 0, "1 1\n2 2\n"]}}
    )
    hostile = ["{", "[]", "3", '{"n": "x"}', '{"n": 1, "first": [1], "last": 3}', '{"n":1,"every":1,"first":[1,"x"]}']
    for number, text in enumerate(hostile):
        lab.client.hset(keys.METRICS + claim.job, f"bad{number}", text)
    lab.client.set(keys.SERIES + claim.job + ":bad0", "\0\xff")
    assert list(lab.store.metrics([claim.job])[claim.job]) == ["loss"]
    lab.client.set(keys.SERIES + claim.job + ":loss", "1 2 3\n")
    assert lab.store.metrics([claim.job]) == {}
    lab.client.delete(keys.METRICS + claim.job)
    lab.client.set(keys.METRICS + claim.job, "no hash")
    assert lab.store.metrics([claim.job]) == {}
    assert lab.store.report(claim.job, claim.attempt, {"progress": 0.5}) is Told.OURS
