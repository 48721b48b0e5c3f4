"""What idle slots ask of Redis: those of a real worker, counted; and a thousand simulated ones, in Redis's CPU."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass

from tests.bench.bench import ROOT, Bench, Counts, Queue
from tests.bench.figures import Report
from tests.bench.measure import cpu_seconds

#: Processes that the simulated slots share: Python runs one thread of each at a time.
PROCESSES = 4


@dataclass(frozen=True)
class Crowd:
    """The second half of a simulation. `requests` and `commands` per second, `redis`: cores; `claims`: ms of each."""

    requests: float
    commands: float
    redis: float
    claims: list[float]


def simulate(bench: Bench, queue: Queue, slots: int, seconds: float, job: float, processes: int = PROCESSES) -> Crowd:
    """Let `slots` slots live for so long (see swarm.py). Raises RuntimeError with what went wrong in one."""
    share = slots // processes
    words = [sys.executable, "-m", "tests.bench.swarm", queue.url]
    began = time.monotonic()
    swarms = [
        subprocess.Popen(
            [*words, str(n * share), str(share), str(seconds), str(job)],
            cwd=ROOT, env=bench.environment(queue.url), stdout=subprocess.PIPE,
        )
        for n in range(processes)
    ]  # fmt: skip
    try:
        time.sleep(seconds / 2)
        before, cpu, since = queue.counts(), cpu_seconds(queue.pid), time.monotonic()
        time.sleep(max(0.1, began + seconds * 0.95 - time.monotonic()))
        after, cpu, taken = queue.counts(), cpu_seconds(queue.pid) - cpu, time.monotonic() - since
        told = [json.loads(swarm.communicate(timeout=seconds + 60)[0]) for swarm in swarms]
    finally:
        for swarm in swarms:
            swarm.kill()
            swarm.wait()
    errors = sorted({error for one in told for error in one["errors"]})
    if errors:
        raise RuntimeError(f"a simulated slot failed: {'; '.join(errors)}")
    asked = requests(before, after)
    return Crowd(
        asked / taken,
        (after.commands - before.commands) / taken,
        cpu / taken,
        [ms for one in told for ms in one["claims"]],
    )


def requests(before: Counts, after: Counts) -> int:
    """What clients asked for, less the looks of this program."""
    return after.reads - before.reads - 2


def run(bench: Bench) -> Report:
    """Four slots, then a thousand."""
    report = Report("idle: slots that wait for work")
    seconds = bench.size(20, 6)
    real = 4
    with bench.server() as queue, bench.worker(queue, real) as slots:
        time.sleep(2)
        before, cpu = queue.counts(), sum(map(cpu_seconds, [*slots.pids, slots.agent]))
        time.sleep(seconds)
        after, cpu = queue.counts(), sum(map(cpu_seconds, [*slots.pids, slots.agent])) - cpu
    report.add("a real slot", requests(before, after) / seconds / real, "requests/s", most=1.0)
    report.add("those inside scripts too", (after.commands - before.commands) / seconds / real, "commands/s")
    report.add("CPU of a slot", cpu / seconds / (real + 1) * 100, "% of a core")
    count = bench.size(1000, 100)
    with bench.server() as queue:
        crowd = simulate(bench, queue, count, bench.size(40, 12), -1)
    share = crowd.redis * 100
    report.add(f"{count:,} simulated slots: each", crowd.requests / count, "requests/s", most=1.0)
    report.add(f"{count:,} simulated slots: Redis", share, "% of a core", most=None if bench.quick else 5.0)
    return report
