"""A job that reports without end: what its slot reads, what that takes from the job; what a point weighs in Redis."""

from __future__ import annotations

import statistics
import sys
import time
from itertools import pairwise
from pathlib import Path

from exs.model import Offer
from exs.paths import RunDir
from exs.settings import Limits
from exs.store.push import new_id
from exs_worker.metricfiles import MetricFiles
from exs_worker.report import Report as Told
from exs_worker.series import Metrics, Series
from tests.bench.bench import Bench
from tests.bench.figures import Report
from tests.bench.measure import cpu_seconds, wait_for

#: Lines that a job writes per second.
RATE = 50_000
#: Computes, and meanwhile writes so many lines a second, told to its slot or to nobody. What it computed is its result:
#: per second of its CPU, since what else runs on this machine is not its slot's doing.
_JOB = """
import json, os, sys, time
told, rate, seconds = sys.argv[1] == "told", int(sys.argv[2]), float(sys.argv[3])
report = os.environ["EXS_REPORT"]
path = report if told else os.path.join(os.environ["EXS_OUTPUT"], "untold")
fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
work = sent = 0
began, before = time.monotonic(), time.process_time()
while (spent := time.monotonic() - began) < seconds:
    due = int(spent * rate)
    while sent < due:
        sent += 1
        os.write(fd, b'{"step": %d, "metrics": {"loss": %.6f}}\\n' % (sent, 1 / sent))
    for _ in range(2000):
        work += 1
fd = os.open(report, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
cpu = time.process_time() - before
os.write(fd, json.dumps({"result": {"work": work, "sent": sent, "spent": spent, "cpu": cpu}}).encode() + b"\\n")
"""


def _beside(bench: Bench, report: Report) -> None:
    """The same job, in turns: its lines are read, or lie in a file that nobody reads."""
    seconds, turns = bench.size(8, 2), bench.size(3, 1)
    program = bench.directory("program") / "job.py"
    program.write_text(_JOB)
    work: dict[str, list[float]] = {"told": [], "untold": []}
    rates, late, busy = [], [], []
    with bench.server() as queue, bench.worker(queue, 1) as slots:
        queue.push("warm", 1)
        wait_for(lambda: queue.finished("warm"), "the first job")
        (slot,) = slots.pids
        for turn in range(turns):
            for how in ("untold", "told"):
                name = f"{how}{turn}"
                before = cpu_seconds(slot)
                queue.push(name, 1, f"{sys.executable} {program} {how} {RATE} {seconds}")
                wait_for(lambda name=name: queue.finished(name), name, seconds + 60)  # type: ignore[misc]
                (row,) = queue.store.jobs(name)
                work[how].append(row.result["work"] / row.result["cpu"])
                if how == "told":
                    count = queue.store.metrics([row.id])[row.id]["loss"].count
                    if count != row.result["sent"]:
                        raise RuntimeError(f"{row.result['sent']} lines were written and {count} read")
                    rates.append(count / row.result["spent"])
                    late.append(row.seconds - row.result["spent"])
                    busy.append((cpu_seconds(slot) - before) / seconds)
    told, untold = statistics.median(work["told"]), statistics.median(work["untold"])
    report.add("lines of one job, all read and stored", statistics.median(rates), "lines/s", least=0.98 * RATE)
    ratio = told / untold
    report.add("what the job computes", told / 1e6, "M/CPU-s", ratio=ratio, of="with unread lines", least_ratio=0.98)
    report.add("from its end to its outcome, its start included", statistics.median(late), "s")
    report.add("its slot", statistics.median(busy), "of a core")


def _alone(bench: Bench, report: Report) -> None:
    """A file that lies there already."""
    count, folder = bench.size(1_000_000, 50_000), bench.directory("alone")
    files = RunDir(str(folder))
    path = Path(files.report("a"))
    path.write_text("".join(f'{{"step": {n}, "metrics": {{"loss": {1 / (n + 1):.6f}}}}}\n' for n in range(count)))
    limits = Limits()
    told = Told(str(path), str(folder), 1000, Metrics(MetricFiles(files, "a"), limits.metric_points, 9))
    began = time.process_time()
    told.look()
    took = time.process_time() - began
    began = time.process_time()
    with path.open(encoding="utf-8") as file:
        lines = sum(1 for _ in file)
    floor = time.process_time() - began
    assert lines == count == told.whole()["metrics"]["loss"][0]["n"]
    report.add("lines that a slot can read", count / took, "lines/CPU-s", ratio=floor / took, of="counting them")


def _weight(bench: Bench, report: Report) -> None:
    jobs, metrics = bench.size(500, 20), 4
    points = Limits().metric_points

    def told(count: int, number: int) -> dict[str, object]:
        found = {}
        for name in range(metrics):
            series = Series(points)
            for step in range(count):
                series.add(step * 100, 1 / (step + name + number + 1))
            found[f"metric{name}"] = series.news(whole=True)
        return {"whole": True, "metrics": found, "last": {f"metric{name}": 0.125 for name in range(metrics)}}

    with bench.server() as queue:
        queue.push("all", jobs + 1)
        offer = Offer("node1:gpu0@ab12", "node1", "5f0c2f3e-boot", gpus=("0",))
        first, *claims = [queue.store.claim(offer, new_id()) for _ in range(jobs + 1)]
        assert first is not None
        queue.store.report(first.job, first.attempt, told(1, 0))  # Redis keeps the script
        sizes = [queue.memory]
        for count in (1, points):
            for number, claim in enumerate(claims):
                assert claim is not None
                queue.store.report(claim.job, claim.attempt, told(count, number))
            sizes.append(queue.memory)
    one, many = ((after - before) / jobs / metrics for before, after in pairwise(sizes))
    report.add("Redis per metric of a job, one value", one, "bytes")
    report.add("Redis per further point of it", many / (points - 1), "bytes", most=24.0)


def run(bench: Bench) -> Report:
    """Beside a job that computes, then alone, then in Redis."""
    report = Report(f"reports: {RATE:,} lines a second through one slot")
    _beside(bench, report)
    _alone(bench, report)
    _weight(bench, report)
    return report
