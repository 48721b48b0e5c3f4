"""Random verbs on a queue, by one person and by many at once: nothing is lost, doubled or out of order.

Alone, each step is checked against what the one before it left: whoever was not named stands as before, whoever was
moved stands where that says, and a claim takes the first that may run. At once, from several processes, what each of
them saw is added up at the end.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from exs.model import JobState, Resources, Update
from exs.store import keys
from exs.store.push import new_id
from store.actors import CRASHED, DONE, Lab, Slot

ROOT = Path(__file__).parents[2]
POOLS = ("default", "a100")
NAMES = ("a", "b", "c", "d")
S = JobState


class World:
    """The queue as it is, read anew after each step, and slots that hold jobs of it."""

    def __init__(self, lab: Lab, seed: int) -> None:
        self.lab = lab
        self.chance = random.Random(seed)
        for at, name in enumerate(NAMES):
            lab.push(*range(6), name=name, resources=Resources(), pool=POOLS[at % 2], retries=at % 2)
            lab.push(*range(6, 10), name=name, resources=Resources(gpus=1), pool=POOLS[at % 2], retries=at % 2)
        self.slots = [lab.slot(f"s{n}", gpus=("0",), pools=(POOLS[n % 2],)) for n in range(6)]
        self.look()

    def look(self) -> None:
        """Read everything."""
        self.jobs = {row.id: row for name in NAMES for row in self.lab.store.jobs(name)}
        self.order = {pool: [row.experiment for row in self.lab.store.queue(pool).rows] for pool in POOLS}
        self.waiting = {name: self.listed(name) for name in NAMES}
        self.experiments = {name: self.lab.store.experiment(name) for name in NAMES}

    def listed(self, name: str) -> list[str]:
        """What waits of an experiment, over its queues, by where it stands; each queue is in that order."""
        stands: dict[str, tuple[float, int]] = {}
        for queue in self.lab.client.hkeys(keys.QUEUES + name):
            here: list[float] = []
            number = int(queue.partition("~")[2] or 1)
            for job in self.lab.client.lrange(keys.RQ_QUEUE + queue, 0, -1):
                po, ix = self.lab.client.hmget(keys.RQ_JOB + job, "po", "ix")
                here.append(float(po or ix))
                assert job not in stands, f"{job} stands twice"
                stands[job] = here[-1], number
            assert here == sorted(here), f"{queue} is out of order"
        return sorted(stands, key=stands.__getitem__)

    def wants(self, job: str) -> bool:
        """Whether it wants a GPU: those that do have a queue of their own."""
        return self.jobs[job].index >= 6

    def one(self, *states: JobState) -> str | None:
        """A job in one of these states."""
        found = [job for job, row in self.jobs.items() if row.state in states]
        return self.chance.choice(found) if found else None

    # ------------------------------------------------------------ what is done

    def claim(self) -> None:
        free = [slot for slot in self.slots if slot.held is None]
        if not free:
            return
        slot = self.chance.choice(free)
        expected = self.first(slot.offer.pools[0])
        claim = slot.claim()
        assert (claim.job if claim else None) == expected

    def first(self, pool: str) -> str | None:
        for name in self.order[pool]:
            row = self.experiments[name]
            held = sum(job.state in (S.RUNNING, S.PAUSING) for job in self.jobs.values() if job.experiment == name)
            full = row.max_running is not None and held >= row.max_running
            if self.waiting[name] and not row.paused and not full:
                return self.waiting[name][0]
        return None

    def end(self) -> None:
        held = [slot for slot in self.slots if slot.held is not None]
        if not held:
            return
        slot = self.chance.choice(held)
        how = self.chance.choice(("done", "crashed", "release", "dead"))
        if how == "dead":
            self.lab.store.slot_dead([slot.offer.slot], "killed")
        elif how == "release":
            slot.release()
        else:
            slot.finish(DONE if how == "done" else CRASHED)
        slot.held = None

    def move_experiment(self) -> None:
        name = self.chance.choice(NAMES)
        operation = self.chance.choice(("ahead-of", "behind-of", "to-top"))
        pool = self.experiments[name].pool
        others = [other for other in self.order[pool] if other != name]
        if not others or name not in self.order[pool]:
            return
        anchor = others[0] if operation == "to-top" else self.chance.choice(others)
        value = "" if operation == "to-top" else anchor
        self.lab.store.update([Update(name, operation, value)])
        others.insert(others.index(anchor) + (operation == "behind-of"), name)
        assert [row.experiment for row in self.lab.store.queue(pool).rows] == others

    def set_experiment(self) -> None:
        name = self.chance.choice(NAMES)
        operation, value = self.chance.choice(
            (
                ("priority", str(self.chance.choice((1, 42, 99)))),
                ("max-slots", self.chance.choice(("1", "2", "none"))),
                ("resource-pool", self.chance.choice(POOLS)),
            )
        )
        before = {pool: [other for other in names if other != name] for pool, names in self.order.items()}
        self.lab.store.update([Update(name, operation, value)])
        for pool in POOLS:
            rows = self.lab.store.queue(pool).rows
            assert [row.experiment for row in rows if row.experiment != name] == before[pool]
            assert [row.priority for row in rows] == sorted(row.priority for row in rows)

    def move_job(self) -> None:
        name = self.chance.choice(NAMES)
        if len(self.waiting[name]) < 2:
            return
        job, anchor = self.chance.sample(self.waiting[name], 2)
        operation = self.chance.choice(("ahead-of", "behind-of", "to-top"))
        self.lab.store.update([Update(job, operation, "" if operation == "to-top" else anchor)])
        others = [other for other in self.waiting[name] if other != job]
        at = 0 if operation == "to-top" else others.index(anchor) + (operation == "behind-of")
        assert self.listed(name) == [*others[:at], job, *others[at:]]

    def steer_job(self) -> None:
        verb = self.chance.choice(("pause", "activate", "cancel", "retry"))
        wanted = {"pause": (S.QUEUED, S.RUNNING), "activate": (S.PAUSED, S.PAUSING), "cancel": (S.QUEUED, S.PAUSED)}
        job = self.one(*wanted.get(verb, (S.CRASHED, S.CANCELED)))
        if job is None:
            return
        if verb == "pause":
            self.lab.store.pause([job], "ann")
        else:
            getattr(self.lab.store, verb)([job])
        name = self.jobs[job].experiment
        left = [other for other in self.waiting[name] if other != job]
        assert [other for other in self.listed(name) if other != job] == left
        if verb == "retry":
            queue = [other for other in self.listed(name) if self.wants(other) == self.wants(job)]
            assert queue[0] == job

    def pause_experiment(self) -> None:
        name = self.chance.choice(NAMES)
        if self.experiments[name].paused:
            self.lab.store.activate_experiment(name)
        else:
            self.lab.store.pause_experiment(name, "ann")


@pytest.mark.parametrize("seed", range(4))
def test_each_step_does_what_it_says_and_nothing_else(lab: Lab, seed: int) -> None:
    world = World(lab, seed)
    steps = [world.claim] * 4 + [world.end] * 3 + [world.move_job] * 2
    steps += [world.move_experiment, world.set_experiment, world.steer_job, world.steer_job, world.pause_experiment]
    for step in range(150):
        world.chance.choice(steps)()
        world.look()
        if step % 25 == 24:
            lab.hasten()
            assert lab.store.audit() == []
            world.look()


# ------------------------------------------------------------------ many at once

HOLDER = """
import random, sys
import redis
from exs.model import Failure, JobState, Offer, Outcome
from exs.settings import Settings
from exs.store.push import new_id
from exs.store.store import open_store

url, name, pool, rounds = *sys.argv[1:4], int(sys.argv[4])
store, offer = open_store(url, Settings()), Offer(name, "node", "boot", pools=(pool, "default"), gpus=("0",))
held, chance = redis.Redis.from_url(url), random.Random(name)
for _ in range(rounds):
    claim = store.claim(offer, new_id())
    if claim is None:
        continue
    if not held.sadd("test:held", claim.job):
        print("twice", claim.job)
    how = chance.choice(("done", "done", "crash", "release"))
    held.srem("test:held", claim.job)
    if how == "release":
        store.release(claim.job, claim.attempt, "asked", offer)
    else:
        state = JobState.DONE if how == "done" else JobState.CRASHED
        failure = None if how == "done" else Failure.ERROR
        print(how, claim.job, store.finish(claim.job, claim.attempt, Outcome(state, failure), offer).value)
"""

STEERER = """
import random, sys
from exs.errors import InputError
from exs.model import Update
from exs.settings import Settings
from exs.store.store import open_store

url, seed, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
store, chance, names = open_store(url, Settings()), random.Random(seed), "abcd"
ids = {name: store.ids(name) for name in names}
for _ in range(rounds):
    name, other = chance.sample(names, 2)
    job, anchor = chance.sample(ids[name], 2)
    some = chance.sample(ids[name], 5)
    verb = chance.randrange(9)
    try:
        if verb == 0: store.update([Update(name, chance.choice(("ahead-of", "behind-of")), other)])
        elif verb == 1: store.update([Update(name, "priority", str(chance.choice((7, 42))))])
        elif verb == 2: store.update([Update(name, "resource-pool", chance.choice(("default", "a100")))])
        elif verb == 3: store.update([Update(name, "max-slots", chance.choice(("1", "3", "none")))])
        elif verb == 4: store.update([Update(job, "ahead-of", anchor), Update(anchor, "to-top")])
        elif verb == 5: store.pause(some, "ann")
        elif verb == 6: store.activate(ids[name])
        elif verb == 7: chance.choice((store.cancel, store.retry, store.retry))(some)
        elif chance.random() < 0.5: store.pause_experiment(name, "ann")
        else: store.activate_experiment(name)
    except InputError as error:
        assert "is in pool" in str(error), error
"""


def _started(program: str, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", program, *words], cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("preemption", [False, True])
def test_many_processes_lose_nothing_and_run_nothing_twice(lab: Lab, queue_url: str, preemption: bool) -> None:
    for pool in POOLS:
        lab.store.set_pool(pool, preemption=preemption)
    for name in NAMES:
        lab.push(*range(30), name=name)
        lab.push(*range(30, 40), name=name, resources=Resources(gpus=1))
    holders = [_started(HOLDER, queue_url, f"slot{n}", "a100", "150") for n in range(3)]
    steerers = [_started(STEERER, queue_url, f"seed{n}", "150") for n in range(2)]
    said = [line.split() for process in holders for line in process.communicate(timeout=100)[0].splitlines()]
    for process in (*steerers, *holders):
        process.communicate(timeout=100)
        assert process.returncode == 0
    assert not [words for words in said if words[0] == "twice"]
    assert lab.store.audit() == []

    done = Counter(job for how, job, answer in said if how == "done" and answer == "ours")
    jobs = {row.id: row for name in NAMES for row in lab.store.jobs(name)}
    assert len(jobs) == 160
    assert set(done.values()) <= {1}
    assert {job for job, row in jobs.items() if row.state is S.DONE} == set(done)
    for pool in POOLS:
        scores = [score for _, score in lab.client.zrange(keys.ORDER + pool, 0, -1, withscores=True)]
        assert len(set(scores)) == len(scores) and all(score == int(score) for score in scores)
    _drain_in_order(lab)
    assert lab.store.audit() == []


def _drain_in_order(lab: Lab) -> None:
    """All that is left is claimed in the order that the queue shows."""
    for name in NAMES:
        lab.store.activate_experiment(name)
        lab.store.activate(lab.ids(name))
        lab.store.update([Update(name, "resource-pool", "default"), Update(name, "max-slots", "none")])
    world = World.__new__(World)
    world.lab = lab
    expected = [job for row in lab.store.queue().rows for job in world.listed(row.experiment)]
    slot = Slot(lab, "last", gpus=("0",))
    found = []
    while claim := slot.claim(new_id()):
        found.append(claim.job)
        slot.finish()
    assert found == expected
