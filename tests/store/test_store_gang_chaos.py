"""Jobs of several GPUs, and whatever befalls their slots at random: no GPU is shared, all ends."""

from __future__ import annotations

import random

import pytest

from exs.model import Fenced, JobState
from exs.store import keys
from store.actors import CRASHED, DONE, Lab, Slot
from store.gangs import ask, node, registered, wide

GIB = 1 << 30
S = JobState


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
