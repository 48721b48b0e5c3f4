"""What the slot is to RQ's tools: a registered worker that obeys RQ's command channel and RQ's signals."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict
from types import FrameType
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue, Worker, worker_registration
from rq.exceptions import StopRequested
from rq.utils import now as utc_now

import exs
from exs.settings import Settings
from exs.store import keys
from exs_worker import proctree
from exs_worker.attempt import Attempt
from exs_worker.config import HAND_BACK, SlotConfig
from exs_worker.stops import ASKED
from exs_worker.terms import FOR_EVER

log = logging.getLogger("exs.worker")


class RqSide(Worker):
    """RQ's worker as far as others see it. `leaving_early`: was it told to stop before it listened to signals?"""

    def __init__(self, settings: Settings, config: SlotConfig, leaving_early: Callable[[], bool]) -> None:
        self._timing = settings.timing
        self._offer = offer = config.offer
        self._locks = config.locks
        self._leaving_early = leaving_early
        self._terms = config.terms
        self._running: Attempt | None = None
        self._interruptible = False
        self._hand_back = False
        self._announce_at = 0.0
        self._born = utc_now()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        connection = _rq_connection(settings)
        queues = [Queue(pool, connection=connection) for pool in offer.pools]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what RQ says of a server that hides the addresses of its clients
            super().__init__(queues, name=offer.slot, connection=connection, worker_ttl=keys.WORKER_TTL - 60)

    @property
    def stopped(self) -> bool:
        """True when the slot was told to leave; a loop that ended otherwise has failed."""
        return bool(self._stop_requested)

    # ------------------------------------------------------------ registration

    def _set_connection(self, connection: redis.Redis) -> redis.Redis:
        """As it is: RQ's own time-out of 415 s would hold a slot behind a dead network for as long."""
        return connection

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
            "exs_memory": str(self._offer.gpu_memory),
            "exs_only": self._offer.only,
            "exs_locks": ",".join(self._locks),
        }
        if self._terms != FOR_EVER:
            ours["exs_terms"] = json.dumps(asdict(self._terms))
        with self.connection.pipeline() as pipe:
            pipe.hdel(self.key, "death")
            pipe.hset(self.key, mapping={**self.serialize(), **ours})
            worker_registration.register(self, pipe)
            pipe.expire(self.key, keys.WORKER_TTL)
            if self._offer.gpus:
                pipe.sadd(keys.NODE_SLOTS + self._offer.node, self.name)
                pipe.expire(keys.NODE_SLOTS + self._offer.node, keys.NODE_SLOTS_TTL)
            pipe.execute()

    def announce(self) -> None:
        """`register_birth`, if Redis is there."""
        with contextlib.suppress(redis.RedisError):
            self.register_birth()

    def announce_if_forgotten(self) -> None:
        """An emptied Redis still gives jobs to a slot that no list shows; look once per lease."""
        if time.monotonic() >= self._announce_at:
            self._announce_at = time.monotonic() + self._timing.lease
            with contextlib.suppress(redis.RedisError):
                if not self.connection.sismember(self.redis_workers_keys, self.key):
                    self.register_birth()

    # ------------------------------------------------------------ commands on RQ's channel

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
            if command == "exs" and attempt == running.claim.attempt and payload.get("want") in (*ASKED, "fenced"):
                self._ask(running, payload["want"])
            elif command == "stop-job":
                self._ask(running, "cancel")

    def _ask(self, attempt: Attempt, want: str) -> None:
        attempt.request_stop(want)
        self.wake()

    def wake(self) -> None:
        """Make the main thread look at what is wanted of its attempt; from any thread or signal handler."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_write, b".")

    def _pubsub_exception_handler(self, exc: Exception, pubsub: Any, pubsub_thread: Any) -> None:
        """Listen again after whatever went wrong: RQ gives up on a time-out, and prints each of its tries."""
        time.sleep(self._timing.reconnect)

    # ------------------------------------------------------------ signals

    def _install_signal_handlers(self) -> None:
        super()._install_signal_handlers()
        # A signal just before a poll() begins would not end it: its handler would run when the job is over.
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        signal.signal(HAND_BACK, self._request_hand_back)
        if self._leaving_early():
            self.request_stop(signal.SIGTERM, None)

    def agent_died(self) -> None:
        """Nobody restarts this slot, nobody clears up after it: leave when the job is done."""
        log.warning("the agent is gone: slot=%s finishes its job and leaves", self.name)
        if not self._stop_requested:  # a second request would take the job from it
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
        self._hand_back = True
        if self._running is not None:
            self._ask(self._running, "requeue")

    def _request_hand_back(self, signum: int, frame: FrameType | None) -> None:
        """`HAND_BACK`: both signals in one, because two of a kind can arrive as one."""
        self.request_force_stop(signum, frame)
        if not self._stop_requested:
            self.request_stop(signum, frame)


def _rq_connection(settings: Settings) -> redis.Redis:
    """A connection that is not the Store's: RQ changes the one that it gets."""
    timing = settings.timing
    options: dict[str, Any] = {
        "socket_connect_timeout": timing.connect_timeout,
        "socket_timeout": timing.socket_timeout,
    }
    if not settings.redis_url.startswith("unix:"):
        options["socket_keepalive"] = True
    return redis.Redis.from_url(settings.redis_url, retry=Retry(NoBackoff(), 0), **options)


def _start_of(pid: int) -> int:
    stat = proctree.read(pid)
    return stat.proc.start if stat else 0
