"""Jobs of several GPUs on slots of one: assembled on one node, held for, passed by what is better placed."""

from __future__ import annotations

import pytest

from exs.model import Claim, Following, JobState, Resources
from exs.store import keys
from store.actors import Lab
from store.gangs import ask, node, registered, wide

GIB = 1 << 30
S = JobState


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
