"""A thousand slots on one Redis: renewing and claiming at the pace of real jobs, then as fast as Redis lets them."""

from __future__ import annotations

from tests.bench.bench import Bench
from tests.bench.figures import Report
from tests.bench.idling import simulate
from tests.bench.measure import quantile

#: Average seconds of a job; far shorter than training, so that there is something to measure.
JOB = 20.0
#: Slots that never wait, in as many processes: enough to keep Redis busy, few enough for two cores.
GREEDY = 4


def run(bench: Bench) -> Report:
    """First latency, then capacity, then what that means."""
    slots = bench.size(1000, 100)
    report = Report(f"slots: {slots:,} slots on one Redis")
    with bench.server() as queue:
        queue.push("work", slots * 10)
        crowd = simulate(bench, queue, slots, bench.size(60, 16), JOB)
        report.notes += queue.disk_delays()
        leased = queue.client.zcard("exs:leases")
        assert leased >= slots * 0.9, f"only {leased} of {slots} slots have a job"
    median = quantile(crowd.claims, 0.5)
    what = f"jobs of {JOB:g} s"
    report.add(f"{what}: requests", crowd.requests, "/s")
    report.add(f"{what}: commands, those inside scripts too", crowd.commands, "/s")
    report.add(f"{what}: Redis", crowd.redis * 100, "% of a core")
    report.add(f"{what}: finish and claim, median", median, "ms")
    report.add(
        f"{what}: finish and claim, p99",
        quantile(crowd.claims, 0.99),
        "ms",
        ratio=quantile(crowd.claims, 0.99) / median,
        of="the median",
    )
    seconds = bench.size(16, 6)
    with bench.server() as queue:
        queue.push("work", bench.size(200_000, 50_000))
        greedy = simulate(bench, queue, GREEDY, seconds, 0, GREEDY)
    rate = len(greedy.claims) / (seconds / 2)
    most = rate / greedy.redis
    report.add(f"{GREEDY} slots that never wait", rate, "jobs/s")
    report.add("Redis meanwhile", greedy.redis * 100, "% of a core")
    report.add("a core of Redis carries (extrapolated)", most, "jobs/s")
    report.add("slots with jobs of 10 minutes, half a core (extrapolated)", _slots(crowd.redis, slots, most), "slots")
    return report


def _slots(cores: float, slots: int, most: float) -> float:
    """How many slots with ten-minute jobs fill half a core, from what renewing and claiming were seen to cost."""
    claiming = slots / JOB / most
    renewing = max(cores - claiming, 0.0) / slots
    return 0.5 / (renewing + 1 / 600 / most)
