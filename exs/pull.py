"""What holds the jobs of pull experiments for this process: `next_job()` and `exs pull` stand on it.

Each job that is held has a seat, which is a slot to the queue, and a thread that renews its lease. A process that is
killed leaves its job behind: another one on its machine sees that at once when it waits for work, others when the
lease has run out and the job is lost, as after any slot. A fork has no seats: what it inherits belongs to its parent.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

from exs import __version__, process
from exs.errors import ExsError, RedisUnreachable
from exs.model import Claim, Fenced, JobState, Json, Offer, Outcome
from exs.person import host
from exs.settings import Settings
from exs.store.pull import is_puller, pool_of
from exs.store.push import new_id
from exs.store.store import Store

#: What a search draws when nothing is queued: the parameters of one more job.
Draw = Callable[[], dict[str, Json]]


_Answer = TypeVar("_Answer")


class Held:
    """A job that this process holds. `claim.attempt` is its fence; `want` is what was asked of it, "" for nothing.

    `lost`: the lease was given to somebody else, or the job was removed: what is written now will not count.
    """

    def __init__(self, puller: Puller, claim: Claim, offer: Offer) -> None:
        self.claim = claim
        self.offer = offer
        self.want = ""
        self.lost = False
        self.directory = ""
        self.log = ""
        self._puller = puller
        self._pid = os.getpid()
        self._over = threading.Event()
        self._began = time.monotonic()
        #: Called when `want` or `lost` changes, in the thread that noticed.
        self.told: Callable[[], None] = lambda: None
        threading.Thread(target=self._keep, name=f"exs-lease-{claim.job}", daemon=True).start()

    @property
    def seconds(self) -> float:
        """How long it has been held."""
        return time.monotonic() - self._began

    def finish(self, outcome: Outcome) -> bool:
        """Store how it ended, once; False when it was fenced out. Raises RedisUnreachable, see `patiently`."""
        job, attempt, store = self.claim.job, self.claim.attempt, self._puller.store
        try:
            if outcome.requeue:
                why = outcome.detail or "given back by its holder"
                fence = self.patiently(lambda: store.release(job, attempt, why, self.offer, outcome))
            else:
                fence = self.patiently(lambda: store.finish(job, attempt, outcome, self.offer))
        finally:
            self._over.set()  # also where it could not be told: the lease then ends, and the job runs again
        self._puller.seat_is_free(self.offer, self._pid)
        return fence is Fenced.OURS

    def give_back(self, why: str) -> bool:
        """Put the job back in its place, unpunished; False when it was fenced out."""
        return self.finish(Outcome(JobState.QUEUED, detail=why, requeue=True))

    def patiently(self, call: Callable[[], _Answer]) -> _Answer:
        """The answer of a call of the Store, repeated while Redis is away: what it is to tell is known here alone.

        As long as a silent holder is believed in; then it raises RedisUnreachable.
        """
        timing = self._puller.settings.timing
        deadline = time.monotonic() + timing.lost_after
        while True:
            try:
                return call()
            except RedisUnreachable:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(timing.reconnect)

    def _keep(self) -> None:
        store, timing = self._puller.store, self._puller.settings.timing
        wait = timing.renew
        while not self._over.wait(wait):
            try:
                answer, known = store.renew(self.claim.job, self.claim.attempt, self.offer, self.directory, self.log)
                if not known:
                    self._puller.announce(self.offer)
            except ExsError:  # the job goes on meanwhile; whoever ends it hears what is wrong
                wait = timing.reconnect
                continue
            wait = timing.renew
            if answer.fence is not Fenced.OURS and not self._over.is_set():
                self.lost = True
                self.told()
                return
            if answer.want and answer.want != self.want:
                self.want = answer.want
                self.told()


class Puller:
    """Takes jobs of pull experiments at one queue, from any thread of this process."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store = store
        self.settings = settings
        self._lock = threading.Lock()
        self._fork = 0
        self._free: dict[str, list[Offer]] = {}
        self._seats: list[Offer] = []
        self._looked = 0.0

    def next(self, experiment: str, wait: float = 0.0, draw: Draw | None = None) -> Held | None:
        """The job of `experiment` that stands first, leased to this process; None if there is none for `wait` seconds.

        `draw` makes one where none is queued. Raises RedisUnreachable, NotFound, Refused.
        """
        offer = self._seat(experiment)
        deadline = time.monotonic() + wait
        attempt = new_id()
        try:
            claim = self.store.claim(offer, attempt)
            while claim is None:
                if draw is not None and self.store.add_job(experiment, draw(), draw=True) is not None:
                    claim = self.store.claim(offer, attempt)
                    continue
                self._look_for_lost()
                left = deadline - time.monotonic()
                if left <= 0:
                    claim = self.store.claim(offer, attempt)
                    break
                claim = self.store.claim_when_woken(offer, attempt, min(left, self.settings.timing.idle_poll))
            held = None if claim is None else Held(self, claim, offer)
            if held is None:
                self.seat_is_free(offer, self._fork)
        except BaseException:
            # Who is interrupted may have been given a job without knowing.
            with contextlib.suppress(ExsError):
                self.store.release_unknown(attempt, "its process stopped waiting", offer)
            self.seat_is_free(offer, self._fork)
            raise
        return held

    def announce(self, offer: Offer) -> None:
        """List this seat among the workers. Raises RedisUnreachable."""
        self.store.puller_up(offer, os.getpid(), process.start_of(os.getpid()), __version__)

    def seat_is_free(self, offer: Offer, pid: int) -> None:
        """The job of a seat is over; it waits for the next one."""
        with self._lock:
            if pid == os.getpid() and self._fork == pid:
                self._free.setdefault(offer.pools[0], []).append(offer)

    def _seat(self, experiment: str) -> Offer:
        pool = pool_of(experiment)
        with self._lock:
            if self._fork != os.getpid():
                self._fork, self._free, self._seats = os.getpid(), {}, []
                atexit.register(self._leave, os.getpid())
            if self._free.get(pool):
                return self._free[pool].pop()
            node = host(self.settings)
            offer = Offer(f"{node}:pull@{secrets.token_hex(4)}", node, process.boot_id(), (pool,))
            self._seats.append(offer)
        self.announce(offer)
        return offer

    def put_back_lost(self) -> None:
        """Queue again what processes of this machine held that were killed."""
        node, boot = host(self.settings), process.boot_id()
        dead = [
            row.name
            for row in self.store.workers()
            if boot and (row.node, row.boot) == (node, boot) and is_puller(row.pools)
            and process.gone(row.pid, row.pid_start)
        ]  # fmt: skip
        if dead:
            self.store.slot_dead(dead, "its process has ended")

    def _look_for_lost(self) -> None:
        """What a killed process held is queued again: at once if it was of this machine. A look per renewal at most."""
        self.store.reap()
        if time.monotonic() >= self._looked:
            self._looked = time.monotonic() + self.settings.timing.renew
            self.put_back_lost()

    def _leave(self, pid: int) -> None:
        """At the end of the process: what it still holds goes back, and it leaves the lists."""
        if pid != os.getpid() or not self._seats:
            return
        with contextlib.suppress(ExsError):
            self.store.slot_dead([offer.slot for offer in self._seats], "its process has ended")


@lru_cache(8)
def puller_at(store: Store) -> Puller:
    """The one Puller of this process for that connection."""
    return Puller(store, store.settings)
