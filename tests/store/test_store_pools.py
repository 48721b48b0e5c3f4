"""Pools: fair shares, what a switch of the scheduler does, weights."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from exs.model import Resources, Scheduler
from exs.rows import PoolSettings
from exs.store import keys
from store.actors import CRASHED, DONE, Lab, Slot

FAIR = Scheduler.FAIR_SHARE


def slots(lab: Lab, number: int, **offer: Any) -> list[Slot]:
    return [lab.slot(f"s{n}", **offer) for n in range(number)]


def shares(slots: Sequence[Slot]) -> dict[str, int]:
    """How many of the slots each experiment gets when all ask."""
    return dict(Counter(slot.must_claim().experiment for slot in slots))


class TestFairShare:
    @pytest.fixture(autouse=True)
    def fair(self, lab: Lab) -> None:
        lab.store.set_pool("default", scheduler=FAIR)

    def test_slots_go_by_demand(self, lab: Lab) -> None:
        lab.push(*range(10), name="a")
        lab.push(*range(30), name="b")
        assert shares(slots(lab, 8)) == {"a": 2, "b": 6}

    def test_and_by_weight(self, lab: Lab) -> None:
        lab.push(*range(10), name="a", weight=3.0)
        lab.push(*range(30), name="b", weight=1.0)
        assert shares(slots(lab, 8)) == {"a": 4, "b": 4}

    def test_they_stay_so_while_jobs_end(self, lab: Lab) -> None:
        lab.push(*range(40), name="a")
        lab.push(*range(120), name="b")
        fleet = slots(lab, 8)
        shares(fleet)
        for n in range(80):
            slot = fleet[n % 8]
            slot.finish(CRASHED if n % 5 == 0 else DONE)
            slot.must_claim()
            if n % 8 == 7:
                running = Counter(one.held.experiment for one in fleet if one.held)
                assert 1 <= running["a"] <= 3
        assert lab.store.audit() == []

    def test_a_small_late_experiment_gets_the_next_free_slot(self, lab: Lab) -> None:
        lab.push(*range(10_000), name="big")
        fleet = slots(lab, 4)
        shares(fleet)
        lab.push(1, name="small", priority=99)
        fleet[0].finish()
        assert fleet[0].must_claim().experiment == "small"

    def test_who_came_first_goes_first_among_those_with_nothing(self, lab: Lab) -> None:
        for name in ("z", "y", "x"):
            lab.push(*range(5), name=name)
        assert [slot.must_claim().experiment for slot in slots(lab, 3)] == ["z", "y", "x"]

    def test_a_limit_is_part_of_the_demand(self, lab: Lab) -> None:
        lab.push(*range(1000), name="capped", max_running=2)
        lab.push(*range(10), name="free")
        assert shares(slots(lab, 8)) == {"capped": 2, "free": 6}

    def test_jobs_of_one_experiment_keep_their_order(self, lab: Lab) -> None:
        lab.push(*range(3), resources=Resources(gpus=1))
        lab.push(*range(3, 6))
        lab.push(*range(6, 9), resources=Resources(gpus=1))
        taken = [slot.must_claim().index for slot in slots(lab, 9, gpus=("0",))]
        assert taken == list(range(9))

    def test_a_new_push_counts_at_once(self, lab: Lab) -> None:
        lab.push(*range(4), name="a")
        lab.push(*range(4), name="b")
        fleet = slots(lab, 8)
        assert shares(fleet[:4]) == {"a": 2, "b": 2}
        lab.push(*range(40), name="b")
        assert shares(fleet[4:]) == {"b": 4}

    def test_a_weight_that_a_file_names_anew_replaces_what_was_set(self, lab: Lab) -> None:
        lab.push(1, weight=2.0)
        lab.client.hset(keys.EXPERIMENT + "e", "weight", "5")
        lab.push(1, weight=2.0)
        assert lab.store.experiment("e").weight == 5
        lab.push(1)
        assert lab.store.experiment("e").weight == 5
        lab.push(1, weight=3.0)
        assert lab.store.experiment("e").weight == 3

    @pytest.mark.parametrize("weight", ["nan", "-1", "0", "inf", "0x", "1e400", ""])
    def test_what_is_no_weight_counts_as_one(self, lab: Lab, weight: str) -> None:
        lab.push(*range(10), name="a")
        lab.push(*range(30), name="b")
        lab.client.hset(keys.EXPERIMENT + "a", "weight", weight)
        lab.store.set_pool("default", scheduler=FAIR)
        assert shares(slots(lab, 8)) == {"a": 2, "b": 6}
        assert lab.store.experiment("a").weight == 1

    @pytest.mark.parametrize("seed", range(6))
    def test_nobody_is_above_its_share_while_another_is_below(self, lab: Lab, seed: int) -> None:
        """Random demands, weights, limits, claims and ends: every claim goes to who has least of what it may have, and
        right after all slots asked nobody has a slot more than its share rounded up."""
        chance = random.Random(seed)
        fleet = slots(lab, 12)
        weights: dict[str, float] = {}
        limits: dict[str, int | None] = {}
        for n in range(6):
            name = f"e{n}"
            weights[name] = chance.choice([0.5, 1.0, 1.0, 2.5])
            limits[name] = chance.choice([None, None, 1, 3])
            lab.push(*range(chance.randint(1, 30)), name=name, weight=weights[name], max_running=limits[name])
        for _ in range(120):
            slot = chance.choice(fleet)
            if slot.held:
                chance.choice([slot.finish, slot.release])()
                slot.held = None
            rows = {row.name: row.counts for row in lab.store.experiments()}
            left = {name: sum(counts[s] for s in counts if s.value == "QUEUED") for name, counts in rows.items()}
            runs = Counter(one.held.experiment for one in fleet if one.held)

            def used(name: str, left: dict[str, int] = left, runs: Counter[str] = runs) -> float:
                demand = min(left[name] + runs[name], limits[name] or 10**9)
                return runs[name] / (weights[name] * demand)

            able = [name for name in left if left[name] and runs[name] < (limits[name] or 10**9)]
            claim = slot.claim()
            assert (claim is None) == (not able)
            if claim:
                assert used(claim.experiment) == min(map(used, able))
        assert lab.store.audit() == []


class TestPool:
    def test_a_switch_sorts_what_waits_and_what_runs(self, lab: Lab) -> None:
        for n in range(130):
            lab.push(*range(3), name=f"e{n}")
        fleet = slots(lab, 4)
        assert shares(fleet[:2]) == {"e0": 2}
        assert lab.store.set_pool("default", scheduler=FAIR)
        assert not lab.store.set_pool("default", scheduler=FAIR)
        assert [slot.must_claim().experiment for slot in fleet[2:]] == ["e1", "e2"]
        fleet[0].finish()
        assert fleet[0].must_claim().experiment == "e3"
        lab.store.set_pool("default", scheduler=Scheduler.PRIORITY)
        assert lab.slot("more").must_claim().experiment == "e0"
        fleet[1].finish()
        assert fleet[1].must_claim().experiment == "e1"
        assert lab.client.exists(keys.EXPERIMENT + "e1") and not lab.client.hget(keys.EXPERIMENT + "e1", "fair")
        assert lab.store.audit() == []

    def test_other_pools_are_left_alone(self, lab: Lab) -> None:
        lab.store.set_pool("a100", scheduler=FAIR)
        lab.push(*range(5), name="first")
        lab.push(*range(5), name="second")
        assert shares(slots(lab, 3)) == {"first": 3}

    def test_a_slot_of_two_pools_serves_the_one_named_first(self, lab: Lab) -> None:
        lab.store.set_pool("a100", scheduler=FAIR)
        lab.push(*range(4), name="here")
        lab.push(*range(4), name="there", pool="a100")
        assert lab.slot("s1", pools=("a100", "default")).must_claim().experiment == "there"
        assert lab.slot("s2", pools=("default", "a100")).must_claim().experiment == "here"

    def test_an_experiment_that_moves_to_a_fair_pool_shares_there(self, lab: Lab) -> None:
        lab.store.set_pool("a100", scheduler=FAIR)
        lab.push(*range(4), name="mover")
        lab.push(*range(4), name="there", pool="a100")
        lab.push(*range(4), name="mover", pool="a100")
        assert shares(slots(lab, 2, pools=("a100",))) == {"there": 1, "mover": 1}
        lab.push(*range(4), name="mover", pool="default")
        assert lab.slot("s1").must_claim().experiment == "mover"
        assert lab.store.audit() == []

    def test_what_is_not_named_stays(self, lab: Lab) -> None:
        assert lab.store.pools() == {}
        lab.store.set_pool("a100", preemption=True)
        lab.store.set_pool("a100", backfill=True, preemption=False)
        lab.store.set_pool("a100", scheduler=FAIR)
        assert lab.store.pools() == {"a100": PoolSettings(FAIR, preemption=False, backfill=True)}

    def test_no_step_of_a_switch_is_long(self, lab: Lab) -> None:
        """Experiments are put in place so many queues at a time, one of very many queues included."""
        for n in range(250):
            lab.push(1, name=f"e{n}")
        lab.client.config_resetstat()
        lab.store.set_pool("default", scheduler=FAIR)
        assert lab.client.info("commandstats")["cmdstat_evalsha"]["calls"] >= 4
