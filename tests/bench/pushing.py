"""`exs push`: seconds from YAML to queued, the client's memory, and how long another client of that Redis waits."""

from __future__ import annotations

import time
from functools import partial

from tests.bench.bench import Bench, Queue, three_parameters
from tests.bench.figures import Report
from tests.bench.measure import cpu_seconds
from tests.bench.watching import watched

#: What a record of a job takes, about, for the floor.
RECORD = "x" * 350


def _plain(queue: Queue, count: int) -> float:
    """Jobs per second of a list and a hash of the same size, sent by redis-py in pipelines of a thousand."""
    began = time.perf_counter()
    pipe = queue.client.pipeline(transaction=False)
    for n in range(count):
        pipe.rpush("plain:queue", n)
        pipe.hset(f"plain:job:{n}", "d", RECORD)
        if n % 1000 == 999:
            pipe.execute()
    pipe.execute()
    return count / (time.perf_counter() - began)


def run(bench: Bench) -> Report:
    """Two sizes; the floor beside each."""
    report = Report("push: from a YAML file to queued, by the command `exs push`")
    sizes = (2_000, 20_000) if bench.quick else (100_000, 1_000_000)
    with bench.server() as queue:
        _, calm, _ = watched(queue, lambda: time.sleep(1))
    for count in sizes:
        with bench.server() as queue:
            plain = _plain(queue, min(count, 100_000))
            queue.client.flushall()
            words = bench.exs("push", str(queue.sweep(three_parameters("resnet", count))))
            redis_cpu = cpu_seconds(queue.pid)
            used, waits, longest = watched(queue, partial(bench.command, words, queue.url))
            redis_cpu = cpu_seconds(queue.pid) - redis_cpu
            report.notes += queue.disk_delays()
            assert queue.store.experiment("resnet").jobs == count
        what = f"{count:,} points"
        goals = {"least": 50_000.0} if count == 100_000 else {}
        report.add(
            f"{what}: rate", count / used.wall, "jobs/s", ratio=count / used.wall / plain, of="bare pipelines", **goals
        )
        report.add(f"{what}: time", used.wall, "s", **({"most": 30.0} if count == 1_000_000 else {}))
        report.add(f"{what}: CPU of the client", used.cpu, "s", ratio=used.cpu / used.wall, of="its time")
        report.add(f"{what}: CPU of Redis", redis_cpu, "s", ratio=redis_cpu / used.wall, of="its time")
        report.add(f"{what}: memory of the client", used.memory / 1e6, "MB")
        report.add(
            f"{what}: another client waits at most",
            max(waits),
            "ms",
            ratio=max(waits) / max(calm),
            of="idle",
            most=50.0,
        )
        report.add(f"{what}: longest script", longest, "ms")
    return report
