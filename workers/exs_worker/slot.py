"""The process that is pinned to one set of GPUs: claim, prepare, run, deliver, one job at a time.

It is an RQ worker: RQ's registration, loop, signals and command channel are RQ's own; what touches a job is ours,
because stock RQ loses and doubles jobs (`rq.md` sections 3 to 5). The methods overridden are those of RQ's loop.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import time
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import redis
from rq.worker import WorkerStatus

from exs.errors import BrokenRecord, RedisUnreachable
from exs.model import Claim, Failure, Fenced, Following, JobState, Outcome, Spec
from exs.settings import Settings
from exs.store.push import new_id
from exs.store.store import Store
from exs_worker import proctree
from exs_worker.attempt import Attempt
from exs_worker.config import SlotConfig
from exs_worker.contact import Contact
from exs_worker.delivery import Delivery
from exs_worker.gang import UNCOUNTED, Follower, borrow
from exs_worker.gpulock import Loan
from exs_worker.gpuwatch import failed_of
from exs_worker.lease import Keeper
from exs_worker.meter import Meter
from exs_worker.place import Place
from exs_worker.rqside import RqSide
from exs_worker.spool import Spool, Spooled, hand_over
from exs_worker.upkeep import Upkeep

log = logging.getLogger("exs.worker")

#: Specs kept per slot; a slot sees few at a time.
_SPECS = 64


class Slot(RqSide):
    """One slot of a node. `place` is where its attempts run, `spool` where outcomes wait for Redis."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        config: SlotConfig,
        place: Place,
        spool: Spool,
        leaving_early: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(settings, config, leaving_early)
        self._store = store
        self._place = place
        self._ticket = config.ticket
        self._specs: dict[tuple[str, str], Spec] = {}
        self._attempt_id = new_id()
        self._next: Claim | None = None
        self._unheard = False  #: a claim was sent whose answer has not been heard: the slot may have been given a job
        self._following: Following | None = None  #: who runs a job on the GPU of this slot too
        self._upkeep = Upkeep(store, self._timing)
        self._contact = Contact(self._redis_is_back)
        self._delivery = Delivery(store, spool, self._contact, lambda: self.stopped, self._timing.reconnect)
        self._lost = ""
        self._gpu_errors = config.gpu_errors
        self._meter = Meter(self._timing.gpu_sample)
        self._follower = Follower(
            store, self._offer, config.locks, self._timing, self._contact, self.announce_if_forgotten,
            lambda: self.stopped,
        )  # fmt: skip
        self._keeper = Keeper(
            store, self._offer, self._timing, config.lifeline, self.wake, self.announce, self.agent_died,
            self._upkeep.tidy,
        )  # fmt: skip

    # ------------------------------------------------------------ RQ's loop

    @property
    def should_run_maintenance_tasks(self) -> bool:
        """Never: RQ's cleaners are not ours to run; `reap` is."""
        return False

    def check_for_suspension(self, burst: bool) -> None:
        """Nothing: claim obeys `rq suspend`."""

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """Nothing: claim and renew carry it."""

    def bootstrap(self, *args: Any, **kwargs: Any) -> None:
        """Register, listen for commands, start the lease thread."""
        self._store.warm_up()
        super().bootstrap(*args, **kwargs)
        self._keeper.start()
        gc.freeze()  # what was imported is not looked at again: a full collection would take 18 ms

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Claim, Spec | None] | None:
        """The next job with its spec; None when asked to stop, or, in burst mode, when there is none."""
        asked = False
        while not self._stop_requested:
            if self._following is not None:
                self._follow()
                asked = False
                continue
            if self._next is None and not asked and self._may_claim():
                self._claim()
            if self._next is not None:
                found = self._take_next()
                if found is not None:
                    return found
            elif timeout is None and not self._contact.away:
                return None
            else:
                self._upkeep.reap()
                self.announce_if_forgotten()
                asked = self._wait()
        return None

    def execute_job(self, claim: Claim, spec: Spec | None) -> None:
        """Run one attempt and deliver its outcome, with the next claim in the same round trip."""
        self._state = WorkerStatus.BUSY
        self._ticket.begin()
        log.debug("run job=%s attempt=%s number=%d", claim.job, claim.attempt, claim.number)
        if spec is None:
            problem = claim.problem or f"its spec {claim.spec} cannot be read"
            self._deliver(claim, Outcome(JobState.CRASHED, Failure.SPAWN, f"broken record: {problem}"))
            return
        loan = Loan()
        try:
            place = borrow(claim, self._place, loan)
            if place is None:
                self._deliver(claim, Outcome(JobState.QUEUED, detail="a GPU that it needs was not free", requeue=True))
                time.sleep(self._timing.reconnect)  # whoever is in the way has the time to leave
            else:
                self._run(Attempt(claim, spec, place), loan)
        finally:
            loan.end()

    def _run(self, attempt: Attempt, loan: Loan) -> None:
        claim = attempt.claim
        self._running = attempt
        if self._hand_back:  # asked while there was nothing to ask
            attempt.request_stop("requeue")
        self._keeper.hold(attempt)
        try:
            attempt.prepare()
            with self._meter.over(self._all_locks(claim)) as gauge:
                outcome = attempt.run(self._wake_read)
            outcome = gauge.added_to(outcome)
        finally:
            self._keeper.drop()
            self._running = None
        if not attempt.stuck:
            loan.end()  # before the slots that it is of hear that they are free
        if outcome.failure is Failure.ERROR and (why := self._broken_gpu(claim)):
            self._lose(claim, why)
            return
        self._deliver(claim, outcome, ahead=not attempt.stuck)
        self._state = WorkerStatus.IDLE
        self._sit_out(attempt.stuck)

    def teardown(self) -> None:
        """Give back what was claimed ahead and leave the lists; with Redis away, the lease will run out instead.

        First what another slot runs on the GPU of this one comes to its end.
        """
        if self._unheard and self._following is None and self._offer.gpus:
            self._following = self._follower.asked()
        self._follow()
        with contextlib.suppress(RedisUnreachable, redis.RedisError):
            self._delivery.deliver_left()
            if self._unheard:
                self._store.release_unknown(self._attempt_id, "its slot left", self._offer)
            if self._next is not None:
                self._store.release(self._next.job, self._next.attempt, "its slot left", self._offer)
            failure = Failure.GPU if self._lost else Failure.LOST
            self._store.slot_dead([self.name], self._lost or "its slot left", failure)
        self._keeper.stop()
        with contextlib.suppress(redis.RedisError):
            self.unsubscribe()

    @property
    def lost(self) -> bool:
        """True for a slot that left because its GPU failed under a job."""
        return bool(self._lost)

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """See there; and no job is stopped any more to make room on a slot that leaves."""
        self._keeper.leave()
        super().request_stop(signum, frame)

    # ------------------------------------------------------------ steps

    def _redis_is_back(self) -> None:
        self.announce()
        self._delivery.again()

    def _claim(self, wait: float = 0.0) -> bool:
        """Take the next job, if there is one; with `wait` once a token says so. False when Redis was not heard."""
        self._unheard = True
        self._interruptible = wait > 0
        try:
            found: Claim | Following | None = None
            if not (wait and self._stop_requested):  # else the signal came before it could interrupt anything
                found = self._store.claim_or_follow(self._offer, self._attempt_id, wait)
        except RedisUnreachable as error:
            self._contact.lost(error)
            return False
        finally:
            self._interruptible = False
        self._unheard = False
        self._contact.made()
        if isinstance(found, Claim):
            self._next = found
            self._attempt_id = new_id()
        else:
            self._following = found
            self._ticket.rest()
        return True

    def _may_claim(self) -> bool:
        """Whether the worker may take one job more. A slot of one that takes none leaves."""
        if self._ticket.over:
            self._stop_requested = True
            return False
        return self._ticket.ask()

    def _follow(self) -> None:
        """Wait while another slot runs a job on the GPU of this one too."""
        if self._following is not None:
            self._state = WorkerStatus.BUSY
            self._follower.until_free(self._following)
            self._following = None
            self._state = WorkerStatus.IDLE

    def _all_locks(self, claim: Claim) -> tuple[str, ...]:
        """Of every GPU on which a job runs."""
        return (*self._locks, *(mate.lock for mate in claim.mates))

    def _broken_gpu(self, claim: Claim) -> str:
        """What is wrong with the GPUs of a job that crashed; "" for nothing."""
        return failed_of(
            self._all_locks(claim), (*self._gpu_errors, *(UNCOUNTED for _ in claim.mates)), self._timing.gpu_silence
        )

    def _take_next(self) -> tuple[Claim, Spec | None] | None:
        """What was claimed, with its spec. It stays `_next` until it is taken: who leaves before gives it back."""
        claim = self._next
        assert claim is not None
        key = (claim.experiment, claim.spec)
        while not self._stop_requested:
            try:
                if key not in self._specs and not claim.problem:
                    self._remember_spec(key)
            except BrokenRecord:
                self._next = None
                return claim, None
            except RedisUnreachable as error:
                self._contact.lost(error)
                time.sleep(self._timing.reconnect)
            else:
                self._next = None
                return claim, self._specs.get(key)
        return None

    def _remember_spec(self, key: tuple[str, str]) -> None:
        spec = self._store.spec(*key)
        if len(self._specs) >= _SPECS:
            self._specs.clear()
        self._specs[key] = spec

    def _deliver(self, claim: Claim, outcome: Outcome, ahead: bool = True) -> None:
        """`ahead`: claim the next job with it, which must then begin at once: nobody renews its lease before."""
        send = self._finish_and_claim if ahead else partial(hand_over, self._store)
        self._delivery.deliver(Spooled(claim.job, claim.attempt, self._offer, outcome), send)
        if self._next is None:
            self._ticket.rest()

    def _lose(self, claim: Claim, why: str) -> None:
        """The job crashed because its GPU did: leave, and it runs elsewhere as one that was lost with its slot."""
        log.error("job=%s attempt=%s is lost: %s", claim.job, claim.attempt, why)
        self._lost = why
        self._stop_requested = True

    def _finish_and_claim(self, item: Spooled) -> Fenced:
        if self._stop_requested or item.outcome.requeue or not self._may_claim():
            return hand_over(self._store, item)
        fence, self._next = self._store.finish_and_claim(
            item.job, item.attempt, item.outcome, self._offer, self._attempt_id
        )
        if self._next is not None:
            self._attempt_id = new_id()
        return fence

    def _wait(self) -> bool:
        """Sleep until woken, until it is time to look again, or until a signal says to leave. True if it has looked."""
        poll = min(self._timing.idle_poll, self._timing.renew)
        if not self._contact.away and not self._ticket.strict:
            return self._claim(poll)
        self._interruptible = True
        try:
            if self._stop_requested:
                pass
            elif self._contact.away:
                time.sleep(self._timing.reconnect)
            else:
                self._store.woken(self._offer, self._ticket.patience(poll))
        except RedisUnreachable as error:
            self._contact.lost(error)
        finally:
            self._interruptible = False
        return False

    def _sit_out(self, stuck: tuple[int, ...]) -> None:
        """Take no job while a process that cannot be killed still has the GPU (R8)."""
        pids = [stat.proc for pid in stuck if (stat := proctree.read(pid))]
        if pids:
            log.error("stuck: slot=%s waits for %s", self.name, ", ".join(str(proc.pid) for proc in pids))
        while any(proctree.alive(proc) for proc in pids) and not self._stop_requested:
            time.sleep(1.0)
