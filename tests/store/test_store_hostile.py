"""Whatever somebody writes into Redis past us: claims, lists and the audit live on (F49, R12)."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from exs.errors import BrokenRecord, ExsError, NotFound
from exs.model import JobState, Outcome, Update
from exs.store import keys, records
from store.actors import CANCELED, CRASHED, DONE, Lab

DEEP = "[" * 100_000
VALUES = {
    "empty": "",
    "text": "no number",
    "pickle": pickle.dumps({"a": object}),
    "not utf-8": b"\xff\xfe\x00",
    "surrogate": b'{"a": "\\ud800"}',
    "deep": DEEP,
    "wrong json": "[1, 2]",
    "nan": "NaN",
    "inf": "inf",
    "huge number": "9" * 5000,
    "large": "x" * 200_000,
}


def look_everywhere(lab: Lab) -> None:
    """All that reads; none may raise anything but a sentence."""
    lab.store.experiments()
    lab.store.workers()
    lab.store.audit()
    for experiment in lab.store.experiments():
        for row in lab.store.jobs(experiment.name):
            row.seconds  # noqa: B018
            try:
                lab.store.job(row.id)
            except NotFound:
                assert row.state is JobState.CRASHED


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("when", ["queued", "running", "waiting"])
def test_any_field_of_a_job_can_hold_anything(lab: Lab, value: str, when: str) -> None:
    for field in keys.JOB_FIELDS:
        lab.client.flushall()
        lab.push(1, 2, retries=1)
        victim, healthy = lab.ids()
        slot = lab.slot("s1")
        if when != "queued":
            slot.must_claim()
        if when == "waiting":
            slot.finish(DONE)
            lab.store.retry([victim], force=True)
        lab.client.hset(keys.RQ_JOB + victim, field, VALUES[value])
        look_everywhere(lab)
        lab.store.renew(victim, "x", slot.offer)
        lab.reap()
        claimed = {claim.job for i in range(3) if (claim := lab.slot(f"other{i}").claim())}
        assert healthy in claimed, f"{field} of {victim} stopped the queue"
        look_everywhere(lab)


@pytest.mark.parametrize("field", [*keys.JOB_FIELDS, "origin", "created_at", "status", "data"])
def test_any_field_of_a_job_can_be_missing(lab: Lab, field: str) -> None:
    lab.push(1, 2)
    victim, healthy = lab.ids()
    lab.client.hdel(keys.RQ_JOB + victim, field)
    look_everywhere(lab)
    assert healthy in {lab.slot(f"s{i}").must_claim().job for i in range(1 if field in ("st", "origin") else 2)}
    look_everywhere(lab)


@pytest.mark.parametrize("make", ["string", "list", "set", "nothing"])
@pytest.mark.parametrize("when", ["queued", "running", "waiting"])
def test_a_job_replaced_by_something_else_stops_nobody(lab: Lab, make: str, when: str) -> None:
    lab.push(1, 2, retries=1)
    victim, healthy = lab.ids()
    slot = lab.slot("s1")
    if when != "queued":
        slot.must_claim()
    replace_key(lab.client, keys.RQ_JOB + victim, make)
    if when == "waiting":
        lab.client.zadd(keys.LATER, {victim: 1})
    if when == "running":
        lab.silence(victim, 10_000)
    lab.reap()
    assert slot.renew()[0].value == "gone" if slot.held else True
    assert lab.slot("s2").must_claim().job == healthy
    look_everywhere(lab)
    assert lab.store.remove([victim])["missing"] == 1
    lab.slot("s2").store.slot_dead(["s2"], "end")
    lab.store.remove([healthy])
    assert lab.store.remove_experiment("e")
    if make != "nothing" and when == "queued":
        assert any(victim in finding for finding in lab.store.audit())


def replace_key(client: redis.Redis, key: str, make: str) -> None:
    client.delete(key)
    if make == "string":
        client.set(key, "x")
    elif make == "list":
        client.rpush(key, "x")
    elif make == "set":
        client.sadd(key, "x")


@pytest.mark.parametrize("key", ["exs:exp:bad", "rq:queue:bad", "rq:wip:bad", "rq:finished:bad", "exs:queues:bad"])
@pytest.mark.parametrize("make", ["string", "set"])
def test_an_experiment_of_broken_keys_stops_no_other(lab: Lab, key: str, make: str) -> None:
    lab.push(1, name="bad", priority=1)
    lab.push(2, name="good")
    replace_key(lab.client, key, make)
    names = [claim.experiment for i in range(2) if (claim := lab.slot(f"s{i}").claim())]
    assert "good" in names
    assert "good" in [experiment.name for experiment in lab.store.experiments()]
    lab.reap()
    quiet = [experiment.name for experiment in lab.store.experiments()]
    assert any("bad" in finding for finding in lab.store.audit()) or "bad" in quiet


@pytest.mark.parametrize("value", VALUES)
def test_any_field_of_an_experiment_can_hold_anything(lab: Lab, value: str) -> None:
    for field in [*(f for f in keys.EXPERIMENT_FIELDS if ":" not in f), "s:1"]:
        lab.client.flushall()
        lab.push(1, name="bad", priority=1)
        lab.push(2, name="good")
        lab.client.hset("exs:exp:bad", field, VALUES[value])
        names = [claim.experiment for i in range(2) if (claim := lab.slot(f"s{i}").claim())]
        assert "good" in names, field
        lab.reap()
        look_everywhere(lab)
        said(lambda: lab.push(1, 3, name="bad"))
        said(lambda: lab.store.cancel([row.id for row in lab.store.jobs("bad")]))


def said(call: Callable[[], object]) -> None:
    """It works, or fails with a sentence."""
    try:
        call()
    except ExsError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 1000


@pytest.mark.parametrize("value", VALUES)
def test_any_field_of_a_slot_can_hold_anything(lab: Lab, value: str) -> None:
    lab.push(1, 2)
    slot = lab.slot("s1")
    job = slot.must_claim().job
    worker = keys.RQ_WORKER + "s1"
    fields = [
        "state",
        "current_job",
        "exs_at",
        "queues",
        "last_heartbeat",
        "birth",
        "pid",
        "exs_gpus",
        "total_working_time",
    ]
    for field in [*fields, "successful_job_count"]:
        before = lab.client.hget(worker, field)
        lab.client.hset(worker, field, VALUES[value])
        lab.store.workers()
        slot.renew()
        lab.client.hset(worker, field, before or "0")
    lab.client.hset(worker, mapping={"total_working_time": VALUES[value], "successful_job_count": VALUES[value]})
    assert slot.finish().value == "ours"
    assert lab.state(job) is JobState.DONE


def test_a_queue_of_junk_is_emptied_in_bounded_steps(lab: Lab) -> None:
    lab.push(1)
    lab.client.lpush(keys.RQ_QUEUE + "e", *(f"junk{i}" for i in range(2500)))
    slot = lab.slot()
    assert slot.claim() is None
    assert lab.client.llen(keys.RQ_QUEUE + "e") == 1501
    assert slot.claim() is None
    assert slot.must_claim().index == 0


def test_a_stock_job_in_a_queue_of_ours_is_quarantined_not_run(lab: Lab) -> None:
    rq = pytest.importorskip("rq")
    lab.push(1, 2)
    bytes_client = redis.Redis(connection_pool=lab.client.connection_pool)
    queue = rq.Queue("e", connection=bytes_client)
    stranger = queue.enqueue("os.getpid")
    lab.client.lrem(keys.RQ_QUEUE + "e", 0, stranger.id)
    lab.client.lpush(keys.RQ_QUEUE + "e", stranger.id)
    assert lab.slot().must_claim().index == 0
    assert lab.client.zrange(keys.QUARANTINE, 0, -1) == [stranger.id]
    (finding,) = lab.store.audit()
    assert finding.startswith(f"job {stranger.id} is quarantined")
    stranger.delete()
    assert lab.store.audit() == []


def test_a_flood_of_strangers_does_not_fill_the_quarantine(lab: Lab) -> None:
    lab.push(1)
    for number in range(keys.QUARANTINED + 5):
        lab.client.hset(f"{keys.RQ_JOB}stranger{number}", "data", "x")
        lab.client.lpush(keys.RQ_QUEUE + "e", f"stranger{number}")
    slot = lab.slot()
    assert slot.claim() is None
    assert slot.must_claim().index == 0
    assert lab.client.zcard(keys.QUARANTINE) == keys.QUARANTINED
    assert len(lab.store.audit()) == 20


@pytest.mark.parametrize(
    "text", [*VALUES.values(), '{"commands": 1, "cwd": 2}', '{"x": 1}', '{"commands": {"a": 1}, "cwd": ""}']
)
def test_a_spec_that_cannot_be_read_is_a_broken_record(lab: Lab, text: str) -> None:
    lab.push(1)
    claim = lab.slot().must_claim()
    lab.client.hset(keys.SPECS + "e", claim.spec, text)
    with pytest.raises(BrokenRecord):
        lab.store.spec("e", claim.spec)


def test_hostile_lists_of_attempts_nodes_and_stages(lab: Lab) -> None:
    lab.push(1)
    slot = lab.slot()
    job = slot.must_claim().job
    lab.client.rpush(keys.ATTEMPTS + job, *VALUES.values())
    assert all(attempt.number == 0 for attempt in lab.store.job(job).history)
    lab.client.delete(keys.ATTEMPTS + job)
    lab.client.set(keys.ATTEMPTS + job, "x")
    assert lab.store.job(job).history == ()
    lab.client.zadd(keys.STAGES, {"nobody": 1})
    lab.contact()
    assert lab.store.reap()[1] == "nobody"
    lab.store.discard_stage("nobody", 1)
    lab.contact()
    assert lab.store.reap()[1] == ""
    lab.client.set(keys.NODE + "s1-node", "x")
    said(lambda: lab.store.node_up("s1-node", "b", "m", 1))
    said(lab.reap)


@pytest.mark.parametrize("answer", ["{}", "[1]", "7", '{"offset": [], "size": 1}', "x", b"\xff", '{"offset": "a"}'])
def test_an_answer_about_a_log_that_cannot_be_read_is_a_broken_record(lab: Lab, answer: str) -> None:
    def node() -> None:
        _, request = lab.client.blpop([f"{keys.ASK}s1-node"], timeout=20)
        lab.client.rpush(keys.ANSWER + json.loads(request)["id"], answer)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(node)
        with pytest.raises(BrokenRecord):
            lab.store.ask_log("s1-node", "job", "", 0, 10, 20)


def test_a_number_that_json_cannot_write_again_is_a_broken_record(lab: Lab) -> None:
    lab.push(1)
    (job,) = lab.ids()
    lab.client.hset(keys.RQ_JOB + job, "pr", '{"x": 1e999}')
    assert "broken record" in lab.store.job(job).detail


@pytest.mark.parametrize("outcome", [DONE, CRASHED, CANCELED, None])
def test_a_running_job_whose_state_somebody_overwrote_ends_as_it_ends(lab: Lab, outcome: Outcome | None) -> None:
    """Its slot would tell of that for ever, and take no other job."""
    lab.push(1, 2, retries=1)
    slot = lab.slot("s1")
    job = slot.must_claim().job
    lab.client.hset(keys.RQ_JOB + job, "st", "\x1b[2J")
    assert any("unknown state" in finding for finding in lab.store.audit())
    assert (slot.release() if outcome is None else slot.finish(outcome)).value == "ours"
    assert lab.state(job) is (outcome.state if outcome in (DONE, CANCELED) else JobState.QUEUED)
    lab.hasten()
    assert lab.store.audit() == []
    lab.slot("s2").must_claim()


def test_why_says_that_a_record_cannot_be_read(lab: Lab) -> None:
    lab.push(1)
    (job,) = lab.ids()
    lab.client.delete(keys.RQ_JOB + job)
    lab.client.hset(keys.RQ_JOB + job, "x", "y")
    for selector in (job, "e/0"):
        with pytest.raises(ExsError, match=r"cannot be read|no (job|experiment)"):
            lab.store.why(selector)


@pytest.mark.parametrize("value", ["x", "inf", "9" * 400, "-"])
def test_a_position_that_is_no_number_is_counted_anew(lab: Lab, value: str) -> None:
    """Else nobody could push any more. The order stays."""
    lab.push(1, name="a")
    lab.push(1, name="b")
    lab.client.set(keys.POSITION, value)
    lab.push(1, name="c")
    lab.store.update([Update("a", "ahead-of", "c")])
    assert lab.client.zrange(keys.ORDER + "default", 0, -1) == ["b", "a", "c"]


@pytest.mark.parametrize("name", ["../../x", "a/b", ".", "..", "a\0b", "x" * 65, "\x1b[2J", "a b", "é"])
def test_a_record_whose_name_leads_out_is_no_job(lab: Lab, name: str) -> None:
    """Else its outcome was written there, while Redis is away."""
    lab.push(1)
    (job,) = lab.ids()
    lab.client.copy(keys.RQ_JOB + job, keys.RQ_JOB + name)
    lab.client.lpush(keys.RQ_QUEUE + "e", name)
    assert lab.slot("s1").must_claim().job == job
    assert lab.slot("s2").claim() is None
    assert lab.client.zrange(keys.QUARANTINE, 0, -1) == [name]
    assert any("is quarantined" in finding for finding in lab.store.audit())


def nested(levels: int, pair: str) -> str:
    return '{"x": ' + pair[0] * (levels - 1) + "1" + pair[1] * (levels - 1) + "}"


@pytest.mark.parametrize("field", ["pr", "rs", "mt"])
@pytest.mark.parametrize(
    "text",
    [
        nested(900, "[]"),
        nested(records.DEPTH + 1, "[]").replace("1", '"' + "y" * 250 + '"'),
        '{"x": ' * 900 + "1" + "}" * 900,
        '{"x": ' + "9" * 400 + "}",
        '{"x": "' + "x" * records.LARGEST + '"}',
    ],
    ids=["lists", "one too many", "objects", "number", "size"],
)
def test_a_record_beyond_what_exs_writes_is_broken_and_the_others_are_shown(lab: Lab, field: str, text: str) -> None:
    """Valid JSON all the same: who goes through it level by level, or takes its numbers for floats, fails."""
    lab.push(1, 2)
    victim, healthy = lab.ids()
    lab.client.hset(keys.RQ_JOB + victim, field, text)
    rows = {row.id: row for row in lab.store.jobs("e")}
    assert "broken record" in rows[victim].detail and rows[healthy].state is JobState.QUEUED
    assert "not readable" in rows[victim].detail and len(rows[victim].detail) < 300


def test_what_exs_writes_is_no_broken_record() -> None:
    deepest, flat = nested(records.DEPTH, "[]"), json.dumps({"x": [[i] for i in range(5000)]})
    assert [records.dumps(records.loads(text, "x")) for text in (deepest, flat)] == [
        text.replace(" ", "") for text in (deepest, flat)
    ]
