"""Jobs of /bin/true through two slots, as a user runs them: with a directory, a log, records, a fence and AOF.

Beside them a C program with two processes that starts as many programs and keeps nothing, just before and just after.
"""

from __future__ import annotations

import time

from tests.bench.bench import Bench, Queue, Slots
from tests.bench.figures import Report
from tests.bench.measure import Floor, cpu_seconds, wait_for

SLOTS = 2
#: Jobs that run before anything is measured.
WARM = 20


class _Spent:
    """CPU seconds since it was made: of the slots themselves, of their jobs, of Redis."""

    def __init__(self, queue: Queue, slots: Slots) -> None:
        self._pids = slots.pids
        self._redis = queue.pid
        self._before = self._now()

    def _now(self) -> tuple[float, float, float]:
        slots = sum(cpu_seconds(pid) for pid in self._pids)
        jobs = sum(cpu_seconds(pid, children=True) for pid in self._pids)
        return slots, jobs, cpu_seconds(self._redis)

    def since(self) -> tuple[float, ...]:
        """The three of them."""
        return tuple(now - before for now, before in zip(self._now(), self._before, strict=True))


def _small(bench: Bench, report: Report, count: int) -> None:
    """Idle slots, then a push; until the last job is DONE."""
    with bench.server() as queue, bench.worker(queue, SLOTS) as slots:
        queue.push("warm", WARM)
        wait_for(lambda: queue.finished("warm") == WARM, "the first jobs")
        floor = bench.spawn_floor(SLOTS)
        counts, spent, began = queue.counts(), _Spent(queue, slots), time.perf_counter()
        queue.push("work", count)
        wait_for(lambda: queue.finished("work") == count, "the end of the queue", 300, look=0.02)
        seconds = time.perf_counter() - began
        cpu, after = spent.since(), queue.counts()
        floor = floor.between(bench.spawn_floor(SLOTS))
    _add(report, f"{count:,} queued", count, seconds, floor, cpu)
    report.add("Redis commands per job, those inside scripts too", (after.commands - counts.commands) / count, "")
    report.add("round trips per job, the push and our looks too", (after.reads - counts.reads) / count, "", most=2.0)


def _backlog(bench: Bench, report: Report, count: int) -> None:
    """A long queue, then slots; the rate while it stays long."""
    seconds = bench.size(8, 2)
    with bench.server() as queue:
        queue.push("work", count)
        floor = bench.spawn_floor(SLOTS)
        with bench.worker(queue, SLOTS) as slots:
            wait_for(lambda: queue.finished("work") >= WARM, "the first jobs")
            spent, done, began = _Spent(queue, slots), queue.finished("work"), time.perf_counter()
            time.sleep(seconds)
            done, taken = queue.finished("work") - done, time.perf_counter() - began
            cpu = spent.since()
        floor = floor.between(bench.spawn_floor(SLOTS))
    _add(report, f"{count:,} queued", done, taken, floor, cpu)


def _add(report: Report, what: str, jobs: int, seconds: float, floor: Floor, cpu: tuple[float, ...]) -> None:
    rate = jobs / seconds
    report.add(f"{what}: C floor", floor.rate, "jobs/s")
    report.add(f"{what}: exs", rate, "jobs/s", ratio=rate / floor.rate, of="the C floor", least_ratio=0.5)
    report.add(f"{what}: CPU per job, C floor", floor.cpu * 1000, "ms")
    for who, used in zip(("a slot", "the job itself", "Redis", "all three"), (*cpu, sum(cpu)), strict=True):
        per_job = used / jobs
        report.add(f"{what}: CPU per job, {who}", per_job * 1000, "ms", ratio=per_job / floor.cpu, of="the C floor")


def run(bench: Bench) -> Report:
    """A short queue and a long one."""
    report = Report(f"drain: /bin/true through {SLOTS} slots")
    _small(bench, report, bench.size(2000, 300))
    _backlog(bench, report, bench.size(100_000, 5000))
    return report
