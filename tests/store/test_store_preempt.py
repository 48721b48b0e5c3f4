"""Preemption: whose jobs are stopped for whom, how many, and what becomes of them."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import pytest

from exs.model import JobState, Resources, Scheduler, Update
from exs.store import keys
from store.actors import Lab, Slot
from store.test_store_gang import registered

S = JobState


@pytest.fixture(autouse=True)
def preempting(lab: Lab) -> None:
    lab.store.set_pool("default", preemption=True)


def fleet(lab: Lab, number: int, **offer: Any) -> list[Slot]:
    """So many slots on one node, each with a job."""
    slots = [lab.slot(f"s{n}", node="n", **offer) for n in range(number)]
    for slot in slots:
        slot.must_claim()
    return slots


def asked(slots: list[Slot]) -> set[str]:
    """`experiment/index` of what is asked to make room."""
    return {f"{c.experiment}/{c.index}" for slot in slots if (c := slot.held) and slot.renew()[1] == "preempt"}


def obey(slots: list[Slot]) -> list[Slot]:
    """Who is asked to stop does, and asks for the next job; returns these slots."""
    told = [slot for slot in slots if slot.held and slot.renew()[1] == "preempt"]
    for slot in told:
        slot.release()
        slot.claim()
    return told


class TestWhoIsStopped:
    def test_the_worst_placed_and_the_latest_of_it_and_no_more_than_needed(self, lab: Lab) -> None:
        lab.push(*range(3), name="soon", priority=50)
        lab.push(*range(3), name="late", priority=60)
        slots = fleet(lab, 6)
        lab.push(1, 2, name="urgent", priority=1)
        assert asked(slots) == {"late/1", "late/2"}
        assert len(obey(slots)) == 2
        assert Counter(slot.held.experiment for slot in slots if slot.held) == {"soon": 3, "urgent": 2, "late": 1}
        assert asked(slots) == set()
        assert lab.store.audit() == []

    def test_a_job_stopped_goes_back_to_its_place_unpunished_and_says_for_whom(self, lab: Lab) -> None:
        lab.push(*range(4), name="late", retries=0)
        slots = fleet(lab, 2)
        lab.push(1, name="urgent", priority=1)
        (job,) = [slot.held.job for slot in slots if slot.held and slot.renew()[1] == "preempt"]
        assert lab.store.job(job).state is S.PAUSING
        assert lab.store.job(job).preempted_by == "urgent"
        (slot,) = obey(slots)
        row = lab.store.job(job)
        assert (row.state, row.detail, row.lost, row.index) == (S.QUEUED, "preempted by urgent", 0, 1)
        assert lab.store.experiment("late").preempted_by == "urgent"
        slot.finish()
        assert slot.must_claim().job == job
        assert lab.store.experiment("late").preempted_by == ""
        assert lab.client.hget(keys.RQ_JOB + job, "pv") is None

    def test_a_job_lost_while_it_makes_room_is_not_blamed_for_that(self, lab: Lab) -> None:
        lab.push(1, name="late")
        (slot,) = fleet(lab, 1)
        job = slot.held.job
        lab.push(1, name="urgent", priority=1)
        assert slot.renew()[1] == "preempt"
        lab.store.slot_dead([slot.offer.slot], "its slot died")
        row = lab.store.job(job)
        assert (row.state, row.lost, row.history[0].failure) == (S.QUEUED, 0, "lost")
        assert lab.store.audit() == []

    def test_a_node_that_dies_has_the_pool_looked_at_once(self, lab: Lab) -> None:
        lab.push(*range(20), name="urgent", priority=1)
        slots = fleet(lab, 10)
        lab.push(*range(4), name="late")
        others = [lab.slot(f"o{n}", node="o") for n in range(4)]
        lab.store.pause_experiment("urgent", "ann")
        for slot in others:
            slot.must_claim()
        lab.store.activate_experiment("urgent")
        assert {slot.renew()[1] for slot in others} == {"preempt"}
        lab.client.config_resetstat()
        assert lab.store.slot_dead([slot.offer.slot for slot in slots], "power failure") == 10
        looks = lab.client.info("commandstats")["cmdstat_zrevrangebyscore"]["calls"]
        assert looks == 1
        assert lab.store.audit() == []

    def test_a_slot_that_leaves_after_its_job_is_of_no_use(self, lab: Lab) -> None:
        lab.push(*range(2), name="late")
        first, second = fleet(lab, 2)
        lab.client.hset(keys.RQ_WORKER + second.offer.slot, "birth", "now")
        second.renew(leaves=True)  # its job stands last
        lab.push(*range(2), name="urgent", priority=1)
        assert (first.renew()[1], second.renew()[1]) == ("preempt", "")

    def test_nothing_happens_where_it_is_off(self, lab: Lab) -> None:
        lab.store.set_pool("default", preemption=False)
        lab.push(1, name="late")
        slots = fleet(lab, 1)
        lab.push(1, name="urgent", priority=1)
        assert asked(slots) == set()
        lab.store.set_pool("default", preemption=True)
        assert asked(slots) == {"late/0"}

    def test_nobody_is_stopped_for_worse_or_equal(self, lab: Lab) -> None:
        lab.push(*range(4), name="first")
        slots = fleet(lab, 2)
        lab.push(1, name="second")
        lab.push(1, 2, 3, 4, 5, 6, name="first")
        assert asked(slots) == set()

    def test_who_may_not_be_stopped_is_not(self, lab: Lab) -> None:
        lab.push(*range(2), name="kept", priority=90, preemptible=False)
        lab.push(*range(2), name="late", priority=50)
        slots = fleet(lab, 4)
        lab.push(*range(9), name="urgent", priority=1)
        assert asked(slots) == {"late/0", "late/1"}

    def test_only_slots_that_fit_are_freed(self, lab: Lab) -> None:
        lab.push(0, name="old", priority=60)
        lab.push(0, name="older", priority=50)
        cpu, gpu = lab.slot("cpu", node="n"), lab.slot("gpu", node="n", gpus=("0",))
        assert cpu.must_claim().experiment == "older"
        assert gpu.must_claim().experiment == "old"
        lab.push(1, 2, name="urgent", priority=1, resources=Resources(gpus=0))
        assert asked([cpu, gpu]) == {"older/0"}

    def test_other_pools_are_left_alone(self, lab: Lab) -> None:
        lab.store.set_pool("a100", preemption=True)
        lab.push(0, name="here", priority=90)
        lab.push(0, name="there", priority=90, pool="a100")
        here, there = lab.slot("s1"), lab.slot("s2", pools=("a100",))
        here.must_claim()
        there.must_claim()
        lab.push(*range(5), name="urgent", priority=1, pool="a100")
        assert asked([here, there]) == {"there/0"}

    def test_a_slot_of_one_experiment_is_left_alone(self, lab: Lab) -> None:
        lab.push(0, name="mine", priority=90)
        slot = lab.slot("s1", only="mine")
        slot.must_claim()
        lab.store.node_up("s1-node", "boot-1", "machine", 1)
        lab.client.hset(keys.RQ_WORKER + "s1", "exs_only", "mine")
        lab.push(1, name="urgent", priority=1)
        assert asked([slot]) == set()

    def test_neither_drained_nor_silent_slots_are_freed(self, lab: Lab) -> None:
        lab.push(*range(3), name="late", priority=60)
        slots = fleet(lab, 3)
        assert slots[0].held and slots[1].held
        lab.store.drain(["s0"], by="ann")
        lab.silence(slots[1].held.job, 5.0)
        lab.push(*range(3), name="urgent", priority=1)
        assert asked(slots) == {"late/2"}

    def test_a_limit_of_the_waiting_experiment_counts(self, lab: Lab) -> None:
        lab.push(*range(3), name="late", priority=60)
        slots = fleet(lab, 3)
        lab.push(*range(5), name="urgent", priority=1, max_running=2)
        assert asked(slots) == {"late/1", "late/2"}


class TestNeverTwice:
    def test_for_the_same_need(self, lab: Lab) -> None:
        lab.push(*range(4), name="late", priority=60)
        slots = fleet(lab, 4)
        lab.push(1, name="urgent", priority=1)
        first = asked(slots)
        lab.push(1, name="urgent", priority=1)
        lab.store.set_pool("default", preemption=True)
        lab.reap()
        assert asked(slots) == first == {"late/3"}
        # The slot is off its job and has not asked for the next one.
        (told,) = [slot for slot in slots if slot.renew()[1] == "preempt"]
        told.release()
        told.held = None
        lab.reap()
        assert asked(slots) == set()
        assert told.must_claim().experiment == "urgent"
        assert lab.client.hgetall(keys.COMING + "default") != {}
        lab.reap()
        assert asked(slots) == set()
        assert lab.client.hgetall(keys.COMING + "default") == {}

    def test_not_for_an_idle_slot_that_is_on_its_way(self, lab: Lab) -> None:
        lab.push(*range(2), name="late", priority=60)
        slots = fleet(lab, 2)
        idle = lab.slot("idle", node="n")
        assert idle.claim() is None
        lab.push(1, name="urgent", priority=1)
        lab.push(1, name="urgent", priority=1)
        lab.reap()
        assert asked(slots) == set()
        lab.push(2, name="urgent", priority=1)
        assert asked(slots) == {"late/1"}

    def test_not_when_the_slot_dies_over_it(self, lab: Lab) -> None:
        lab.push(*range(3), name="late", priority=60)
        slots = fleet(lab, 3)
        lab.push(1, name="urgent", priority=1)
        lab.store.slot_dead(["s2"], "killed")
        lab.reap()
        slots[2].held = None
        assert asked(slots) == set()
        assert lab.slot("s2b", node="n").must_claim().experiment == "urgent"

    def test_but_for_a_slot_that_never_came(self, lab: Lab) -> None:
        lab.push(*range(3), name="late", priority=60)
        slots = fleet(lab, 3)
        lab.push(1, name="urgent", priority=1)
        lab.store.slot_dead(["s2"], "killed")
        slots[2].held = None
        (entry,) = lab.client.hgetall(keys.COMING + "default").values()
        lab.reap()
        old = json.loads(entry) | {"ms": 1, "at": ""}
        lab.client.hset(keys.COMING + "default", "s2", json.dumps(old))
        lab.reap()
        assert asked(slots) == {"late/1"}

    def test_a_job_that_is_stopped_anyhow_makes_room(self, lab: Lab) -> None:
        lab.push(*range(2), name="late", priority=60)
        slots = fleet(lab, 2)
        assert slots[0].held
        lab.store.cancel([slots[0].held.job])
        lab.push(1, name="urgent", priority=1)
        assert asked(slots) == set()

    @pytest.mark.parametrize("junk", ["", "[]", "{}", "nonsense", '{"at": 1}'])
    def test_what_cannot_be_read_is_forgotten(self, lab: Lab, junk: str) -> None:
        lab.push(0, name="late", priority=60)
        slots = fleet(lab, 1)
        lab.client.hset(keys.COMING + "default", "s9", junk)
        lab.push(1, name="urgent", priority=1)
        assert asked(slots) == {"late/0"}


class TestMoves:
    """Determined's document: with preemption on, a move in the queue swaps what runs and what waits."""

    def move(self, lab: Lab, *words: str) -> None:
        lab.store.update([Update(*words)])

    @pytest.mark.parametrize(
        "change",
        [("second", "ahead-of", "first"), ("first", "behind-of", "second"), ("second", "priority", "1"),
         ("first", "priority", "90"), ("second", "to-top", "")],
    )  # fmt: skip
    def test_what_is_moved_ahead_takes_the_slot(self, lab: Lab, change: tuple[str, ...]) -> None:
        lab.push(0, name="first")
        slots = fleet(lab, 1)
        lab.push(0, name="second")
        assert asked(slots) == set()
        self.move(lab, *change)
        assert asked(slots) == {"first/0"}
        obey(slots)
        assert slots[0].held and slots[0].held.experiment == "second"
        self.move(lab, "first", "ahead-of", "second")
        obey(slots)
        assert slots[0].held.experiment == "first"
        assert lab.store.audit() == []


@pytest.mark.parametrize("seed", range(5))
def test_whatever_happens_the_best_placed_run_and_nobody_is_stopped_for_nothing(lab: Lab, seed: int) -> None:
    """Random pushes, moves and ends; once everybody did what was asked, what waits is no better placed than what runs,
    and nothing was stopped whose own experiment took the slot."""
    chance = random.Random(seed)
    slots = [lab.slot(f"s{n}", node="n") for n in range(6)]
    names = [f"e{n}" for n in range(5)]
    for step in range(60):
        what = chance.random()
        name = chance.choice(names)
        if what < 0.4:
            lab.push(*range(step * 10, step * 10 + chance.randint(1, 4)), name=name, priority=chance.randint(1, 9))
        elif what < 0.5 and lab.client.exists(keys.EXPERIMENT + name):
            lab.store.update([Update(name, "priority", str(chance.randint(1, 9)))])
        else:
            for slot in chance.sample(slots, 2):
                if slot.held:
                    slot.finish()
                slot.held = None
                slot.claim()
        waiting = sum(row.counts[S.QUEUED] for row in lab.store.experiments())
        told = [slot for slot in slots if slot.held and slot.renew()[1] == "preempt"]
        assert len(told) <= waiting
        before = Counter(slot.held.experiment for slot in told if slot.held)
        for slot in told:
            slot.release()
            slot.held = None
        for slot in [*told, *slots]:
            if not slot.held:
                slot.claim()
        after = Counter(slot.held.experiment for slot in told if slot.held)
        assert not before & after, "a job was stopped and its own experiment took the slot"
        order = lab.client.zrange(keys.ORDER + "default", 0, -1)
        rows = {row.name: row for row in lab.store.experiments()}
        run = [order.index(slot.held.experiment) for slot in slots if slot.held]
        wait = [order.index(name) for name, row in rows.items() if row.counts[S.QUEUED]]
        assert not wait or (len(run) == 6 and max(run) <= min(wait))
    assert lab.store.audit() == []


class TestGangs:
    """A job of k GPUs needs k slots of one node."""

    @pytest.fixture
    def nodes(self, lab: Lab) -> dict[str, list[Slot]]:
        """Two nodes of three slots, all busy: on `a` with jobs that stand last, on `b` with others."""
        found = {}
        lab.store.set_pool("default", preemption=False)
        for name, priority in (("a", 70), ("b", 60)):
            lab.push(*range(3), name=f"late-{name}", priority=priority, resources=Resources(gpus=1))
            found[name] = [registered(lab, lab.slot(f"{name}:gpu{i}", node=name, gpus=(str(i),))) for i in range(3)]
            for slot in found[name]:
                slot.must_claim()
        lab.store.set_pool("default", preemption=True)
        return found

    def test_no_more_is_stopped_than_it_needs_of_one_node(self, lab: Lab, nodes: dict[str, list[Slot]]) -> None:
        lab.push(1, name="wide", priority=1, resources=Resources(gpus=2))
        assert asked(nodes["a"]) == {"late-a/1", "late-a/2"}
        assert asked(nodes["b"]) == set()
        told = [slot for slot in nodes["a"] if slot.renew()[1] == "preempt"]
        for slot in told:
            slot.release()
            slot.held = None
            lab.reap()
        claims = [slot.claim() for slot in told]
        assert [claim.experiment for claim in claims if claim] == ["wide"]
        lab.reap()
        assert asked(nodes["a"][:1]) == asked(nodes["b"]) == set()
        assert lab.store.audit() == []

    def test_the_node_where_least_has_to_be_stopped(self, lab: Lab, nodes: dict[str, list[Slot]]) -> None:
        nodes["b"][0].finish()
        assert nodes["b"][0].claim() is None
        lab.reap()  # the last for a while
        lab.push(1, name="wide", priority=1, resources=Resources(gpus=2))
        assert asked(nodes["a"]) == set()
        assert asked(nodes["b"][1:]) == {"late-b/2"}

    def test_none_where_no_node_has_enough(self, lab: Lab, nodes: dict[str, list[Slot]]) -> None:
        lab.push(1, name="wide", priority=1, resources=Resources(gpus=4))
        lab.push(1, name="better", priority=65, resources=Resources(gpus=2))
        assert asked(nodes["a"]) == {"late-a/1", "late-a/2"}
        assert asked(nodes["b"]) == set()

    def test_a_wide_job_that_is_stopped_makes_room_for_as_many(self, lab: Lab) -> None:
        lab.push(1, name="wide", priority=90, resources=Resources(gpus=2))
        pair = [registered(lab, lab.slot(f"c:gpu{i}", node="c", gpus=(str(i),))) for i in range(2)]
        assert pair[0].claim() is None
        assert pair[1].must_claim().experiment == "wide"
        single = lab.slot("d:gpu0", node="d", gpus=("0",))
        lab.push(1, name="late", priority=80)
        single.must_claim()
        lab.push(1, 2, name="first", priority=1, resources=Resources(gpus=1))
        assert asked([pair[1]]) == {"wide/0"}
        assert asked([single]) == set()
        lab.push(3, name="first", priority=1, resources=Resources(gpus=1))
        assert asked([single]) == {"late/0"}


class TestFairShare:
    """In a fair-share pool who has most gives."""

    @pytest.fixture(autouse=True)
    def fair(self, lab: Lab) -> None:
        lab.store.set_pool("default", scheduler=Scheduler.FAIR_SHARE)

    def test_who_came_late_gets_its_share_at_once_and_no_more(self, lab: Lab) -> None:
        lab.push(*range(100), name="big")
        slots = fleet(lab, 8)
        lab.push(*range(100), name="late")
        for _ in range(3):
            obey(slots)
            lab.reap()
        assert Counter(slot.held.experiment for slot in slots if slot.held) == {"big": 4, "late": 4}
        assert asked(slots) == set()
        assert lab.store.audit() == []

    def test_who_has_nothing_gets_one_from_who_has_two(self, lab: Lab) -> None:
        lab.push(*range(10_000), name="big")
        slots = fleet(lab, 2)
        lab.push(1, name="small")
        lab.push(1, name="smaller")
        obey(slots)
        lab.reap()
        assert Counter(slot.held.experiment for slot in slots if slot.held) == {"big": 1, "small": 1}
        assert asked(slots) == set()

    def test_who_may_not_be_stopped_gives_nothing(self, lab: Lab) -> None:
        lab.push(*range(100), name="kept", preemptible=False)
        slots = fleet(lab, 4)
        lab.push(*range(100), name="late")
        assert asked(slots) == set()

    def test_weights_say_who_has_most(self, lab: Lab) -> None:
        lab.push(*range(100), name="heavy", weight=3.0)
        slots = fleet(lab, 8)
        lab.push(*range(100), name="light")
        obey(slots)
        lab.reap()
        assert Counter(slot.held.experiment for slot in slots if slot.held) == {"heavy": 6, "light": 2}
        assert asked(slots) == set()
