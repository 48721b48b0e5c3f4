"""A large lab: what one script call looks at is bounded, and the whole is complete all the same."""

from __future__ import annotations

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
    lab.client.delete(keys.RQ_JOB + last)  # as the dashboard does, without our count
    assert lab.store.remove_experiment("e")
    assert lab.store.experiments() == []
    assert not [key for key in lab.client.keys("*") if key.endswith(":e") or ":e:" in key]
