"""The process that is pinned to one set of GPUs: claim, prepare, run, deliver, one job at a time.

It is an RQ worker: RQ's registration, loop, signals and command channel are RQ's own; what touches a job is ours,
because stock RQ loses and doubles jobs (`rq.md` sections 3 to 5). The methods overridden are those of RQ's loop.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import time
from types import FrameType
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue, Worker, worker_registration
from rq.exceptions import StopRequested
from rq.utils import now as utc_now
from rq.worker import WorkerStatus

import exs
from exs.errors import BrokenRecord, RedisUnreachable
from exs.model import Claim, Failure, Fenced, JobState, Outcome, Spec
from exs.settings import Settings
from exs.store import keys
from exs.store.push import new_id
from exs.store.store import Store
from exs_worker import proctree
from exs_worker.attempt import Attempt
from exs_worker.config import SlotConfig
from exs_worker.lease import Keeper
from exs_worker.place import Place
from exs_worker.spool import Spool, Spooled, hand_over

log = logging.getLogger("exs.worker")

#: Specs kept per slot; a slot sees few at a time.
_SPECS = 64


class Slot(Worker):
    """One slot of a node. `place` is where its attempts run, `spool` where outcomes wait for Redis."""

    def __init__(self, store: Store, settings: Settings, config: SlotConfig, place: Place, spool: Spool) -> None:
        self._store = store
        self._timing = settings.timing
        self._config = config
        self._offer = config.offer
        self._place = place
        self._spool = spool
        self._specs: dict[tuple[str, str], Spec] = {}
        self._attempt_id = new_id()
        self._next: Claim | None = None
        self._running: Attempt | None = None
        self._interruptible = False
        self._reap_at = 0.0
        self._away_since: float | None = None
        self._born = utc_now()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        connection = _rq_connection(settings)
        queues = [Queue(pool, connection=connection) for pool in config.pools]
        super().__init__(queues, name=config.name, connection=connection, worker_ttl=keys.WORKER_TTL - 60)
        self._keeper = Keeper(
            store, self._offer, self._timing, config.lifeline, self._wake, self.register_birth, self._agent_died
        )

    # ------------------------------------------------------------ registration and commands, as RQ does them

    def register_birth(self) -> None:
        """Announce the slot, or announce it again after Redis forgot it; what it holds stays."""
        self.last_heartbeat = utc_now()
        self.birth_date = self._born
        ours = {
            "exs_node": self._offer.node,
            "exs_boot": self._offer.boot,
            "exs_gpus": ",".join(self._offer.gpus),
            "exs_start": str(_start_of(os.getpid())),
            "exs_version": exs.__version__,
        }
        with self.connection.pipeline() as pipe:
            pipe.hdel(self.key, "death")
            pipe.hset(self.key, mapping={**self.serialize(), **ours})
            worker_registration.register(self, pipe)
            pipe.expire(self.key, keys.WORKER_TTL)
            pipe.execute()

    def handle_payload(self, message: dict[str, Any]) -> None:
        """A command on RQ's channel: ours, `stop-job`, `kill-horse`, or `shutdown`. What cannot be read is ignored."""
        try:
            payload = json.loads(message["data"])
            command, job, attempt = payload["command"], payload.get("job_id"), payload.get("attempt")
        except (ValueError, KeyError, TypeError, AttributeError):
            return
        running = self._running
        if command == "shutdown":
            os.kill(os.getpid(), signal.SIGTERM)
        elif running is not None and command == "kill-horse":
            self._ask(running, "kill")
        elif running is not None and job == running.claim.job:
            if command == "exs" and attempt == running.claim.attempt and payload.get("want") in ("cancel", "kill"):
                self._ask(running, payload["want"])
            elif command == "stop-job":
                self._ask(running, "cancel")

    def _ask(self, attempt: Attempt, want: str) -> None:
        attempt.request_stop(want)
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_write, b".")

    # ------------------------------------------------------------ signals

    def _agent_died(self) -> None:
        log.warning("the agent is gone: slot=%s finishes its job and leaves", self.name)
        os.kill(os.getpid(), signal.SIGTERM)

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """First signal: take no more jobs, finish and deliver this one, leave."""
        self._stop_requested = True
        signal.signal(signal.SIGINT, self.request_force_stop)
        signal.signal(signal.SIGTERM, self.request_force_stop)
        # Only a wait is interrupted: a claim whose answer is under way would be leased to nobody.
        if self._interruptible:
            raise StopRequested

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:
        """Second signal: end the job politely and hand it back, unpunished."""
        if self._running is not None:
            self._ask(self._running, "requeue")

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

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Claim, Spec | None] | None:
        """The next job with its spec; None when asked to stop, or, in burst mode, when there is none."""
        while not self._stop_requested:
            claim, self._next = self._next, None
            claim = claim or self._claim()
            if claim is not None:
                return claim, self._spec_of(claim)
            if timeout is None and self._away_since is None:
                return None
            self._reap()
            self._wait()
        return None

    def execute_job(self, claim: Claim, spec: Spec | None) -> None:
        """Run one attempt and deliver its outcome, with the next claim in the same round trip."""
        self._state = WorkerStatus.BUSY
        log.debug("run job=%s attempt=%s number=%d", claim.job, claim.attempt, claim.number)
        if spec is None:
            problem = claim.problem or f"its spec {claim.spec} cannot be read"
            self._deliver(claim, Outcome(JobState.CRASHED, Failure.SPAWN, f"broken record: {problem}"))
            return
        attempt = self._running = Attempt(claim, spec, self._place)
        self._keeper.hold(attempt)
        try:
            attempt.prepare()
            outcome = attempt.run(self._wake_read)
        finally:
            self._keeper.drop()
            self._running = None
        self._deliver(claim, outcome)
        self._state = WorkerStatus.IDLE
        self._sit_out(attempt.stuck)

    def teardown(self) -> None:
        """Give back what was claimed ahead and leave the lists; with Redis away, the lease will run out instead."""
        with contextlib.suppress(RedisUnreachable, redis.RedisError):
            if self._next is not None:
                self._store.release(self._next.job, self._next.attempt, "its slot left", self._offer)
            self._store.slot_dead([self.name], "its slot left")
        self._keeper.stop()
        with contextlib.suppress(redis.RedisError):
            self.unsubscribe()

    # ------------------------------------------------------------ steps

    def _claim(self) -> Claim | None:
        try:
            claim = self._store.claim(self._offer, self._attempt_id)
        except RedisUnreachable as error:
            self._lost_contact(error)
            return None
        self._have_contact()
        if claim is not None:
            self._attempt_id = new_id()
        return claim

    def _spec_of(self, claim: Claim) -> Spec | None:
        key = (claim.experiment, claim.spec)
        while key not in self._specs and not claim.problem:
            try:
                spec = self._store.spec(*key)
            except BrokenRecord:
                return None
            except RedisUnreachable as error:
                self._lost_contact(error)
                time.sleep(self._timing.reconnect)
            else:
                if len(self._specs) >= _SPECS:
                    self._specs.clear()
                self._specs[key] = spec
        return self._specs.get(key)

    def _deliver(self, claim: Claim, outcome: Outcome) -> None:
        """Deliver until Redis has it; on disk meanwhile. A stop request leaves it to the next agent's spool."""
        item = Spooled(claim.job, claim.attempt, self._offer, outcome)
        spooled = None
        while True:
            try:
                fence = self._finish(item)
                break
            except RedisUnreachable as error:
                self._lost_contact(error)
                if spooled is None:
                    with contextlib.suppress(OSError):  # a full disk: memory must do
                        spooled = self._spool.put(item)
                if self._stop_requested and spooled is not None:
                    log.warning("leave the outcome of job=%s in %s", claim.job, spooled)
                    return
                time.sleep(self._timing.reconnect)
        self._have_contact()
        if spooled is not None:
            spooled.unlink(missing_ok=True)
        if fence is not Fenced.OURS:
            log.warning("refused: the outcome of job=%s attempt=%s is %s", claim.job, claim.attempt, fence.value)

    def _finish(self, item: Spooled) -> Fenced:
        if self._stop_requested or item.outcome.requeue:
            return hand_over(self._store, item)
        fence, self._next = self._store.finish_and_claim(
            item.job, item.attempt, item.outcome, self._offer, self._attempt_id
        )
        if self._next is not None:
            self._attempt_id = new_id()
        return fence

    def _reap(self) -> None:
        if time.monotonic() < self._reap_at:
            return
        self._reap_at = time.monotonic() + self._timing.renew / 2
        with contextlib.suppress(RedisUnreachable):
            _, stale = self._store.reap()
            if stale:
                self._store.discard_stage(stale, self._timing.push_ttl)

    def _wait(self) -> None:
        """Sleep until woken, until it is time to look again, or until a signal says to leave."""
        self._interruptible = True
        try:
            if self._stop_requested:
                return
            if self._away_since is not None:
                time.sleep(self._timing.reconnect)
            else:
                self._store.wait_for_work(self._offer, min(self._timing.idle_poll, self._timing.renew))
        except RedisUnreachable as error:
            self._lost_contact(error)
        finally:
            self._interruptible = False

    def _sit_out(self, stuck: tuple[int, ...]) -> None:
        """Take no job while a process that cannot be killed still has the GPU (R8)."""
        pids = [stat.proc for pid in stuck if (stat := proctree.read(pid))]
        if pids:
            log.error("stuck: slot=%s waits for %s", self.name, ", ".join(str(proc.pid) for proc in pids))
        while any(proctree.alive(proc) for proc in pids) and not self._stop_requested:
            time.sleep(1.0)

    def _lost_contact(self, error: RedisUnreachable) -> None:
        if self._away_since is None:
            self._away_since = time.monotonic()
            log.warning("%s Waiting for it; a running job goes on.", error.message)

    def _have_contact(self) -> None:
        if self._away_since is None:
            return
        away, self._away_since = time.monotonic() - self._away_since, None
        log.warning("Redis is back after %.0f s", away)
        with contextlib.suppress(redis.RedisError):
            self.register_birth()


def _rq_connection(settings: Settings) -> redis.Redis:
    """RQ forces a time-out of its own on the connection that it gets (415 s), so it gets one of its own."""
    options: dict[str, Any] = {"socket_connect_timeout": settings.timing.connect_timeout}
    if not settings.redis_url.startswith("unix:"):
        options["socket_keepalive"] = True
    return redis.Redis.from_url(settings.redis_url, retry=Retry(NoBackoff(), 0), **options)


def _start_of(pid: int) -> int:
    stat = proctree.read(pid)
    return stat.proc.start if stat else 0
