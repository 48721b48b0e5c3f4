"""The order of the queue, and what people change of it."""

from __future__ import annotations

import random

import pytest

from exs.errors import InputError, NotFound
from exs.model import Resources, Update
from exs.store import keys
from exs.store.order import MOST_UPDATES
from store.actors import ME, Lab

LANE = 2**38


def order(lab: Lab, pool: str = "default") -> list[str]:
    """The experiments of a pool in scheduling order."""
    return [row.experiment for row in lab.store.queue(pool).rows]


def update(lab: Lab, target: str, operation: str, value: str = "") -> str:
    """Make one change; what it was before and after."""
    (change,) = lab.store.update([Update(target, operation, value)])
    return f"{change.before} {change.after}"


def claimed(lab: Lab, pool: str = "default") -> list[str]:
    """Take one job after the other until none is left: the experiments in the order in which they came."""
    slot = lab.slot("taker", pools=(pool,))
    found: list[str] = []
    while claim := slot.claim():
        found.append(claim.experiment)
        slot.finish()
    return found


@pytest.fixture
def three(lab: Lab) -> Lab:
    for name in ("a", "b", "c"):
        lab.push(1, name=name)
    return lab


class TestPlace:
    @pytest.mark.parametrize(
        ("target", "operation", "value", "after"),
        [
            ("c", "ahead-of", "a", "cab"),
            ("c", "ahead-of", "b", "acb"),
            ("a", "behind-of", "b", "bac"),
            ("a", "behind-of", "c", "bca"),
            ("c", "to-top", "", "cab"),
            ("a", "to-top", "", "abc"),
            ("a", "ahead-of", "b", "abc"),
            ("b", "behind-of", "a", "abc"),
            ("b", "ahead-of", "b", "abc"),
        ],
    )
    def test_moves_are_seen_in_the_queue_and_in_what_is_claimed(
        self, three: Lab, target: str, operation: str, value: str, after: str
    ) -> None:
        before = three.client.zrange(keys.ORDER + "default", 0, -1, withscores=True)
        update(three, target, operation, value)
        assert order(three) == list(after)
        if after == "abc":
            assert three.client.zrange(keys.ORDER + "default", 0, -1, withscores=True) == before
        assert claimed(three) == list(after)
        assert three.store.audit() == []

    def test_the_priority_of_the_anchor_is_taken(self, three: Lab) -> None:
        update(three, "b", "priority", "7")
        assert update(three, "c", "ahead-of", "b") == "42 7"
        assert order(three) == ["c", "b", "a"]
        assert three.store.experiment("c").priority == 7

    def test_a_later_push_stands_behind_what_was_moved_behind_all(self, three: Lab) -> None:
        for _ in range(30):
            update(three, "a", "behind-of", "c")
            update(three, "b", "behind-of", "a")
            update(three, "c", "behind-of", "b")
        three.push(1, name="d")
        assert order(three) == ["a", "b", "c", "d"]

    def test_to_top_passes_what_is_over(self, three: Lab) -> None:
        three.push(1, name="first", priority=1)
        three.store.cancel(three.ids("first"))
        assert update(three, "c", "to-top") == "42 42"
        assert order(three) == ["c", "a", "b"]

    def test_names_ids_and_last_mean_the_same(self, three: Lab) -> None:
        ids = {name: three.store.experiment(name).id for name in "abc"}
        update(three, ids["c"], "ahead-of", ids["a"])
        assert order(three) == ["c", "a", "b"]
        update(three, "last", "behind-of", "b")
        assert order(three) == ["a", "b", "c"]


def scores(lab: Lab, pool: str = "default") -> list[int]:
    found = [score for _, score in lab.client.zrange(keys.ORDER + pool, 0, -1, withscores=True)]
    assert all(score == int(score) for score in found)
    return [int(score) for score in found]


class TestNumbers:
    def test_thousands_of_moves_keep_a_total_order_of_whole_numbers(self, lab: Lab) -> None:
        names = [f"e{n}" for n in range(12)]
        for name in names:
            lab.push(1, name=name)
        chance = random.Random(5)
        for _ in range(25):
            batch = []
            for _ in range(MOST_UPDATES):
                target, anchor = chance.sample(names[: chance.choice((2, 3, 12))], 2)
                operation = chance.choice(("ahead-of", "behind-of"))
                batch.append(Update(target, operation, anchor))
                names.remove(target)
                names.insert(names.index(anchor) + (operation == "behind-of"), target)
            lab.store.update(batch)
            assert order(lab) == names
            found = scores(lab)
            assert len(set(found)) == len(found)
            assert all(0 < score % LANE < LANE - 4096 and score // LANE == 42 for score in found)
            assert all(score * 128 + 127 < 2**53 for score in found)
        assert claimed(lab) == names

    def test_a_queue_without_gaps_gets_them_when_they_are_needed(self, lab: Lab) -> None:
        """What exs wrote before: positions 1, 2, 3."""
        for n in range(40):
            lab.push(1, name=f"e{n}")
            lab.client.zadd(keys.ORDER + "default", {f"e{n}": 42 * LANE + n + 1})
        lab.client.set(keys.POSITION, 40)
        update(lab, "e39", "ahead-of", "e1")
        update(lab, "e38", "ahead-of", "e1")
        expected = ["e0", "e39", "e38", *(f"e{n}" for n in range(1, 38))]
        assert order(lab) == expected
        lab.push(1, name="later")
        assert order(lab) == [*expected, "later"]
        assert claimed(lab) == [*expected, "later"]

    def test_used_up_numbers_are_given_out_anew(self, three: Lab) -> None:
        three.push(1, name="urgent", priority=3)
        three.push(1, name="apart", pool="a100")
        three.client.set(keys.POSITION, LANE - 5000)
        three.push(1, name="last")
        assert order(three) == ["urgent", "a", "b", "c", "last"]
        assert scores(three)[-1] % LANE == 6 * 4096
        assert order(three, "a100") == ["apart"]
        assert claimed(three) == ["urgent", "a", "b", "c", "last"]


class TestPriority:
    def test_experiments_of_one_priority_keep_the_order_of_their_pushes(self, three: Lab) -> None:
        assert update(three, "b", "priority", "1") == "42 1"
        update(three, "a", "priority", "1")
        assert order(three) == ["a", "b", "c"]
        update(three, "a", "priority", "99")
        assert order(three) == ["b", "c", "a"]
        assert update(three, "a", "priority", "99") == "99 99"

    def test_two_of_one_position_stand_beside_each_other(self, three: Lab) -> None:
        three.client.zadd(keys.ORDER + "default", {"b": 7 * LANE + scores(three)[0] % LANE})
        update(three, "a", "priority", "7")
        assert order(three) == ["b", "a", "c"]
        assert len(set(scores(three))) == 3

    def test_a_push_of_the_same_file_leaves_what_was_set(self, three: Lab) -> None:
        update(three, "b", "priority", "1")
        update(three, "c", "resource-pool", "a100")
        update(three, "a", "max-slots", "3")
        for name in ("a", "b", "c"):
            three.push(1, 2, name=name)
        assert order(three) == ["b", "a"] and order(three, "a100") == ["c"]
        assert three.store.experiment("a").max_running == 3
        three.push(1, name="b", priority=50)
        three.push(1, name="c", pool="v100")
        three.push(1, name="a", max_running=2)
        assert order(three) == ["a", "b"] and order(three, "v100") == ["c"]
        assert three.store.experiment("a").max_running == 2


class TestPool:
    def test_what_waits_is_claimed_in_the_new_pool_and_what_runs_goes_on(self, lab: Lab) -> None:
        lab.push(1, 2)
        slot = lab.slot("s1")
        slot.must_claim()
        (change,) = lab.store.update([Update("e", "resource-pool", "a100")])
        assert (change.before, change.after, change.running, change.workers) == ("default", "a100", 1, 0)
        assert slot.renew()[1] == ""
        assert slot.finish().value == "ours"
        assert slot.claim() is None
        assert lab.slot("s2", pools=("a100",)).must_claim().index == 1
        assert update(lab, "e", "resource-pool", "a100") == "a100 a100"
        assert lab.store.audit() == []

    def test_an_idle_slot_of_the_new_pool_is_woken(self, lab: Lab) -> None:
        lab.push(1)
        assert lab.slot("s2", pools=("a100",)).claim() is None
        update(lab, "e", "resource-pool", "a100")
        assert lab.client.llen(keys.WAKE + "s2") == 1

    def test_a_pool_that_nobody_named_is_not_found(self, lab: Lab) -> None:
        assert lab.store.queue().rows == ()
        with pytest.raises(NotFound, match="no pool 'a1OO'"):
            lab.store.queue("a1OO")


def test_a_pull_experiment_has_a_priority_but_no_place(three: Lab) -> None:
    three.store.add_experiment("mine", ME)
    for operation, value in (("resource-pool", "a100"), ("to-top", ""), ("ahead-of", "a")):
        with pytest.raises(InputError, match="mine is a pull experiment"):
            update(three, "mine", operation, value)
    assert update(three, "mine", "priority", "7") == "42 7"
    assert order(three) == ["a", "b", "c"]


class TestSlots:
    def test_at_most_so_many_run(self, lab: Lab) -> None:
        lab.push(1, 2, 3)
        assert update(lab, "e", "max-slots", "1") == " 1"
        lab.slot("s1").must_claim()
        assert lab.slot("s2").claim() is None
        assert update(lab, "e", "max-slots", "none") == "1 "
        lab.slot("s2").must_claim()

    def test_jobs_of_several_gpus_take_as_many_slots(self, lab: Lab) -> None:
        lab.push(1, 2, 3, resources=Resources(gpus=2))
        update(lab, "e", "max-slots", "5")
        assert lab.store.experiment("e").max_running == 2
        with pytest.raises(InputError, match="takes 2 slots"):
            update(lab, "e", "max-slots", "1")
        (row,) = lab.store.queue().rows
        assert (row.acquired, row.needed) == (0, 4)


class TestBatch:
    def test_all_or_nothing_naming_the_one_that_fails(self, three: Lab) -> None:
        batch = [Update("a", "priority", "1"), Update("b", "resource-pool", "a100"), Update("c", "ahead-of", "b")]
        before = three.client.dbsize()
        with pytest.raises(InputError, match=r"^c\.ahead-of=b: c is in pool default, and b in pool a100"):
            three.store.update(batch)
        assert three.client.dbsize() == before
        assert order(three) == ["a", "b", "c"]
        assert three.store.experiment("a").priority == 42
        three.store.update([*batch[:2], Update("c", "resource-pool", "a100"), batch[2]])
        assert order(three) == ["a"] and order(three, "a100") == ["c", "b"]

    def test_is_one_call_of_redis(self, three: Lab) -> None:
        three.store.update([Update("a", "priority", "1")])
        three.client.config_resetstat()
        three.store.update([Update(name, "priority", "9") for name in "abc"])
        stats = three.client.info("commandstats")
        assert stats["cmdstat_evalsha"]["calls"] == 1
        assert not {"cmdstat_exec", "cmdstat_eval"} & set(stats)

    @pytest.mark.parametrize(
        ("operation", "value", "said"),
        [
            ("priority", "0", "from 1 to 99"),
            ("priority", "100", "from 1 to 99"),
            ("priority", "1.5", "from 1 to 99"),
            ("weight", "0", "above 0"),
            ("weight", "nan", "above 0"),
            ("weight", "inf", "above 0"),
            ("resource-pool", "a b", "cannot name a pool"),
            ("resource-pool", "", "name of a pool"),
            ("max-slots", "0", "from 1, or none"),
            ("max-slots", "-1", "from 1, or none"),
            ("ahead-of", "", "another experiment"),
            ("ahead-of", "nobody", "no experiment or job 'nobody'"),
            ("to-top", "no", "true"),
            ("colour", "red", "There are: priority, weight"),
        ],
    )
    def test_bad_values_change_nothing(self, three: Lab, operation: str, value: str, said: str) -> None:
        with pytest.raises(InputError) as caught:
            three.store.update([Update("a", "priority", "1"), Update("b", operation, value)])
        assert str(caught.value).startswith(f"b.{operation}") and said in str(caught.value)
        assert three.store.experiment("a").priority == 42


class TestFairShare:
    def test_order_is_refused_and_weights_are_kept(self, three: Lab) -> None:
        three.client.hset(keys.POOL + "default", "scheduler", "fair_share")
        for operation, value in (("ahead-of", "a"), ("behind-of", "a"), ("to-top", "")):
            with pytest.raises(InputError, match="shares its slots by weight"):
                update(three, "c", operation, value)
        assert update(three, "c", "weight", "1.5") == "1 1.5"
        queue = three.store.queue()
        assert queue.fair_share and {row.experiment: row.weight for row in queue.rows}["c"] == 1.5
