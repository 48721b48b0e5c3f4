"""What jobs ask for beside a number of GPUs: nodes, pools, memory, alternatives."""

from __future__ import annotations

import random

import pytest
import redis

from exs.model import Resources
from exs.rows import SlotRow
from exs.store import keys, scripts, shapes
from store.actors import Lab

GIB = 1 << 30


def lua(client: redis.Redis, expression: str, *args: str) -> str:
    """What an expression over the functions of lib/shape.lua gives, as text."""
    libraries = "".join(
        (scripts._LUA / "lib" / f"{name}.lua").read_text()
        for name in ("time", "number", "shape", "reshape", "share", "slots", "hold", "ready")
    )
    body = f"{libraries}\nreturn tostring({expression})"
    return str(client.eval(keys.inlined(body), 0, *args))


@pytest.mark.parametrize(
    ("wants", "took"),
    [
        (Resources(nodes=("a",)), {"a"}),
        (Resources(nodes=("a", "b")), {"a", "b"}),
        (Resources(exclude_nodes=("a",)), {"b", "c"}),
        (Resources(gpus=1, exclude_nodes=("b",)), {"a"}),
        (Resources(nodes=("nobody",)), set()),
        (Resources.any_of([Resources(gpus=0), Resources(gpus=1, nodes=("a",))]), {"a", "c"}),
        (Resources.any_of([Resources(gpu_memory=40 * GIB), Resources(gpus=1, gpu_memory=20 * GIB)]), {"a"}),
    ],
)
def test_nodes_and_alternatives(lab: Lab, wants: Resources, took: set[str]) -> None:
    lab.push(1, resources=wants)
    offers = {"a": {"gpus": ("0",), "gpu_memory": 24 * GIB}, "b": {"gpus": ("0",), "gpu_memory": 11 * GIB}, "c": {}}
    found = set()
    for name, offer in offers.items():
        slot = lab.slot(name, node=name, **offer)
        if slot.claim():
            found.add(name)
            slot.release()
    assert found == took
    assert lab.store.audit() == []


class TestPools:
    EITHER = Resources.any_of([Resources(gpus=1, pool="a100"), Resources(gpus=1, pool="t4", gpu_memory=10 * GIB)])

    def test_an_alternative_may_be_for_another_pool(self, lab: Lab) -> None:
        lab.push(1, 2, 3, resources=self.EITHER, pool="a100")
        gpu = {"gpus": ("0",), "gpu_memory": 16 * GIB}
        assert lab.slot("small", pools=("t4",), gpus=("0",), gpu_memory=8 * GIB).claim() is None
        assert lab.slot("other", pools=("default",), **gpu).claim() is None
        assert lab.slot("t4", pools=("t4",), **gpu).must_claim().index == 0
        assert lab.slot("a100", pools=("a100",), gpus=("0",)).must_claim().index == 1
        assert lab.slot("both", pools=("t4", "a100"), **gpu).must_claim().index == 2
        assert lab.slot("late", pools=("a100",), gpus=("0",)).claim() is None
        lab.reap()
        assert lab.client.keys(keys.READY + "*") == []

    def test_its_order_is_that_of_its_own_pool(self, lab: Lab) -> None:
        lab.push(1, name="mine", resources=self.EITHER, pool="a100", priority=50)
        lab.push(1, name="urgent", pool="t4", priority=10)
        lab.push(1, name="idle", pool="t4", priority=60)
        slot = lab.slot(pools=("t4",), gpus=("0",), gpu_memory=16 * GIB)
        assert [slot.must_claim().experiment for _ in range(3)] == ["urgent", "mine", "idle"]

    def test_a_slot_of_one_experiment_alone_takes_it_too(self, lab: Lab) -> None:
        lab.push(1, resources=self.EITHER, pool="a100")
        slot = lab.slot(pools=("t4",), only="e", gpus=("0",), gpu_memory=16 * GIB)
        assert slot.must_claim().index == 0

    def test_a_removed_experiment_leaves_no_pool_behind(self, lab: Lab) -> None:
        lab.push(1, resources=self.EITHER, pool="a100")
        assert len(lab.client.keys(keys.READY + "*")) == 2
        lab.store.remove(lab.ids())
        assert lab.store.remove_experiment("e")
        assert lab.client.keys(keys.READY + "*") == lab.client.keys(keys.SHAPES + "*") == []


class TestWaking:
    def test_only_slots_of_the_node_are_woken(self, lab: Lab) -> None:
        for node in ("a", "b", "c"):
            lab.slot(node, node=node).claim()
        lab.push(1, 2, resources=Resources(nodes=("b",)))
        assert lab.client.keys(keys.WAKE + "*") == [keys.WAKE + "b"]

    def test_slots_of_both_pools_are(self, lab: Lab) -> None:
        for pool in ("a100", "t4"):
            lab.slot(pool, pools=(pool,), gpus=("0",), gpu_memory=16 * GIB).claim()
        lab.push(1, 2, resources=TestPools.EITHER, pool="a100")
        assert set(lab.client.keys(keys.WAKE + "*")) == {keys.WAKE + "a100", keys.WAKE + "t4"}


def alternatives(dice: random.Random) -> Resources:
    """Something that a job may ask for."""

    def one() -> Resources:
        gpus = dice.choice([None, 0, 1, 2, 3])
        return Resources(
            gpus=gpus,
            indices=dice.choice([None, None, ("0",), ("0", "1"), ("MIG-GPU-1/2/3", "1")]) if gpus != 0 else None,
            gpu_memory=dice.choice([None, 10 * GIB, 30 * GIB]) if gpus != 0 else None,
            nodes=dice.choice([(), (), ("a",), ("a", "b.c"), ("caf\u00e9;|=,%",)]),
            exclude_nodes=dice.choice([(), (), ("a",), ("b.c", "x")]),
        )

    return Resources.any_of([one() for _ in range(dice.choice([1, 1, 2, 3]))])


def test_lua_and_python_agree(client: redis.Redis) -> None:
    dice = random.Random(5)
    for _ in range(400):
        needs = alternatives(dice)
        text = shapes.shape(needs)
        assert shapes.resources_of(text) == needs
        devices = dice.choice([(), ("0",), ("1",), ("0", "1"), ("MIG-GPU-1/2/3",)])
        memory = dice.choice([11, 24, 40]) * GIB if devices else 0
        node = dice.choice(["a", "b.c", "caf\u00e9;|=,%", "other"])
        slot = SlotRow("s", node, ",".join(devices), ("default",), "idle", memory=memory)
        alone = lua(client, "fits(ARGV[1], ARGV[2], ARGV[3], ARGV[4])", text, slot.gpus, str(memory), node)
        assert (alone == "true") == shapes.runnable(needs, [slot], "default"), (text, slot)


def test_what_is_no_shape_fits_nowhere(client: redis.Redis) -> None:
    for text in ("", "1", "1|", "1||x", "1|||near=a", "1|||in", "x||", "1||;;", "1||1e9"):
        assert lua(client, "fits(ARGV[1], '0', '99', 'a')", text) == str(text == "1||;;").lower()
    assert shapes.resources_of("1|||near=a") is shapes.resources_of("") is None


def test_shapes_are_changed_for_one_job(client: redis.Redis) -> None:
    assert lua(client, "shape_without_node('*||', ARGV[1])", "a") == "*|||not=a"
    assert lua(client, "shape_without_node('1||5|not=a;2|||in=b', ARGV[1])", "a") == "1||5|not=a;2|||in=b|not=a"
    assert lua(client, "shape_without_node('1|||not=a|pool=p', ARGV[1])", "b c") == "1|||not=a,b%20c|pool=p"
    assert lua(client, "shape_with_memory('0||;1||;2||7|pool=p', 5)") == "0||;1||5;2||7|pool=p"


def test_a_queue_for_a_shape_is_found_or_made(lab: Lab) -> None:
    lab.push(1, resources=Resources(gpus=1))
    assert lua(lab.client, "queue_for_shape('e', '1||')") == "e"
    assert lua(lab.client, "queue_for_shape('e', '1||5')") == "e~2"
    assert lua(lab.client, "queue_for_shape('e', '1||5')") == "e~2"
    lab.push(2, resources=Resources(gpus=0))
    assert lab.client.hgetall(keys.QUEUES + "e") == {"e": "1||", "e~2": "1||5", "e~3": "0||"}
    assert lab.store.audit() == []
