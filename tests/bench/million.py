"""A million queued jobs: what Redis, claim, list and audit take, beside the same with a hundredth of them."""

from __future__ import annotations

import resource
import time

from tests.bench.bench import Bench, Queue
from tests.bench.claiming import Pair
from tests.bench.figures import Report


def _measure(bench: Bench, count: int) -> dict[str, float]:
    """Name of a figure -> its value, with `count` jobs queued."""
    found: dict[str, float] = {}
    with bench.server() as queue:
        empty = queue.memory
        queue.push_three("resnet", count)
        found["bytes"] = (queue.memory - empty) / count
        found["claim"] = Pair(queue, 100).claim
        one = bench.command(bench.exs("list"), queue.url)
        table = bench.command(bench.exs("list", "-t", "resnet"), queue.url)
        found["list"], found["table"], found["table memory"] = one.wall, table.wall, table.memory
        found["one"] = bench.command(bench.exs("show", f"resnet/{count - 1}"), queue.url).wall
        found["audit"] = _audited(queue)
    found["audit memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return found


def _audited(queue: Queue) -> float:
    began = time.perf_counter()
    findings = queue.store.audit()
    assert findings == [], findings[:3]
    return time.perf_counter() - began


def run(bench: Bench) -> Report:
    """Small first, for its memory would be hidden behind the large one's."""
    large = bench.size(1_000_000, 20_000)
    small = large // 100
    less, more = _measure(bench, small), _measure(bench, large)
    report = Report(f"million: {large:,} queued jobs, beside {small:,}")
    of = f"{small:,} jobs"

    def add(what: str, name: str, unit: str, scale: float = 1.0, **goals: float) -> None:
        report.add(what, more[name] * scale, unit, ratio=more[name] / less[name], of=of, **goals)

    add("Redis per job", "bytes", "bytes", most=480.0)
    add("claim, in Redis", "claim", "us", most=100.0)
    add("`exs list`", "list", "s")
    add("`exs show NAME/N`", "one", "s")
    add("`exs list -t NAME`", "table", "s")
    add("`exs list -t NAME`: memory", "table memory", "MB", 1e-6)
    add("audit", "audit", "s")
    add("audit: memory", "audit memory", "MB", 1e-6)
    return report
