"""A day in the life of a queue, compressed: sweeps come and go, slots die, jobs crash, are lost and are removed.

Each hour has a new sweep, a node that starts anew (one in three is never heard of again), jobs that crash and are
retried, and old experiments are removed. What a dead slot leaves for a while (8 minutes) is expired at once, as the
hour would. Then what is kept must be what it was: anything that has grown since the morning grows without bound.
"""

from __future__ import annotations

import re
import secrets
import time
from collections import Counter
from dataclasses import replace

from exs.model import Failure, JobState, NewJob, Offer, Outcome, Spec
from exs.settings import Settings, Timing
from exs.store.push import new_id
from exs.store.store import open_store
from tests.bench.bench import ORIGIN, Bench, Queue
from tests.bench.claiming import DONE
from tests.bench.figures import Report

#: Seconds, so short that a lost job is lost within the hour.
SHORT = Timing(
    lease=0.2, renew=0.05, lost_after=0.1, lost_share=1e-6, retry_wait=0.01, retry_wait_max=0.02, push_ttl=0.1
)
CRASHED = Outcome(JobState.CRASHED, Failure.ERROR, "exit code 3", exit_code=3, tail="Traceback " * 20)
HOURS = 24
#: Experiments are removed so many hours after their push.
KEPT = 4
#: Hours after which things must stay as they are.
SETTLED = 8
#: One way to read the size of each type.
SIZES = {"list": "llen", "hash": "hlen", "zset": "zcard", "set": "scard", "stream": "xlen"}


class Life:
    """What happens in an hour."""

    def __init__(self, queue: Queue, jobs: int) -> None:
        self.client = queue.client
        self.store = open_store(queue.url, Settings(redis_url=queue.url, timing=SHORT))
        self.jobs = jobs
        self.done = 0
        self.lost = 0

    def hour(self, hour: int) -> None:
        """One hour."""
        name = f"sweep{hour}"
        points = [NewJob({"n": n}, f"N_{n}", secrets.token_hex(8)) for n in range(self.jobs)]
        spec = Spec({"run": {"argv": [["/bin/true"]]}}, f"/home/alice/{hour}")
        self.store.push(name, spec, points, ORIGIN, retries=1, priority=1 + hour % 99)
        node = f"node{hour % 3}"
        boot = secrets.token_hex(4)
        self.store.node_up(node, boot, f"machine{hour % 3}", 1000 + hour)
        slots = [Offer(f"{node}:gpu{n}@{secrets.token_hex(2)}", node, boot, gpus=(str(n),)) for n in range(4)]
        self._lose(slots[0], f"{node}:gpu0@gone")
        deadline = time.monotonic() + 30
        while sum(self._work(slot, n) for n, slot in enumerate(slots)) or self._left(name):
            self.lost += self.store.reap()[0]
            if time.monotonic() > deadline:
                raise TimeoutError(f"hour {hour} does not end: {self.store.experiment(name).counts}")
        if hour % 3:
            self.store.slot_dead([slot.slot for slot in slots], "its slot left")
        if hour >= KEPT:
            old = f"sweep{hour - KEPT}"
            self.store.remove([row.id for row in self.store.jobs(old)])
            assert self.store.remove_experiment(old), old
        self._pass_time()

    def _lose(self, like: Offer, name: str) -> None:
        """A slot takes a job and is never heard of again."""
        assert self.store.claim(replace(like, slot=name), new_id())

    def _work(self, slot: Offer, at: int) -> int:
        """Take up to ten jobs; every seventh crashes."""
        for taken in range(10):
            held = self.store.claim(slot, new_id())
            if held is None:
                return taken
            crash = (held.index + at) % 7 == 0 and held.number == 1
            self.store.finish(held.job, held.attempt, CRASHED if crash else DONE, slot)
            self.done += 1
        return 10

    def _left(self, name: str) -> int:
        counts = self.store.experiment(name).counts
        return counts.get(JobState.QUEUED, 0) + counts.get(JobState.RUNNING, 0)

    def _pass_time(self) -> None:
        """What would have expired has."""
        for key in self.client.scan_iter(count=5000):
            if self.client.pttl(key) > 0:
                self.client.pexpire(key, 1)
        time.sleep(0.005)
        time.sleep(SHORT.renew)
        self.store.reap()


def census(queue: Queue) -> Counter[str]:
    """Kind of key -> members of all such keys."""
    found: Counter[str] = Counter()
    for raw in queue.client.scan_iter(count=5000):
        key = raw.decode() if isinstance(raw, bytes) else raw
        kind = re.sub(r"(sweep|node)\d+.*|(?<=rq:job:).*|(?<=exs:attempts:).*|(?<=exs:a..:).*", "*", key)
        size = SIZES.get(queue.client.type(raw))
        found[kind] += int(getattr(queue.client, size)(raw)) if size else 1
    return found


def run(bench: Bench) -> Report:
    """Count everything in the morning and at night."""
    jobs = bench.size(300, 40)
    with bench.server() as queue:
        life = Life(queue, jobs)
        looks: dict[int, tuple[Counter[str], int]] = {}
        for hour in range(HOURS):
            life.hour(hour)
            if hour + 1 in (SETTLED, HOURS):
                looks[hour + 1] = census(queue), queue.memory
        findings = queue.store.audit()
    (morning, memory), (night, memory_at_night) = looks[SETTLED], looks[HOURS]
    report = Report(f"day: {HOURS} hours, {life.done:,} attempts finished, {life.lost} lost, {KEPT} experiments kept")
    of = f"hour {SETTLED}"
    members, before = night.total(), morning.total()
    report.add(f"members of all keys at hour {HOURS}", members, "", ratio=members / before, of=of, most_ratio=1.01)
    report.add("kinds of keys", len(night), "", ratio=len(night) / len(morning), of=of, most_ratio=1.0)
    report.add("memory of Redis", memory_at_night / 1e6, "MB", ratio=memory_at_night / memory, of=of, most_ratio=1.05)
    report.add("findings of the audit", len(findings), "", most=0.0)
    for kind in sorted(night):
        if night[kind] > 1.25 * morning[kind]:
            report.add(f"grew: {kind}", night[kind], "", ratio=night[kind] / max(morning[kind], 1), of=of)
    return report
