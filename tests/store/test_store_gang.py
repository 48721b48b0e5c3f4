"""Jobs of several GPUs on slots of one: assembled on one node, held for, run, freed, lost."""

from __future__ import annotations

import random
from datetime import datetime, timezone
from typing import Any

import pytest
import redis
from rq import Worker

from exs.model import Claim, Fenced, Following, JobState, Resources
from exs.rows import Hold
from exs.store import keys
from exs.store.push import new_id
from store.actors import CANCELED, CRASHED, DONE, Lab, Slot

GIB = 1 << 30
S = JobState


def node(lab: Lab, gpus: int = 4, name: str = "n", **offer: Any) -> list[Slot]:
    """The slots of a node."""
    there = {"node": name, "gpu_memory": 24 * GIB, **offer}
    return [registered(lab, lab.slot(f"{name}:gpu{i}", gpus=(str(i),), **there)) for i in range(gpus)]


def registered(lab: Lab, slot: Slot) -> Slot:
    """What a slot says of itself before its first claim."""
    offer, now = slot.offer, datetime.now(timezone.utc)
    ours = {
        "queues": ",".join(offer.pools), "exs_node": offer.node, "exs_boot": offer.boot, "pid": 77,
        "exs_gpus": ",".join(offer.gpus), "exs_memory": offer.gpu_memory, "exs_only": offer.only,
        "exs_locks": f"GPU-{offer.slot}", "last_heartbeat": f"{now:%Y-%m-%dT%H:%M:%S}.000000Z",
    }  # fmt: skip
    lab.client.hset(keys.RQ_WORKER + offer.slot, mapping=ours)
    lab.client.sadd(keys.RQ_WORKERS, keys.RQ_WORKER + offer.slot)
    lab.client.sadd(keys.NODE_SLOTS + offer.node, offer.slot)
    return slot


def wide(gpus: int, **more: Any) -> Resources:
    return Resources(gpus=gpus, **more)


def ask(slot: Slot) -> Claim | Following | None:
    """What a slot process hears."""
    found = slot.store.claim_or_follow(slot.offer, new_id())
    slot.held = found if isinstance(found, Claim) else None
    return found


def fields(lab: Lab, slot: Slot) -> dict[str, str]:
    return lab.client.hgetall(keys.RQ_WORKER + slot.offer.slot)


class TestAssembly:
    def test_the_slot_that_completes_the_set_runs_it(self, lab: Lab) -> None:
        slots = node(lab)
        for slot in slots:
            assert ask(slot) is None
        lab.push(1, resources=wide(4))
        assert [ask(slot) for slot in slots[:3]] == [None] * 3
        claim = slots[3].must_claim()
        assert claim.gpus == ("0", "1", "2", "3")
        assert {(mate.slot, mate.gpu) for mate in claim.mates} == {(f"n:gpu{i}", str(i)) for i in range(3)}
        for slot in slots[:3]:
            assert ask(slot) == Following(claim.attempt, "n:gpu3", claim.job)
        row = lab.store.job(claim.job)
        assert (row.state, row.slot, row.gpus) == (S.RUNNING, "n:gpu3", "0,1,2,3")
        assert lab.store.audit() == []

    def test_what_is_behind_it_does_not_starve_it(self, lab: Lab) -> None:
        slots = node(lab)
        lab.push(*range(4), name="first")
        for slot in slots:
            slot.must_claim()
        lab.push(0, name="wide", resources=wide(4))
        lab.push(*range(20), name="small")
        for slot in slots[:3]:
            slot.finish()
            assert ask(slot) is None
        slots[3].finish()
        assert slots[3].must_claim().experiment == "wide"
        assert lab.states("small") == ["QUEUED"] * 20

    def test_what_is_before_it_passes(self, lab: Lab) -> None:
        slots = node(lab, 2)
        lab.push(0, name="wide", resources=wide(2))
        assert ask(slots[0]) is None
        lab.push(0, name="urgent", priority=1)
        assert slots[0].must_claim().experiment == "urgent"
        assert ask(slots[1]) is None
        slots[0].finish()
        assert slots[0].must_claim().experiment == "wide"

    def test_slots_that_it_has_no_use_for_go_on(self, lab: Lab) -> None:
        slots = node(lab, 4)
        cpu = lab.slot("n:cpu0", node="n")
        weak = lab.slot("n:gpu4", node="n", gpus=("4",), gpu_memory=8 * GIB)
        pair = lab.slot("n:gpu5-6", node="n", gpus=("5", "6"), gpu_memory=24 * GIB)
        uuid = lab.slot("n:GPU-7", node="n", gpus=("GPU-7",), gpu_memory=24 * GIB)
        away = lab.slot("n:gpu7", node="n", gpus=("7",), gpu_memory=24 * GIB, pools=("other",))
        mine = lab.slot("n:gpu8", node="n", gpus=("8",), gpu_memory=24 * GIB, only="else")
        lab.push(0, name="wide", resources=wide(4, gpu_memory=20 * GIB))
        lab.push(*range(9), name="small")
        assert [ask(slot) for slot in slots[:3]] == [None] * 3
        for slot in (cpu, weak, pair, uuid):
            assert slot.must_claim().experiment == "small"
        assert ask(away) is None and ask(mine) is None
        assert slots[3].must_claim().gpus == ("0", "1", "2", "3")

    def test_a_node_that_could_never_run_it_blocks_nobody(self, lab: Lab) -> None:
        small, large = node(lab, 3, "small"), node(lab, 4, "large")
        lab.push(0, name="wide", resources=wide(4))
        lab.push(*range(9), name="rest")
        assert [slot.must_claim().experiment for slot in small] == ["rest"] * 3
        assert [ask(slot) for slot in large[:3]] == [None] * 3
        assert large[3].must_claim().experiment == "wide"

    def test_never_across_nodes_nor_boots(self, lab: Lab) -> None:
        first, second = node(lab, 2, "a"), node(lab, 2, "b")
        old = lab.slot("a:gpu2", node="a", boot="boot-0", gpus=("2",), gpu_memory=24 * GIB)
        lab.push(0, resources=wide(3))
        assert [ask(slot) for slot in (*first, *second, old)] == [None] * 5
        assert lab.states() == ["QUEUED"]
        assert lab.client.keys(keys.HOLD + "*") == []

    def test_shares_of_one_gpu_are_one_gpu(self, lab: Lab) -> None:
        shares = [registered(lab, lab.slot(f"n:gpu0.{i}", node="n", gpus=("0",))) for i in range(2)]
        lab.push(0, resources=wide(2))
        assert [ask(slot) for slot in shares] == [None, None]
        other = registered(lab, lab.slot("n:gpu1.0", node="n", gpus=("1",)))
        assert ask(other) is None
        (lead,) = [claim for slot in shares if isinstance(claim := ask(slot), Claim)]
        assert lead.gpus == ("0", "1") and len(lead.mates) == 1

    def test_mig_parts_are_not_joined(self, lab: Lab) -> None:
        parts = [registered(lab, lab.slot(f"n:mig{i}", node="n", gpus=(f"MIG-{i}",))) for i in range(2)]
        lab.push(0, resources=wide(2))
        assert [ask(slot) for slot in (*parts, *parts)] == [None] * 4
        assert lab.states() == ["QUEUED"]

    def test_a_hold_ends_with_the_lease_of_who_is_held(self, lab: Lab) -> None:
        slots = node(lab, 2)
        for slot in slots:
            ask(slot)
        lab.push(0, resources=wide(2))
        assert ask(slots[0]) is None
        lab.client.hset(keys.HOLD + "n", "s:n:gpu0", 1000)
        assert ask(slots[1]) is None
        assert slots[0].must_claim().gpus == ("0", "1")

    @pytest.mark.parametrize("end", ["canceled", "died", "drained"])
    def test_half_assembled(self, lab: Lab, end: str) -> None:
        """Nothing is left of an assembly for a job that is canceled; one whose slot died or is drained waits on."""
        slots = node(lab, 3)
        for slot in slots:
            ask(slot)
        lab.push(0, name="wide", resources=wide(3))
        lab.push(0, 1, 2, name="small")
        assert [ask(slot) for slot in slots[:2]] == [None, None]
        if end == "canceled":
            lab.store.cancel(lab.ids("wide"))
            assert lab.client.exists(keys.WAKE + "n:gpu0", keys.WAKE + "n:gpu1") == 2
        elif end == "died":
            lab.store.slot_dead(["n:gpu0"], "killed")
        else:
            lab.store.drain(["n:gpu0"], why="dust", by="me")
        if end == "drained":
            assert ask(slots[0]) is None
        assert [slot.must_claim().experiment for slot in slots[1:]] == ["small"] * 2
        assert lab.client.keys(keys.HOLD + "*") == []
        assert lab.store.audit() == []


class TestSeveral:
    def test_two_of_different_sizes_do_not_lock_each_other_out(self, lab: Lab) -> None:
        slots = node(lab, 4)
        lab.push(*range(4), name="first")
        for slot in slots:
            slot.must_claim()
        lab.push(0, name="four", resources=wide(4))
        lab.push(0, name="three", resources=wide(3))
        lab.push(0, name="two", resources=wide(2))
        for slot in slots[:3]:
            slot.finish()
            assert ask(slot) is None
        slots[3].finish()
        assert slots[3].must_claim().experiment == "four"
        slots[3].finish()
        assert [ask(slot) for slot in slots[:2]] == [None, None]
        assert slots[2].must_claim().experiment == "three"
        assert ask(slots[3]) is None
        slots[2].finish()
        assert slots[2].must_claim().experiment == "two"
        assert slots[2].held is not None and slots[2].held.gpus == ("2", "3")
        slots[2].finish()
        assert lab.states("four") + lab.states("three") + lab.states("two") == ["DONE"] * 3
        assert lab.store.audit() == []

    def test_one_assembly_at_a_time_on_a_node(self, lab: Lab) -> None:
        """A slot that is of no use to the first does not begin another set with what the first holds."""
        large = node(lab, 2)
        small = registered(lab, lab.slot("n:gpu2", node="n", gpus=("2",), gpu_memory=8 * GIB))
        lab.push(0, name="running")
        large[1].must_claim()
        lab.push(0, name="first", resources=wide(2, gpu_memory=20 * GIB))
        lab.push(0, name="second", resources=wide(2))
        lab.push(0, name="one")
        assert ask(large[0]) is None
        assert small.must_claim().experiment == "one"
        assert lab.client.hget(keys.HOLD + "n", "queue") == "first"
        large[1].finish()
        assert large[1].must_claim().experiment == "first"

    def test_a_better_one_takes_over_what_is_held(self, lab: Lab) -> None:
        slots = node(lab, 4)
        for slot in slots:
            ask(slot)
        lab.push(0, name="four", resources=wide(4))
        assert [ask(slot) for slot in slots[:3]] == [None] * 3
        lab.push(0, name="urgent", resources=wide(2), priority=1)
        assert ask(slots[0]) is None
        assert slots[1].must_claim().experiment == "urgent"
        assert isinstance(ask(slots[0]), Following)
        assert ask(slots[2]) is ask(slots[3]) is None

    def test_one_job_is_assembled_on_one_node(self, lab: Lab) -> None:
        nodes = [node(lab, 3, name) for name in "abc"]
        lab.push(*range(9), name="first")
        for slots in nodes:
            for slot in slots:
                slot.must_claim()
        lab.push(0, name="wide", resources=wide(3))
        lab.push(*range(20), name="small")
        for slots in nodes:
            slots[0].finish()
        assert ask(nodes[0][0]) is None
        assert nodes[1][0].must_claim().experiment == "small"
        assert nodes[2][0].must_claim().experiment == "small"
        lab.client.zadd(keys.HOLDING + "wide", {"a": (lab.store.now() - 700) * 1000})
        nodes[2][1].finish()
        assert ask(nodes[2][1]) is None  # the first node took too long

    def test_the_node_with_more_to_spare_takes_over(self, lab: Lab) -> None:
        a, b = node(lab, 3, "a"), node(lab, 3, "b")
        lab.push(*range(6), name="first")
        for slot in (*a, *b):
            slot.must_claim()
        lab.push(0, name="wide", resources=wide(3))
        a[0].finish()
        assert ask(a[0]) is None
        for slot in b[:2]:
            slot.finish()
        assert ask(b[0]) is ask(b[1]) is None
        assert ask(a[0]) is None
        assert lab.client.hget(keys.HOLD + "b", "queue") == "wide" and not lab.client.exists(keys.HOLD + "a")
        b[2].finish()
        assert b[2].must_claim().experiment == "wide"

    def test_an_idle_node_starts_it_at_once(self, lab: Lab) -> None:
        a, b = node(lab, 2, "a"), node(lab, 2, "b")
        for slot in (*a, *b):
            ask(slot)
        lab.push(0, 1, resources=wide(2))
        woken = {key.removeprefix(keys.WAKE) for key in lab.client.keys(keys.WAKE + "*")}
        assert woken == {"a:gpu0", "a:gpu1", "b:gpu0", "b:gpu1"}
        assert ask(a[0]) is None and ask(b[0]) is None
        assert {a[1].must_claim().index, b[1].must_claim().index} == {0, 1}

    def test_alternatives_of_one_and_of_several(self, lab: Lab) -> None:
        either = Resources.any_of([Resources(gpus=1, gpu_memory=40 * GIB), Resources(gpus=2, gpu_memory=20 * GIB)])
        lab.push(0, 1, resources=either)
        small, large = node(lab, 2, "small"), node(lab, 1, "large", gpu_memory=80 * GIB)
        assert large[0].must_claim().gpus == ()
        assert ask(small[0]) is None
        assert small[1].must_claim().gpus == ("0", "1")

    def test_max_running_is_in_jobs(self, lab: Lab) -> None:
        slots = node(lab, 4)
        lab.push(0, 1, resources=wide(2), max_running=1)
        assert ask(slots[0]) is None
        slots[1].must_claim()
        assert ask(slots[2]) is ask(slots[3]) is None
        slots[1].finish()
        assert ask(slots[2]) is None
        slots[3].must_claim()
        assert lab.store.audit() == []

    def test_two_claims_with_one_id_are_one(self, lab: Lab) -> None:
        slots = node(lab, 2)
        lab.push(0, 1, resources=wide(2))
        ask(slots[0])
        one, two = (slots[1].claim("same") for _ in range(2))
        assert one == two and one is not None and one.gpus == ("0", "1") and len(one.mates) == 1


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


class Chaos:
    """Slots of several nodes, and what befalls them at random. A slot knows what its process would: its job, or whom it
    follows; it never asks for work while either lasts."""

    def __init__(self, lab: Lab, seed: int) -> None:
        self.lab, self.dice, self.born = lab, random.Random(seed), 0
        self.reborn: set[Slot] = set()
        self.slots = [slot for name, n in (("a", 4), ("b", 3), ("c", 1)) for slot in node(lab, n, name)]

    def step(self) -> None:
        dice = self.dice
        slot = dice.choice(self.slots)
        what = dice.random()
        if what < 0.6:
            self.work(slot)
        elif what < 0.75:
            if slot.held:
                slot.finish(dice.choice([DONE, DONE, CRASHED]))
                slot.held = None
        elif what < 0.8:
            if slot.held:
                slot.release()
                slot.held = None
        elif what < 0.86:
            self.die(slot)
        elif what < 0.9:
            jobs = [row.id for name in "pqr" for row in self.lab.store.jobs(name) if row.state is S.QUEUED]
            if jobs:
                self.lab.store.cancel([dice.choice(jobs)])
        elif what < 0.95:
            self.lab.store.retry([row.id for row in self.lab.store.jobs(dice.choice("pqr")) if row.state is S.CANCELED])
        else:
            self.lab.hasten()
        self.check()

    def work(self, slot: Slot) -> None:
        if slot.held and slot.renew()[0] is Fenced.OURS:
            return
        slot.held = None
        if slot not in self.reborn or not self.lent(slot):  # a slot that starts on a GPU that is lent waits by itself
            self.reborn.discard(slot)
            ask(slot)

    def lent(self, slot: Slot) -> bool:
        """Does a job of another slot of its node run on its GPU, whether Redis knows or not?"""
        claims = [one.held for one in self.slots if one.held and one.offer.node == slot.offer.node]
        return any(slot.offer.gpus[0] in claim.gpus for claim in claims)

    def die(self, slot: Slot) -> None:
        self.born += 1
        self.lab.store.slot_dead([slot.offer.slot], "killed")
        name = f"{slot.offer.slot.partition('@')[0]}@{self.born:x}"
        offer = {"node": slot.offer.node, "gpus": slot.offer.gpus, "gpu_memory": slot.offer.gpu_memory}
        self.slots[self.slots.index(slot)] = reborn = registered(self.lab, self.lab.slot(name, **offer))
        self.reborn.add(reborn)

    def check(self) -> None:
        """No GPU has two jobs, neither in Redis nor in truth: what was lost runs until its slot hears of it."""
        used: set[tuple[str, str]] = set()
        for slot in self.slots:
            for gpu in (slot.held.gpus or slot.offer.gpus) if slot.held else ():
                assert (slot.offer.node, gpu) not in used
                used.add((slot.offer.node, gpu))
        taken: dict[tuple[str, str], str] = {}
        running = [row for name in "pqr" for row in self.lab.store.jobs(name) if row.state is S.RUNNING]
        for row in running:
            for gpu in row.gpus.split(","):
                assert taken.setdefault((row.node, gpu), row.id) == row.id
            assert len(row.gpus.split(",")) == len(row.mates) + 1

    def drain(self) -> None:
        for _ in range(4000):
            for slot in self.slots:
                if slot.held:
                    slot.finish()
                    slot.held = None
                self.work(slot)
            if not any(
                self.lab.store.experiment(name).counts.get(state) for name in "pqr" for state in (S.QUEUED, S.RUNNING)
            ):
                return
            self.lab.hasten()
        raise AssertionError("jobs are left")


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_no_gpu_is_shared_and_all_ends(lab: Lab, seed: int) -> None:
    chaos = Chaos(lab, seed)
    for name, priority in zip("pqr", (30, 42, 42), strict=True):
        for wants in (1, 2, 3, 4, 2, 1):
            first = chaos.dice.randrange(1000)
            lab.push(*range(first * 10, first * 10 + 3), name=name, resources=wide(wants), priority=priority, retries=2)
    for _ in range(250):
        chaos.step()
    chaos.drain()
    assert lab.store.audit() == []
    assert not lab.client.keys(keys.HOLDING + "*")
    states = {row.state for name in "pqr" for row in lab.store.jobs(name)}
    assert states <= {S.DONE, S.CANCELED, S.CRASHED}


class TestBackfill:
    @pytest.mark.parametrize("backfill", [True, False, None])
    def test_worse_priorities_wait_for_what_this_node_could_run(self, lab: Lab, backfill: bool | None) -> None:
        slots = node(lab, 2)
        weak = lab.slot("n:gpu7", node="n", gpus=("7",), gpu_memory=8 * GIB)
        lab.push(0, 1, name="first")
        for slot in slots:
            slot.must_claim()
        off = not backfill
        if backfill is not None:
            lab.store.set_pool("default", backfill=backfill)
        lab.push(0, name="large", resources=Resources(gpus=1, gpu_memory=20 * GIB))
        lab.push(0, name="equal")
        lab.push(0, name="worse", priority=50)
        assert weak.must_claim().experiment == "equal"
        weak.finish()
        found = weak.claim()
        assert found is None if off else found is not None
        slots[0].finish()
        assert slots[0].must_claim().experiment == "large"
        if off:
            assert weak.must_claim().experiment == "worse"

    def test_what_no_slot_here_could_run_blocks_nobody(self, lab: Lab) -> None:
        slots = node(lab, 2)
        lab.push(0, name="huge", resources=Resources(gpus=1, gpu_memory=99 * GIB), priority=1)
        lab.push(0, name="wide", resources=wide(3), priority=1)
        lab.push(0, name="cpu", resources=Resources(gpus=0), priority=1)
        lab.push(0, 1, name="small")
        assert [slot.must_claim().experiment for slot in slots] == ["small", "small"]

    def test_slots_without_a_gpu_are_not_blocked(self, lab: Lab) -> None:
        slots = node(lab, 2)
        lab.push(0, name="first")
        slots[0].must_claim()
        lab.push(0, name="wide", resources=wide(2), priority=1)
        lab.push(0, 1, name="small")
        assert ask(slots[1]) is None
        assert lab.slot("n:cpu", node="n").must_claim().experiment == "small"
