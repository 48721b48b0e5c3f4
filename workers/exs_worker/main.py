"""What a slot process does from its first line: locks, store, loop. Started by the agent alone."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from dataclasses import replace
from types import FrameType

import redis

from exs import paths, settings
from exs.errors import ExsError, RedisUnreachable
from exs.store.store import open_store
from exs_worker import proctree
from exs_worker.config import SlotConfig
from exs_worker.gpulock import GpuLock
from exs_worker.place import make_place
from exs_worker.slot import Slot
from exs_worker.spool import Spool

log = logging.getLogger("exs.worker")

#: Exit code of a slot whose GPU another process holds; the agent waits and tries again.
EXIT_TAKEN = 75
#: Reserved for the environment of jobs: which slot process runs them, to tell survivors from the living.
WORKER_PID, WORKER_NAME = "EXS_WORKER_PID", "EXS_WORKER"


def main() -> None:
    """Run one slot until it is told to leave. Its configuration is the first word of the command line."""
    config = SlotConfig.from_word(sys.argv[1])
    set_up_log(config.quiet)
    try:
        sys.exit(run(config))
    except ExsError as error:
        log.error("slot=%s: %s", config.name, error)
        sys.exit(error.exit_code)


def set_up_log(quiet: bool = False) -> None:
    """Lines of the agent and its slots: time, level, sentence, on standard error. `quiet`: only what goes wrong."""
    level = logging.WARNING if quiet else logging.INFO
    logging.basicConfig(level=level, format="%(asctime)s %(levelname).1s %(message)s", datefmt="%H:%M:%S")


def run(config: SlotConfig) -> int:
    """The life of one slot; returns its exit code."""
    leaving = _Leaving()
    locks = [GpuLock(name) for name in config.locks]
    for lock, name in zip(locks, config.locks, strict=True):
        if not lock.acquire():
            log.warning("wait for GPU %s: process %s has its lock", name, lock.holder_pid())
            return EXIT_TAKEN
    proctree.become_subreaper()
    given = settings.load()
    place = make_place(config.node, config.name, config.devices, given.timing, given.limits, config.workdir)
    place = replace(place, env={**place.env, WORKER_PID: str(os.getpid()), WORKER_NAME: config.name})
    store = open_store(given.redis_url, given)
    spool = Spool(paths.state_dir(configured=given.state_dir).spool)
    while not leaving.asked:
        try:
            Slot(store, given, config, place, spool).work(logging_level="WARNING")
            return 0
        except (redis.ConnectionError, redis.TimeoutError, RedisUnreachable) as error:
            log.warning("cannot register slot=%s: %s", config.name, settings.masked_url(str(error)))
            time.sleep(given.timing.reconnect)
    return 0


class _Leaving:
    """A stop signal that comes before the slot listens to signals itself."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
