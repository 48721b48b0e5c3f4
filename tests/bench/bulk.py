"""Verbs on 100,000 jobs at once: seconds of the command, and how long another client of that Redis waits meanwhile."""

from __future__ import annotations

import time
from functools import partial

from tests.bench.bench import Bench, Queue
from tests.bench.figures import Report
from tests.bench.measure import cpu_seconds
from tests.bench.watching import watched

#: What is done one after the other to one experiment: a name for it, and the words of the command.
VERBS = (
    ("pause", ("pause", "work/0-999999")),
    ("activate", ("activate", "work/0-999999")),
    ("cancel", ("cancel", "work")),
    ("retry", ("retry", "work")),
    ("cancel the first half", ("cancel", "work/0-49999")),
    ("retry it before the other half", ("retry", "work")),
    ("rm", ("rm", "-y", "work")),
)


def _plain(queue: Queue, count: int) -> float:
    """Seconds in which redis-py moves as many ids from a list to a sorted set and marks their hashes, in pipelines."""
    client = queue.client
    pipe = client.pipeline(transaction=False)
    for start in range(0, count, 1000):
        pipe.rpush("plain:queue", *range(start, start + 1000))
        for n in range(start, start + 1000):
            pipe.hset(f"plain:job:{n}", "st", "QUEUED")
        pipe.execute()
    began = time.perf_counter()
    for start in range(0, count, 1000):
        for n in range(start, start + 1000):
            pipe.lpop("plain:queue")
            pipe.zadd("plain:canceled", {n: 1})
            pipe.hset(f"plain:job:{n}", "st", "CANCELED")
        pipe.execute()
    took = time.perf_counter() - began
    client.flushall()
    return took


def run(bench: Bench) -> Report:
    """Each verb once; the floor moves as many."""
    count = bench.size(100_000, 4_000)
    report = Report(f"verbs on {count:,} jobs at once, by their commands")
    with bench.server() as queue:
        plain, _, _ = watched(queue, partial(_plain, queue, count))
        _, calm, _ = watched(queue, lambda: time.sleep(1))
        queue.push_three("work", count)
        for what, words in VERBS:
            redis_cpu = cpu_seconds(queue.pid)
            used, waits, longest = watched(queue, partial(bench.command, bench.exs(*words), queue.url))
            redis_cpu = cpu_seconds(queue.pid) - redis_cpu
            report.add(f"{what}: time", used.wall, "s", ratio=used.wall / plain, of="bare pipelines", most=10.0)
            report.add(f"{what}: CPU of the client", used.cpu, "s", ratio=used.cpu / used.wall, of="its time")
            report.add(f"{what}: CPU of Redis", redis_cpu, "s", ratio=redis_cpu / used.wall, of="its time")
            waited = max(waits)
            report.add(
                f"{what}: another client waits at most", waited, "ms", ratio=waited / max(calm), of="idle", most=50.0
            )
            report.add(f"{what}: longest script", longest, "ms")
        report.notes += queue.disk_delays()
        assert queue.store.experiments() == []
    return report
