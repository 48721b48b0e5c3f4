"""Milliseconds from the call of push to the start of the job's program on an idle slot, beside a bare posix_spawn."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

from exs.model import NewJob, Spec
from tests.bench.bench import ORIGIN, Bench
from tests.bench.figures import Report
from tests.bench.measure import quantile, wait_for


def _stamps(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def _pause(rng: random.Random) -> None:
    time.sleep(0.02 + 0.03 * rng.random())  # until the slot waits again; at no fixed beat


def run(bench: Bench) -> Report:
    """One job at a time; the slot is idle before each."""
    count = bench.size(200, 40)
    rng = random.Random(1)
    bare: list[float] = []
    ours: list[float] = []
    for _ in range(count):
        path = bench.scratch / "bare"
        path.unlink(missing_ok=True)
        began = time.monotonic_ns()
        os.waitpid(os.posix_spawn(bench.floor, ["floor", "stamp", str(path)], os.environ), 0)
        bare.append((_stamps(path)[0] - began) / 1e6)
        time.sleep(0.01)
    path = bench.scratch / "stamps"
    spec = Spec({"run": {"argv": [[bench.floor], ["stamp"], [str(path)]]}}, str(bench.scratch))
    calls: list[float] = []
    with bench.server() as queue, bench.worker(queue, 1):
        for n in range(count + 3):
            job = NewJob({"n": n}, f"N_{n}", f"{n * 2654435761 % 2**64:016x}")
            began = time.monotonic_ns()
            queue.store.push("ping", spec, [job], ORIGIN)
            calls.append((time.monotonic_ns() - began) / 1e6)
            wait_for(lambda n=n: len(_stamps(path)) > n, "the start of a job", look=0.001)
            wait_for(lambda: any(slot.state == "idle" for slot in queue.store.workers()), "an idle slot", look=0.005)
            _pause(rng)
            ours.append((_stamps(path)[-1] - began) / 1e6)
    ours, calls = ours[3:], calls[3:]
    report = Report(f"latency: push to start on an idle slot, {count} jobs")
    half, floor = quantile(ours, 0.5), quantile(bare, 0.5)
    report.add("posix_spawn to start: median", floor, "ms")
    report.add("push to start: median", half, "ms", ratio=half / floor, of="posix_spawn", most=3.0)
    tail, bare_tail = quantile(ours, 0.99), quantile(bare, 0.99)
    report.add("posix_spawn to start: p99", bare_tail, "ms")
    report.add("push to start: p99", tail, "ms", ratio=tail / bare_tail, of="posix_spawn", most=10.0)
    report.add(
        "of it, the call of push: median", quantile(calls, 0.5), "ms", ratio=quantile(calls, 0.5) / half, of="it"
    )
    return report
