"""Microseconds in Redis of claim and finish: by jobs queued, by experiments that can run, by ones that cannot, and by
experiments that share a pool fairly."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from exs.model import Claim, JobState, NewJob, Offer, Outcome, Scheduler, Spec
from exs.store.push import new_id
from tests.bench.bench import ORIGIN, Bench, Queue
from tests.bench.figures import Report

DONE = Outcome(
    JobState.DONE, exit_code=0, seconds=1.0, result={"loss": 0.5}, directory="/home/alice/out/N_1",
    log="/home/alice/out/N_1/log.run.2026-01-01.00:00:00", max_rss=1 << 20,
)  # fmt: skip
#: Jobs claimed and finished for one number. One slot each, as in a fleet.
ROUNDS = 200
#: A script that does nothing: what Redis takes for any.
NOTHING = "return 1"


class Pair:
    """Claim and finish of one situation, in microseconds of Redis."""

    def __init__(self, queue: Queue, rounds: int) -> None:
        held: list[tuple[Offer, Claim]] = []
        offers = [Offer(f"node{n % 8}:cpu{n}@ab12", f"node{n % 8}", "boot") for n in range(rounds)]
        queue.store.warm_up()
        for offer in offers:  # their own records are made at the first claim
            first = queue.store.claim(offer, new_id())
            assert first is not None
            queue.store.release(first.job, first.attempt, "", offer)

        def claim() -> int:
            for offer in offers:
                found = queue.store.claim(offer, new_id())
                assert found is not None
                held.append((offer, found))
            return rounds

        def finish() -> int:
            for offer, found in held:
                queue.store.finish(found.job, found.attempt, DONE, offer)
            return rounds

        self.claim = queue.script_us(claim)
        self.finish = queue.script_us(finish)


def small(queue: Queue, name: str, jobs: int, **more: int) -> None:
    """An experiment of a few jobs."""
    points = [NewJob({"n": n}, f"N_{n}", secrets.token_hex(8)) for n in range(jobs)]
    queue.store.push(name, Spec({"run": {"argv": [["/bin/true"]]}}, "/tmp"), points, ORIGIN, **more)


@contextmanager
def experiments(bench: Bench, count: int, jobs: int) -> Iterator[Queue]:
    """`count` experiments: of any three, one can run, one is full, one is paused."""
    with bench.server() as queue:
        for n in range(count):
            name = f"exp{n}"
            kind = ("full", "paused", "runs")[n % 3] if count > 1 else "runs"
            if kind == "paused":  # what pausing leaves: not in the ready set; its jobs stay in their queue
                small(queue, name, 20)
                queue.client.hset(f"exs:exp:{name}", "paused", "1")
                queue.client.zrem("exs:ready:default:*||", name)
            else:
                small(queue, name, 20 if kind == "full" else jobs, **({"max_running": 1} if kind == "full" else {}))
            if kind == "full":
                assert queue.store.claim(Offer(f"full:{n}@ab12", "full", "boot", only=name), new_id())
        yield queue


@contextmanager
def sharing(bench: Bench, count: int, rounds: int) -> Iterator[Queue]:
    """`count` experiments of a fair-share pool, all of which can run."""
    with bench.server() as queue:
        queue.store.set_pool("default", scheduler=Scheduler.FAIR_SHARE)
        for n in range(count):
            small(queue, f"exp{n}", 2 * rounds // count + 2)
        yield queue


def run(bench: Bench) -> Report:
    """Jobs from 10 to 1,000,000, then experiments from 1 to 500, then the same in a fair-share pool."""
    report = Report("claim, finish: median microseconds in Redis")
    rounds = bench.size(ROUNDS, 60)
    first: Pair | None = None
    with bench.server() as queue:
        queue.store.warm_up()
        nothing = queue.client.script_load(NOTHING)
        empty = queue.script_us(lambda: sum(queue.client.evalsha(nothing, 0) for _ in range(rounds)))
        report.add("a script that does nothing", empty, "us")
    for count in (10, 1000, 10_000) if bench.quick else (10, 1000, 100_000, 1_000_000):
        with bench.server() as queue:
            queue.push("work", count)
            pair = Pair(queue, min(rounds, count - 1))
        first = first or pair
        _add(report, f"{count:,} queued", pair, first)
    for count in (1, 30) if bench.quick else (1, 100, 500):
        with experiments(bench, count, rounds + 1) as queue:
            pair = Pair(queue, rounds)
        _add(report, f"{count} experiments", pair, first or pair)
    for count in (1, 30) if bench.quick else (1, 100, 500):
        with sharing(bench, count, rounds) as queue:
            pair = Pair(queue, rounds)
        _add(report, f"{count} experiments in a fair-share pool", pair, first or pair)
    report.notes.append("of any three experiments one can run, one is full, one is paused; the goal is flat")
    return report


def _add(report: Report, what: str, pair: Pair, first: Pair) -> None:
    report.add(f"{what}: claim", pair.claim, "us", ratio=pair.claim / first.claim, of="10 queued", most=100.0)
    report.add(f"{what}: finish", pair.finish, "us", ratio=pair.finish / first.finish, of="10 queued")
