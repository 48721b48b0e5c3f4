"""Jobs of several GPUs on slots of one, while they run: who is busy, what frees the slots, what loses the job."""

from __future__ import annotations

import pytest
import redis
from rq import Worker

from exs.model import Claim, Fenced, Following, JobState
from exs.rows import Hold
from exs.store import keys
from store.actors import CANCELED, CRASHED, DONE, Lab, Slot
from store.gangs import ask, fields, node, wide

GIB = 1 << 30
S = JobState


class TestEnd:
    def running(self, lab: Lab) -> tuple[list[Slot], Claim]:
        slots = node(lab, 3)
        for slot in slots:
            ask(slot)
        lab.push(0, name="wide", resources=wide(3), retries=1)
        ask(slots[1]), ask(slots[2])
        return slots, slots[0].must_claim()

    @pytest.mark.parametrize("end", ["done", "crashed", "released", "canceled"])
    def test_frees_all(self, lab: Lab, end: str) -> None:
        slots, claim = self.running(lab)
        lab.client.delete(*lab.client.keys(keys.WAKE + "*"))
        if end == "canceled":
            lab.store.cancel([claim.job])
        if end == "released":
            assert slots[0].release() is Fenced.OURS
        else:
            slots[0].finish({"done": DONE, "crashed": CRASHED, "canceled": CANCELED}[end])
        for slot in slots:
            assert fields(lab, slot)["state"] == "idle"
            assert not {"exs_with", "exs_lead", "current_job"} & set(fields(lab, slot))
        assert lab.client.exists(keys.WAKE + "n:gpu1", keys.WAKE + "n:gpu2") == 2
        lab.push(0, 1, 2, name="small")
        lab.store.cancel(lab.ids("wide"))
        assert [slot.must_claim().experiment for slot in slots] == ["small"] * 3
        assert lab.store.audit() == []

    def test_a_mate_asks_until_it_is_over(self, lab: Lab) -> None:
        slots, claim = self.running(lab)
        offer = slots[1].offer
        assert lab.store.follow(offer) == Following(claim.attempt, "n:gpu0", claim.job)
        assert fields(lab, slots[1])["state"] == "busy"
        slots[0].finish()
        assert lab.store.follow(offer) is None

    def test_a_mate_that_dies_loses_it_at_once_and_the_others_wait_for_the_leader(self, lab: Lab) -> None:
        slots, claim = self.running(lab)
        lab.push(*range(5), name="small")
        ears = lab.client.pubsub(ignore_subscribe_messages=True)
        ears.subscribe(keys.RQ_PUBSUB + "n:gpu0")
        ears.get_message(timeout=1)
        assert lab.store.slot_dead(["n:gpu1"], "its slot on n died") == 1
        row = lab.store.job(claim.job)
        assert (row.state, row.lost) == (S.QUEUED, 1) and row.detail == "its slot on n died"
        message = None
        while message is None:
            message = ears.get_message(timeout=1)
        assert '"fenced"' in message["data"] and claim.attempt in message["data"]
        assert lab.store.follow(slots[2].offer) is not None, "the leader may still have processes on its GPU"
        assert isinstance(ask(slots[2]), Following)
        assert slots[0].renew()[0] is Fenced.FENCED
        assert slots[0].finish() is Fenced.FENCED
        assert slots[0].must_claim().experiment == "small"  # two slots are too few now
        assert lab.store.follow(slots[2].offer) is None
        assert slots[2].must_claim().experiment == "small"
        assert lab.store.audit() == []

    def test_a_drain_of_a_mate_that_waits_no_longer_asks_the_leader_to_stop(self, lab: Lab) -> None:
        slots, claim = self.running(lab)
        lab.store.drain(["n:gpu1"], "ann", why="dust", grace=0.0)
        lab.contact()
        lab.store.reap()
        assert slots[0].renew() == (Fenced.OURS, "preempt")
        assert slots[0].release() is Fenced.OURS
        assert lab.state(claim.job) is S.QUEUED
        assert ask(slots[1]) is None and lab.store.follow(slots[1].offer) is None

    def test_a_leader_that_dies_frees_its_mates(self, lab: Lab) -> None:
        slots, claim = self.running(lab)
        assert lab.store.slot_dead(["n:gpu0"], "its slot on n died") == 1
        assert lab.state(claim.job) is S.QUEUED
        assert lab.store.follow(slots[1].offer) is lab.store.follow(slots[2].offer) is None
        assert lab.store.audit() == []

    def test_all_die_together(self, lab: Lab) -> None:
        _, claim = self.running(lab)
        assert lab.store.slot_dead(["n:gpu2", "n:gpu0", "n:gpu1"], "its slot on n died") == 1
        assert lab.store.job(claim.job).lost == 1
        assert lab.store.audit() == []

    def test_a_late_leader_keeps_its_mates(self, lab: Lab) -> None:
        slots, claim = self.running(lab)
        lab.contact()
        lab.silence(claim.job, 4000)
        lab.began(claim.job, 5000)
        assert lab.reap() == 1
        assert isinstance(ask(slots[1]), Following)
        assert slots[0].renew()[0] is Fenced.FENCED
        ask(slots[0])
        assert not isinstance(ask(slots[1]), Following)

    def test_it_starts_again_with_other_slots(self, lab: Lab) -> None:
        slots, claim = self.running(lab)
        slots[0].release()
        ask(slots[0]), ask(slots[1])
        again = slots[2].must_claim()
        assert again.job == claim.job and again.number == 2
        assert {mate.slot for mate in again.mates} == {"n:gpu0", "n:gpu1"}


class TestSeen:
    def test_for_whom_slots_are_held(self, lab: Lab) -> None:
        slots = node(lab, 4)
        lab.push(0, name="first")
        slots[3].must_claim()
        lab.push(0, 1, name="wide", resources=wide(4))
        lab.push(0, name="small", resources=wide(1))
        lab.store.cancel(lab.ids("wide")[:1])
        for slot in slots[:2]:
            assert ask(slot) is None
        rows = {row.name: row for row in lab.store.workers()}
        assert [rows[f"n:gpu{i}"].hold for i in range(4)] == [Hold("wide", 1, 2, 4)] * 2 + [None] * 2
        assert {row.state for row in rows.values()} >= {"busy", "idle"}
        why = lab.store.why("wide")
        assert why.word == "held 2/4"
        assert {v.slot.name: v.text for v in why.verdicts if v.kind == "held"} == dict.fromkeys(
            ("n:gpu0", "n:gpu1"), "held for wide/1"
        )
        assert lab.store.why("small").word == "busy"

    def test_who_runs_on_whose_gpu(self, lab: Lab) -> None:
        slots = node(lab, 2)
        lab.push(0, resources=wide(2))
        ask(slots[1])
        claim = slots[0].must_claim()
        rows = {row.name: row for row in lab.store.workers()}
        assert [(rows[f"n:gpu{i}"].state, rows[f"n:gpu{i}"].job, rows[f"n:gpu{i}"].leader) for i in range(2)] == [
            ("busy", claim.job, ""), ("busy", claim.job, "n:gpu0"),
        ]  # fmt: skip
        assert lab.store.job(claim.job).mates == ("n:gpu1",)
        lab.store.follow(slots[1].offer)
        states = {found.name: found.get_state() for found in Worker.all(connection=redis_of(lab))}
        assert states == {"n:gpu0": "busy", "n:gpu1": "busy"}


def redis_of(lab: Lab) -> redis.Redis:
    """A connection as RQ's tools have it."""
    return redis.Redis(connection_pool=redis.ConnectionPool.from_url(lab.store.url))
