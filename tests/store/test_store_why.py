"""Why a job waits: its word, its position, the verdict of every slot, and when it starts."""

from __future__ import annotations

import random

import pytest

from exs.answers import Why
from exs.errors import NotFound
from exs.model import Resources
from exs.rows import SlotRow
from exs.store import estimate, keys, shapes
from exs.store.waits import Waits
from store.actors import CRASHED, Lab, Slot

GIB = 1 << 30
GPU = Resources(gpus=1)


def slot(lab: Lab, node: str = "gpu01", suffix: str = "gpu0", memory: int = 24 * GIB, **offer: object) -> Slot:
    gpus = (suffix.removeprefix("gpu"),) if suffix.startswith("gpu") else ()
    made = lab.slot(
        f"{node}:{suffix}@1a2b", **{"node": node, "gpus": gpus, "gpu_memory": memory if gpus else 0, **offer}
    )
    lab.client.hset(keys.RQ_WORKER + made.offer.slot, "exs_memory", memory if gpus else 0)
    lab.client.hset(keys.RQ_WORKER + made.offer.slot, "exs_only", made.offer.only)
    return made


def said(why: Why) -> dict[str, tuple[str, str]]:
    return {verdict.slot.lasting: (verdict.kind, verdict.text) for verdict in why.verdicts}


def took(lab: Lab, held: Slot, seconds: float) -> None:
    """The job of a slot took so long."""
    assert held.held is not None
    lab.began(held.held.job, seconds)
    held.finish()


class TestWords:
    def word(self, lab: Lab) -> str:
        why = lab.store.why("e")
        row = lab.store.experiment("e")
        waits = Waits(lab.store.workers(), 30.0)
        waits.note([row])
        jobs = lab.store.jobs("e")
        waits.note_jobs(row, jobs)
        assert why.job is not None
        assert [job.why for job in jobs if job.id == why.job.id] == [why.word]
        assert why.word in row.why.split(", ")
        return why.word

    def test_each_in_turn(self, lab: Lab) -> None:
        lab.push(*range(3), resources=GPU, max_running=1)
        assert self.word(lab) == "no worker"
        slot(lab, suffix="cpu0").claim()
        assert self.word(lab) == "unfit"
        gpu = slot(lab)
        lab.store.drain(["gpu01:gpu0"], "ann", why="dust")
        gpu.claim()
        assert self.word(lab) == "drained"
        lab.store.enable(["gpu01"])
        gpu.must_claim()
        assert self.word(lab) == "max_slots"
        lab.push(10, 11, name="other", resources=GPU)
        lab.client.hdel(keys.EXPERIMENT + "e", "max")
        assert self.word(lab) == "busy"
        lab.store.pause_experiment("e", "bob: no disk")
        assert self.word(lab) == "paused"
        lab.store.activate_experiment("e")
        gpu.finish()
        assert self.word(lab) == "soon"
        lab.client.set(keys.RQ_SUSPENDED, "1")
        gpu.claim()
        assert self.word(lab) == "suspended"

    def test_one_that_waits_for_its_next_attempt(self, lab: Lab) -> None:
        lab.push(1, retries=2)
        one = slot(lab)
        one.must_claim()
        one.finish(CRASHED)
        why = lab.store.why("e/0")
        assert why.word == "retry" and why.job is not None and why.job.retry_at > why.now
        assert lab.store.why("e").job is not None

    def test_an_experiment_of_several_kinds_of_jobs_says_all(self, lab: Lab) -> None:
        lab.push(1, resources=GPU)
        lab.push(2, resources=Resources(gpus=0))
        slot(lab).must_claim()
        lab.push(3, resources=GPU)
        row = lab.store.experiment("e")
        Waits(lab.store.workers(), 30.0).note([row])
        assert set(row.why.split(", ")) == {"unfit", "busy"}


def test_what_is_before_it(lab: Lab) -> None:
    lab.push(*range(10), resources=GPU)
    lab.push(*range(10, 13), resources=Resources(gpus=1, gpu_memory=GIB))
    lab.push(*range(7), name="urgent", priority=1, resources=GPU)
    lab.push(*range(5), name="cpu", priority=1, resources=Resources(gpus=0))
    lab.push(*range(4), name="later", resources=GPU)
    slot(lab).must_claim()
    assert lab.store.why("e/0").before == 0
    assert lab.store.why("e/7").before == 7
    why = lab.store.why("e/12")
    assert (why.before, dict(why.ahead)) == (12, {"urgent": 6})
    assert dict(lab.store.why("later/0").ahead) == {"urgent": 6, "e": 13}
    assert dict(lab.store.why("urgent").ahead) == {}
    lab.store.pause_experiment("urgent", "ann")
    assert dict(lab.store.why("e").ahead) == {}


def test_the_verdict_of_every_slot(lab: Lab) -> None:
    lab.push(*range(3), resources=Resources(gpus=1, gpu_memory=20 * GIB, exclude_nodes=("bad",)))
    busy = slot(lab)
    busy.must_claim()
    slot(lab, "small", memory=11 * GIB).claim()
    slot(lab, "cpus", "cpu0").claim()
    slot(lab, "bad").claim()
    slot(lab, "far", pools=("a100", "t4")).claim()
    slot(lab, "mine", only="mine").claim()
    lab.store.drain(["out"], "ann", why="dust")
    slot(lab, "out").claim()
    silent = slot(lab, "silent")
    lab.client.set(keys.RQ_SUSPENDED, "1")
    silent.claim()
    lab.client.delete(keys.RQ_SUSPENDED)
    lab.client.hset(keys.RQ_WORKER + silent.offer.slot, "last_heartbeat", "2026-01-01T00:00:00.000Z")
    why = lab.store.why("e/2")
    assert said(why) == {
        "gpu01:gpu0": ("busy", ""),
        "small:gpu0": ("unfit", "needs 20 GiB, has 11 GiB"),
        "cpus:cpu0": ("unfit", "needs 20 GiB, has no GPU"),
        "bad:gpu0": ("unfit", "its node is excluded"),
        "far:gpu0": ("unfit", "other pool (a100,t4)"),
        "mine:gpu0": ("unfit", "takes jobs of mine only"),
        "out:gpu0": ("drained", ""),
        "silent:gpu0": ("silent", ""),
    }
    assert why.word == "busy"


def test_slots_that_are_held_for_a_job_of_several_say_for_which(lab: Lab) -> None:
    slots = [slot(lab, suffix=f"gpu{n}") for n in range(3)]
    for one in slots:
        lab.client.hset(keys.RQ_WORKER + one.offer.slot, "exs_locks", f"GPU-{one.offer.slot}")
        one.claim()
    lab.push(*range(2), resources=Resources(gpus=1), name="small")
    first = slots[0].must_claim()
    slots[1].must_claim()
    lab.push(*range(5), 9, name="wide", resources=Resources(gpus=3), priority=1)
    assert slots[2].claim() is None
    assert said(lab.store.why("wide"))["gpu01:gpu2"] == ("held", "held for wide/0")
    lab.push(7, name="small")
    why = lab.store.why("small")
    assert why.word == "busy"
    assert said(why) == {
        "gpu01:gpu0": ("busy", ""),
        "gpu01:gpu1": ("busy", ""),
        "gpu01:gpu2": ("held", "held for wide/0"),
    }
    wide = lab.store.why("wide")
    assert (wide.word, wide.estimate, wide.unsure) == ("held 1/3", None, "it needs several slots of one node at a time")
    assert first.index == 0
    lab.push(1, name="wider", resources=Resources(gpus=4))
    assert said(lab.store.why("wider"))["gpu01:gpu0"] == ("unfit", "needs 4 GPUs, its node has 3")
    lab.store.pause_experiment("small", "ann")
    others = [slot(lab, node="gpu02", suffix=f"gpu{n}") for n in range(3)]
    for one in others:
        lab.client.hset(keys.RQ_WORKER + one.offer.slot, "exs_locks", f"GPU-{one.offer.slot}")
    for one in (*others, others[0]):
        assert one.claim() is None
    assert lab.store.why("wide").word == "held 2/3"  # where most are held


def test_when_it_starts(lab: Lab) -> None:
    lab.push(*range(30))
    slots = [slot(lab, suffix=f"cpu{n}") for n in range(2)]
    for _ in range(10):
        for one in slots:
            one.must_claim()
            took(lab, one, 600.0)
    first, second = (one.must_claim() for one in slots)
    lab.began(first.job, 300.0)
    lab.began(second.job, 0.0)
    now = lab.store.now()
    ends = {v.slot.lasting: v.free_at - now for v in lab.store.why("e").verdicts}
    assert ends == {"gpu01:cpu0": pytest.approx(300, abs=5), "gpu01:cpu1": pytest.approx(600, abs=5)}
    guesses = [lab.store.why(f"e/{n}").estimate for n in (22, 23, 24)]
    starts = [guess.start - now for guess in guesses if guess]
    assert starts == [pytest.approx(300, abs=5), pytest.approx(600, abs=5), pytest.approx(900, abs=5)]
    assert guesses[0] is not None
    assert (guesses[0].samples, guesses[0].typical) == (20, pytest.approx(600, abs=2))
    assert guesses[0].early <= guesses[0].start <= guesses[0].late
    running = lab.store.why(first.job)
    assert running.estimate is not None and running.estimate.start - now == pytest.approx(300, abs=5)


def test_nobody_tells_more_than_is_known(lab: Lab) -> None:
    lab.push(*range(3))
    slot(lab).must_claim()
    why = lab.store.why("e/2")
    assert (why.estimate, why.unsure) == (None, "no job of e is done yet")
    why = lab.store.why("e/1")
    assert (why.estimate, why.unsure) == (None, "nobody knows how long the jobs take that run now")
    lab.store.pause_experiment("e", "ann")
    why = lab.store.why("e/1")
    assert (why.estimate, why.unsure, why.word) == (None, "", "paused")


def test_its_own_limit_holds_it_back(lab: Lab) -> None:
    lab.push(*range(20), max_running=1)
    slots = [slot(lab, suffix=f"cpu{n}") for n in range(4)]
    for _ in range(8):
        slots[0].must_claim()
        took(lab, slots[0], 100.0)
    slots[0].must_claim()
    for one in slots[1:]:
        assert one.claim() is None
    guess = lab.store.why("e/11").estimate
    assert guess is not None and guess.start - lab.store.now() == pytest.approx(300, abs=5)


def test_what_is_asked_for(lab: Lab) -> None:
    lab.push(*range(3))
    jobs = lab.ids()
    name, eight = "e", lab.store.experiment("e").id
    for selector in (name, eight, "last", "e/0", f"{eight}/0", jobs[0], jobs[0][:8], "e/0-2"):
        job = lab.store.why(selector).job
        assert job is not None and job.id == jobs[0], selector
    for selector in ("nobody", "e/9", "nobody/1", "aaaaaaaaaa"):
        with pytest.raises(NotFound):
            lab.store.why(selector)
    lab.store.cancel(jobs)
    assert lab.store.why("e").job is None
    job = lab.store.why("e/1").job
    assert job is not None and job.state.value == "CANCELED"


def test_it_takes_two_round_trips(lab: Lab) -> None:
    lab.push(*range(3))
    slot(lab).must_claim()
    lab.store.why("e/2")
    calls: list[str] = []
    one, many = lab.store._call, lab.store._call_many
    lab.store._call = lambda *args: (calls.append(args[0]), one(*args))[1]  # type: ignore[method-assign,assignment]
    lab.store._call_many = lambda *args: (calls.append("many"), many(*args))[1]  # type: ignore[method-assign,assignment]
    lab.store.why("e/2")
    assert calls == ["many", "durations"]


@pytest.mark.parametrize(
    ("free", "before", "expected"),
    [
        ([5.0], [], 5.0),
        ([0.0], [(10.0, 3)], 30.0),
        ([0.0, 0.0], [(10.0, 3)], 10.0),
        ([0.0, 0.0], [(10.0, 4)], 20.0),
        ([0.0, 100.0], [(10.0, 3), (1000.0, 1)], 100.0),
        ([0.0] * 10, [(1.0, 100_000)], 10_000.0),
    ],
)
def test_slots_take_what_is_before_in_order(
    free: list[float], before: list[tuple[float, int]], expected: float
) -> None:
    assert estimate.start(free, before) == pytest.approx(expected)


def test_what_a_slot_lacks_is_nothing_just_where_claim_gives_it_the_job(lab: Lab) -> None:
    """The rule in Lua, that of a fleet in Python, and the words for it agree on random needs and slots."""
    dice = random.Random(5)
    devices = ((), ("0",), ("1",), ("0", "1"), ("MIG-a",))
    for number in range(150):
        alternatives = [
            Resources(
                gpus=dice.choice((None, 0, 1, 2)),
                indices=dice.choice((None, None, ("0",), ("0", "1"))),
                gpu_memory=dice.choice((None, None, 10 * GIB, 30 * GIB)),
                pool=dice.choice(("", "", "t4")),
                nodes=dice.choice(((), (), ("n1",), ("n1", "n2"))),
                exclude_nodes=dice.choice(((), (), ("n1",))),
            )
            for _ in range(dice.choice((1, 1, 2)))
        ]
        needs = Resources.any_of(alternatives)
        gpus = dice.choice(devices)
        memory = dice.choice((8, 16, 40)) * GIB if gpus else 0
        node, pools = dice.choice(("n1", "n2", "n3")), dice.choice((("default",), ("t4",), ("t4", "default")))
        lab.push(1, name=f"e{number}", resources=needs)
        one = lab.slot(f"{node}:x@1", node=node, gpus=gpus, gpu_memory=memory, pools=pools)
        row = SlotRow(one.offer.slot, node, ",".join(gpus), pools, "idle", memory=memory)
        why = shapes.misfit(needs, row, "default", f"e{number}")
        takes = one.claim() is not None
        assert takes is (why == "") is shapes.runnable(needs, [row], "default", f"e{number}"), (needs, row, why)
        lab.client.flushall()
