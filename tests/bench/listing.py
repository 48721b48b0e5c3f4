"""`exs list -t`: seconds, beside a Python program that reads the same records in one pipeline and prints them."""

from __future__ import annotations

import json
import sys

from tests.bench.bench import Bench, Queue
from tests.bench.figures import Report
from tests.bench.measure import Used

#: Reads every record of an experiment and prints it: what no list can do without.
PLAIN = """
import redis, sys
r = redis.Redis.from_url(sys.argv[1])
ids = [i for key in r.scan_iter('exs:jobs:*', count=1000) for i in r.lrange(key, 0, -1)]
fields = 'st ix nm pr nd gp t0 t1 fc fd rs an mt'.split()
for start in range(0, len(ids), 1000):
    with r.pipeline(transaction=False) as pipe:
        for i in ids[start:start + 1000]:
            pipe.hmget(b'rq:job:' + i, fields)
        for row in pipe.execute():
            print(*row)
"""


def _tell(queue: Queue) -> None:
    """Four metrics of each job, as lists have them: their last values, which differ."""
    ids = queue.store.ids("resnet")
    for at in range(0, len(ids), 1000):
        with queue.client.pipeline(transaction=False) as pipe:
            for number, job in enumerate(ids[at : at + 1000], at):
                last = {f"metric{n}": round((number * 0.618 + n) % 1, 6) for n in range(4)}
                pipe.hset(f"rq:job:{job}", "mt", json.dumps(last))
            pipe.execute()


def run(bench: Bench) -> Report:
    """Two sizes; the better of three runs of each, in turns."""
    report = Report("list: `exs list -t NAME` of jobs that wait")
    full = ((10_000, 0.5, False), (100_000, 4.0, False), (100_000, 6.0, True))
    for count, most, told in ((1000, None, False), (5000, None, True)) if bench.quick else full:
        with bench.server() as queue:
            queue.push_three("resnet", count)
            if told:
                _tell(queue)
            ours: list[Used] = []
            plain: list[Used] = []
            for _ in range(3):
                ours.append(bench.command(bench.exs("list", "-t", "resnet"), queue.url))
                plain.append(bench.command([sys.executable, "-c", PLAIN, queue.url], queue.url))
        best, bare = min(ours, key=lambda used: used.wall), min(plain, key=lambda used: used.wall)
        label = f"{count:,} jobs{' with 4 metrics' if told else ''}"
        report.add(label, best.wall, "s", ratio=best.wall / bare.wall, of="reading alone", most=most)
        report.add(f"{label}: CPU", best.cpu, "s", ratio=best.cpu / bare.cpu, of="reading alone")
        report.add(f"{label}: memory", best.memory / 1e6, "MB", ratio=best.memory / bare.memory, of="reading alone")
    return report
