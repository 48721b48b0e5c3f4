"""A large lab: what one script call looks at is bounded, and the whole is complete all the same."""

from __future__ import annotations

from exs.model import Resources
from exs.store import keys
from store.actors import Lab

#: Above what one call looks at, and no multiple of it.
SLOTS = 450
EXPERIMENTS = 230
PLACES = 2100


def calls(lab: Lab) -> int:
    """Scripts called since Redis's statistics were reset."""
    return int(lab.client.info("commandstats")["cmdstat_evalsha"]["calls"])


def test_every_slot_of_a_large_fleet_is_listed_once(lab: Lab) -> None:
    for number in range(SLOTS):
        assert lab.slot(f"s{number}").claim() is None
    lab.client.config_resetstat()
    assert sorted(row.name for row in lab.store.workers()) == sorted(f"s{number}" for number in range(SLOTS))
    assert calls(lab) > 1


def test_every_experiment_is_listed_in_the_order_of_its_first_push(lab: Lab) -> None:
    names = [f"e{number * 7919 % EXPERIMENTS}" for number in range(EXPERIMENTS)]
    for number, name in enumerate(names):
        lab.push(number, name=name)
        lab.client.zadd(keys.EXPERIMENTS, {name: number})
    lab.client.config_resetstat()
    listed = lab.store.experiments()
    assert [row.name for row in listed] == names
    assert {row.jobs for row in listed} == {1}
    assert calls(lab) == -(-EXPERIMENTS // 100)


def test_an_experiment_is_kept_by_a_job_far_behind_those_that_were_removed(lab: Lab) -> None:
    lab.push(*range(PLACES))
    *others, last = lab.ids()
    assert lab.store.remove(others)["removed"] == PLACES - 1
    assert not lab.store.remove_experiment("e")
    assert lab.ids() == [last]
    lab.slot().must_claim()
    lab.store.slot_dead(["s1"], "killed")  # an attempt to be forgotten with it
    lab.client.delete(keys.RQ_JOB + last)  # as the dashboard does, without our count
    assert lab.store.remove_experiment("e")
    assert lab.store.experiments() == []
    assert not [key for key in lab.client.keys("*") if key.endswith(":e") or ":e:" in key or last in key]


def test_reaps_look_at_many_queues_in_turn(lab: Lab) -> None:
    """An experiment may have dozens: what a reap costs does not grow with all of them."""
    cost = []
    for first in (0, 4):
        for number in range(first, first + 4):
            for shape in range(20):
                lab.push(shape, name=f"e{number}", resources=Resources(gpu_memory=shape + 1))
        lab.client.hset(keys.PULSE, "next", 0)
        lab.contact()
        lab.client.config_resetstat()
        lab.store.reap()
        cost.append(sum(found["calls"] for found in lab.client.info("commandstats").values()))
    assert cost[1] < cost[0] * 1.1
    lab.client.delete(*lab.client.keys(keys.READY + "*"), keys.SHAPES + "default")
    for _ in range(3):
        lab.reap()
    slot = lab.slot(gpus=("0",), gpu_memory=1 << 40)
    assert {slot.must_claim().experiment for _ in range(160)} == {f"e{number}" for number in range(8)}
