"""What things weigh: a slot process in private memory, a queued and a finished job in bytes of Redis, beside RQ's."""

from __future__ import annotations

import statistics
import sys

from exs.model import Offer
from exs.store.push import new_id
from tests.bench.bench import COMMAND, Bench, Queue
from tests.bench.claiming import DONE
from tests.bench.figures import Report
from tests.bench.measure import private_memory, wait_for


def _queued_by_rq(queue: Queue, count: int) -> float:
    """Bytes per job of `rq.Queue.enqueue_many` with the command as an argument."""
    import redis
    import rq

    them = rq.Queue("theirs", connection=redis.Redis.from_url(queue.url))
    before = queue.memory
    for _ in range(0, count, 1000):
        them.enqueue_many([rq.Queue.prepare_data("subprocess.call", (COMMAND.split(),)) for _ in range(1000)])
    return (queue.memory - before) / count


def _jobs(bench: Bench, report: Report) -> None:
    count = bench.size(100_000, 5000)
    finished = bench.size(20_000, 1000)
    with bench.server() as queue:
        theirs = _queued_by_rq(queue, min(count, 20_000))
        queue.client.flushall()
        empty = queue.memory
        queue.push_three("resnet", count)
        queued = (queue.memory - empty) / count
        offer = Offer("node1:gpu0@ab12", "node1", "5f0c2f3e-boot", gpus=("0",))
        held = queue.store.claim(offer, new_id())
        before = queue.memory
        for _ in range(finished):
            assert held is not None
            _, held = queue.store.finish_and_claim(held.job, held.attempt, DONE, offer, new_id())
        done = queued + (queue.memory - before) / finished
    report.add(f"Redis per queued job, {count:,} queued", queued, "bytes", ratio=queued / theirs, of="RQ", most=480.0)
    report.add("Redis per finished job, small result", done, "bytes", most=800.0)


def run(bench: Bench) -> Report:
    """Jobs first, then slots of a real worker, fresh and used."""
    report = Report("memory")
    _jobs(bench, report)
    with bench.server() as queue, bench.worker(queue, 2) as slots:
        fresh = statistics.median(map(private_memory, slots.pids))
        jobs = bench.size(1000, 100)
        queue.push("work", jobs)
        wait_for(lambda: queue.finished("work") == jobs, "the jobs")
        used = statistics.median(map(private_memory, slots.pids))
        agent = private_memory(slots.agent)
    bare = bench.command([sys.executable, "-c", "import rq.worker"]).memory
    report.add("a slot, fresh", fresh / 1e6, "MB", ratio=fresh / bare, of="importing rq.worker", most=45.0)
    report.add(
        f"a slot after {jobs // 2} jobs", used / 1e6, "MB", ratio=used / bare, of="importing rq.worker", most=45.0
    )
    report.add("the agent", agent / 1e6, "MB")
    report.notes.append("private: not shared with another process; what one slot more costs")
    return report
