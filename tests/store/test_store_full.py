"""A Redis that is full, flushed, or refuses: what must go on goes on, the rest is a sentence."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis

from exs.errors import ExsError, InputError, RedisRefused, RedisUnreachable
from exs.model import Fenced, JobState
from exs.settings import Settings, Timing
from exs.store import keys, scripts
from exs.store.push import new_id
from exs.store.store import open_store
from store.actors import CRASHED, DONE, Lab, Slot


@pytest.fixture
def full(lab: Lab) -> tuple[Lab, list[Slot]]:
    """Five running jobs, five waiting ones, and no byte left."""
    lab.push(*range(10), retries=1)
    slots = [lab.slot(f"s{i}") for i in range(5)]
    for slot in slots:
        slot.must_claim()
    lab.client.config_set("maxmemory", 1)
    with pytest.raises(redis.exceptions.OutOfMemoryError):
        lab.client.set("x", "y")
    return lab, slots


def test_a_full_server_takes_outcomes_and_refuses_pushes(full: tuple[Lab, list[Slot]]) -> None:
    """F29, on 6.2 and on 7."""
    lab, (done, crashed, released, canceled, dead) = full
    assert done.renew()[0] is Fenced.OURS
    assert done.finish(DONE) is Fenced.OURS
    assert crashed.finish(CRASHED) is Fenced.OURS
    assert released.release() is Fenced.OURS
    assert canceled.held is not None
    assert lab.store.cancel([canceled.held.job])["asked"] == 1
    assert canceled.renew() == (Fenced.OURS, "cancel")
    assert lab.store.slot_dead([dead.offer.slot], "killed") == 1
    assert lab.store.cancel(lab.ids()[8:])["canceled"] == 2
    assert lab.store.remove(lab.ids()[9:])["removed"] == 1
    with pytest.raises(RedisRefused, match="has no memory left"):
        lab.push(*range(20, 30))
    assert lab.states() == ["DONE", "QUEUED", "QUEUED", "RUNNING", "QUEUED", "QUEUED", "QUEUED", "QUEUED", "CANCELED"]
    lab.client.config_set("maxmemory", 0)
    assert lab.store.audit() == []
    assert lab.push(*range(20, 30)).new == 10


def test_a_full_server_runs_its_queue_empty(full: tuple[Lab, list[Slot]]) -> None:
    lab, slots = full
    for slot in slots:
        while slot.held is not None:
            _, slot.held = lab.store.finish_and_claim(slot.held.job, slot.held.attempt, DONE, slot.offer, new_id())
    assert set(lab.states()) == {"DONE"}
    assert lab.store.audit() == []


def test_an_outcome_is_stored_though_the_claim_behind_it_fails(lab: Lab) -> None:
    lab.push(1, 2)
    slot = lab.slot()
    held = slot.must_claim()
    lab.client.rename(keys.SHAPES + "default", "aside")
    lab.client.set(keys.SHAPES + "default", "no set")
    assert lab.store.finish_and_claim(held.job, held.attempt, DONE, slot.offer, "next") == (Fenced.OURS, None)
    assert lab.state(held.job) is JobState.DONE
    with pytest.raises(RedisRefused):
        slot.claim()


def test_a_renewal_is_heard_though_the_reap_behind_it_fails(lab: Lab) -> None:
    lab.push(1)
    slot = lab.slot()
    lab.store.cancel([slot.must_claim().job])
    lab.client.set(keys.PULSE, "no hash")
    assert slot.renew() == (Fenced.OURS, "cancel")


@pytest.mark.parametrize("call", ["claim", "finish", "both", "renew", "push", "cancel", "list"])
def test_every_call_survives_a_flush_of_the_scripts(lab: Lab, call: str) -> None:
    """F32: scripts can be lost at any time."""
    lab.push(1, 2)
    slot = lab.slot()
    held = slot.must_claim()
    calls: dict[str, Callable[[], object]] = {
        "claim": lab.slot("s2").claim,
        "finish": slot.finish,
        "both": lambda: lab.store.finish_and_claim(held.job, held.attempt, DONE, slot.offer, "next"),
        "renew": slot.renew,
        "push": lambda: lab.push(3),
        "cancel": lambda: lab.store.cancel([held.job]),
        "list": lab.ids,
    }
    lab.client.script_flush()
    assert calls[call]()
    assert lab.store.audit() == []


def test_an_emptied_server_tells_holders_that_their_job_is_gone(lab: Lab) -> None:
    lab.push(1)
    slot = lab.slot()
    slot.must_claim()
    lab.client.flushall()
    assert slot.renew()[0] is Fenced.GONE
    assert slot.finish() is Fenced.GONE
    assert slot.claim() is None
    assert lab.client.keys("rq:job:*") == []


class TestSentences:
    def test_no_server(self, tmp_path: object) -> None:
        store = open_store(f"unix://{tmp_path}/none", Settings())
        with pytest.raises(RedisUnreachable, match="cannot reach Redis at"):
            store.ping()

    def test_a_password_is_hidden(self) -> None:
        store = open_store("redis://u:s3cret@127.0.0.1:1/0", Settings())
        with pytest.raises(RedisUnreachable) as caught:
            store.experiments()
        assert "s3cret" not in str(caught.value)

    def test_a_host_that_is_none(self) -> None:
        with pytest.raises(ExsError):
            open_store("redis://a..b:6379", Settings(timing=Timing(connect_timeout=1))).ping()

    def test_a_url_that_is_none(self) -> None:
        with pytest.raises(InputError, match="not a Redis URL"):
            open_store("http://example.org", Settings())

    def test_a_user_who_may_not(self, lab: Lab, queue_url: str) -> None:
        lab.push(1)
        lab.client.acl_setuser(
            "reader", enabled=True, passwords=["+pw"], keys=["*"], categories=["+@read", "+@connection"]
        )
        path = queue_url.removeprefix("unix://")
        store = open_store(f"unix://reader:pw@{path}", Settings())
        with pytest.raises(RedisRefused, match="does not permit"):
            store.experiments()
        wrong = open_store(f"unix://reader:wrong@{path}", Settings())
        with pytest.raises(RedisUnreachable, match="refused the user or password") as caught:
            wrong.ping()
        assert "wrong" not in str(caught.value)

    def test_a_replica(self, lab: Lab) -> None:
        lab.push(1)
        try:
            lab.client.replicaof("127.0.0.1", 1)
            with pytest.raises(RedisRefused, match="replica"):
                lab.push(2)
        finally:
            lab.client.replicaof("NO", "ONE")

    def test_arguments_of_a_failed_call_are_not_in_its_message(self, lab: Lab) -> None:
        lab.push(1)
        slot = lab.slot()
        held = slot.must_claim()
        lab.client.delete(keys.LEASES)
        lab.client.set(keys.LEASES, "no set")
        with pytest.raises(RedisRefused, match="holds something else under a name of ours") as caught:
            lab.store.finish_and_claim(held.job, held.attempt, CRASHED, slot.offer, "next")
        assert CRASHED.tail not in str(caught.value)


def test_no_script_is_long_or_has_a_shebang() -> None:
    folder = scripts._LUA
    for path in folder.rglob("*.lua"):
        text = path.read_text()
        assert not text.startswith("#!"), path
        assert len(text.splitlines()) <= 110, path


def test_long_lists_are_edited_in_place(lab: Lab) -> None:
    """Cancel and remove in the middle of a long list, in one batch and in many, and whole experiments."""
    lab.push(*range(5000))
    ids = lab.ids()
    before = lab.client.info("commandstats").get("cmdstat_lrem", {"calls": 0})["calls"]
    assert lab.store.cancel(ids[2000:2300])["canceled"] == 300
    assert lab.store.cancel(ids[2301:2600:3])["canceled"] == 100
    assert lab.store.remove(ids[2100:2200])["removed"] == 100
    assert lab.client.info("commandstats")["cmdstat_lrem"]["calls"] - before <= 10  # one per batch of 50
    assert lab.store.audit() == []
    assert lab.store.retry(ids[2000:2100])["queued"] == 100  # to the front, before 0
    assert lab.store.cancel([*ids[2050:2060], *ids[:10]])["canceled"] == 20
    assert lab.store.audit() == []
    slot = lab.slot()
    assert [slot.must_claim().index for _ in range(3)] == [2000, 2001, 2002]
    lab.store.slot_dead(["s1"], "end")
    for row in lab.store.jobs("e", states={JobState.RUNNING}):
        lab.store.release(row.id, row.attempt, "end", slot.offer)
    assert lab.client.llen(keys.RQ_QUEUE + "e") == lab.store.counts("e")[JobState.QUEUED]
    lab.store.remove(lab.ids())
    assert lab.store.remove_experiment("e")
    assert lab.client.keys("rq:job:*") == []
