"""Those who use a queue: a producer, slots, and time that passes when a test says so."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import redis

from exs.answers import Pushed
from exs.model import Claim, Failure, Fenced, JobState, NewJob, Offer, Outcome, Resources, Spec
from exs.store import keys
from exs.store.push import Origin, new_id
from exs.store.store import Store

SPEC = Spec(commands={"main": {"argv": ["true"]}}, cwd="/tmp")
ME = Origin("ann", "laptop", "/home/ann/sweep.yaml")
DONE = Outcome(JobState.DONE, exit_code=0, seconds=1.0, result={"loss": 0.5}, directory="/run/x", log="/run/x/log")
PRUNED = Outcome(JobState.PRUNED, seconds=1.0)
CRASHED = Outcome(JobState.CRASHED, Failure.ERROR, "exit code 3", exit_code=3, tail="Traceback")
CANCELED = Outcome(JobState.CANCELED, detail="canceled")


def wait_until(condition: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Poll until `condition` holds; fail naming `what` at the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"still waiting for {what}"
        time.sleep(0.005)


class Killed(BaseException):
    """The process that pushed is gone."""


def killed_after(batches: int, store: Store) -> None:
    """Make this store's process die after so many batches."""
    left = batches

    def dies(script: str, args: Sequence[Any]) -> None:
        nonlocal left
        if script == "push":
            if not left:
                raise Killed
            left -= 1

    before_batches(store, dies)


def before_batches(store: Store, told: Callable[[str, Sequence[Any]], None]) -> None:
    """Have `told` hear of each script call of a push before it is sent; what it raises ends the push there."""
    call, stream = store._call, store._stream

    def one(script: str, *args: Any) -> Any:
        told(script, args)
        return call(script, *args)

    def noted(script: str, calls: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
        for args in calls:
            told(script, args)
            yield args

    store._call = one  # type: ignore[method-assign]
    store._stream = lambda script, calls: stream(script, noted(script, calls))  # type: ignore[method-assign]


def points(*indices: int, resources: Resources | None = None) -> Iterator[NewJob]:
    """One job per number; the same number is the same point."""
    for i in indices:
        yield NewJob({"i": i}, f"i={i}", f"{i * 2654435761 % 2**64:016x}", resources=resources or Resources())


class Slot:
    """One slot: asks, holds at most one job, ends it."""

    def __init__(self, lab: Lab, name: str, **offer: Any) -> None:
        self.store = lab.store
        self.offer = Offer(**{"slot": name, "node": f"{name}-node", "boot": "boot-1", **offer})
        self.held: Claim | None = None

    def claim(self, attempt: str = "") -> Claim | None:
        self.held = self.store.claim(self.offer, attempt or new_id()) or None
        return self.held

    def must_claim(self) -> Claim:
        claim = self.claim()
        assert claim is not None, "there was nothing to claim"
        return claim

    def finish(self, outcome: Outcome = DONE) -> Fenced:
        assert self.held is not None
        return self.store.finish(self.held.job, self.held.attempt, outcome, self.offer)

    def renew(self, leaves: bool = False) -> tuple[Fenced, str]:
        assert self.held is not None
        renewed, _ = self.store.renew(self.held.job, self.held.attempt, self.offer, leaves=leaves)
        return renewed.fence, renewed.want

    def release(self) -> Fenced:
        assert self.held is not None
        return self.store.release(self.held.job, self.held.attempt, "asked to stop", self.offer)

    def rebooted(self) -> Slot:
        self.offer = replace(self.offer, boot="boot-2")
        return self


class Lab:
    """A queue and what is needed to play with it."""

    def __init__(self, store: Store, client: redis.Redis) -> None:
        self.store = store
        self.client = client

    def push(self, *indices: int, name: str = "e", resources: Resources | None = None, **options: Any) -> Pushed:
        origin = options.pop("origin", ME)
        spec = options.pop("spec", SPEC)
        return self.store.push(name, spec, points(*indices, resources=resources), origin, **options)

    def slot(self, name: str = "s1", **offer: Any) -> Slot:
        return Slot(self, name, **offer)

    def ids(self, name: str = "e") -> list[str]:
        return [row.id for row in self.store.jobs(name)]

    def state(self, job: str) -> JobState:
        return self.store.job(job).state

    def states(self, name: str = "e") -> list[str]:
        return [row.state.value for row in self.store.jobs(name)]

    # ------------------------------------------------------------ time

    def contact(self, unbroken: float = 3600.0, last: float | None = None) -> None:
        """The fleet has been in contact with Redis for so long, and reaped so long ago."""
        now = int(self.store.now() * 1000)
        last = self.store.settings.timing.renew if last is None else last
        self.client.hset(keys.PULSE, mapping={"since": now - int(unbroken * 1000), "at": now - int(last * 1000)})

    def silence(self, job: str, seconds: float) -> None:
        """Nothing was heard of this job's holder for so long after its lease ran out."""
        assert self.client.zadd(keys.LEASES, {job: (self.store.now() - seconds) * 1000}, xx=True, ch=True)

    def began(self, job: str, ago: float) -> None:
        began = datetime.fromtimestamp(self.store.now() - ago, timezone.utc)
        self.client.hset(keys.RQ_JOB + job, "started_at", f"{began:%Y-%m-%dT%H:%M:%S}.000Z")

    def reap(self) -> int:
        """What a reap ends now, the fleet having been in contact all the time."""
        self.contact()
        return self.store.reap()[0]

    def hasten(self) -> None:
        """Every wait for a next attempt is over."""
        for job in self.client.zrange(keys.LATER, 0, -1):
            self.client.zadd(keys.LATER, {job: 1})
        self.store.reap()
