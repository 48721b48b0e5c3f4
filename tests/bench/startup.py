"""Start-up of `exs --help` and `exs list`, in turns with `rq info` on the same Redis, with an empty queue."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

from tests.bench.bench import Bench
from tests.bench.figures import Report
from tests.bench.measure import Used


def run(bench: Bench) -> Report:
    """Medians of seconds on the wall, and of CPU, which a busy machine changes less."""
    rounds = bench.size(15, 5)
    rq = Path(sys.executable).with_name("rq")
    with bench.server() as queue:
        commands = {
            "python3 -c pass": [sys.executable, "-c", "pass"],
            "rq info": [str(rq), "info", "-u", queue.url],
            "exs --help": bench.exs("--help"),
            "exs list": bench.exs("list"),
            "exs": bench.exs(),
        }
        taken: dict[str, list[Used]] = {what: [] for what in commands}
        for turn in range(rounds + 1):
            for what, words in commands.items():
                used = bench.command(words, queue.url)
                if turn:  # the first fills the caches of the disk
                    taken[what].append(used)
    wall = {what: statistics.median(used.wall for used in runs) for what, runs in taken.items()}
    cpu = {what: statistics.median(used.cpu for used in runs) for what, runs in taken.items()}
    goals = {"exs --help": 0.5, "exs list": 1.0}
    report = Report(f"start-up: medians of {rounds} runs, in turns")
    for what in commands:
        ratio = wall[what] / wall["rq info"]
        report.add(what, wall[what] * 1000, "ms", ratio=ratio, of="rq info", most_ratio=goals.get(what))
    for what in commands:
        report.add(f"{what}: CPU", cpu[what] * 1000, "ms", ratio=cpu[what] / cpu["rq info"], of="rq info")
    return report
