"""What a slot process does from its first line: locks, store, loop. Started by the agent alone."""

from __future__ import annotations

import logging
import select
import signal
import sys
from dataclasses import replace
from functools import cache
from types import FrameType
from typing import TYPE_CHECKING

from exs import paths, settings
from exs.errors import ExsError, RedisUnreachable
from exs.store.connect import sentences
from exs.store.store import Store, open_store
from exs_worker import proctree
from exs_worker.config import EXIT_BUG, EXIT_GPU, EXIT_TAKEN, FINISH, HAND_BACK, SlotConfig
from exs_worker.contact import Contact
from exs_worker.gpulock import GpuLock, borrower_of
from exs_worker.journal import set_up_log
from exs_worker.place import make_place
from exs_worker.slot import Slot
from exs_worker.spool import Spool

if TYPE_CHECKING:
    from exs_worker.workshop import Workshop

log = logging.getLogger("exs.worker")


def main() -> None:
    """Run one slot until it is told to leave. Its configuration is the first word of the command line."""
    config = SlotConfig.from_word(sys.argv[1])
    set_up_log(config.quiet)
    try:
        sys.exit(run(config))
    except ExsError as error:
        log.error("slot=%s: %s", config.name, error)
        sys.exit(error.exit_code)


def run(config: SlotConfig) -> int:
    """The life of one slot; returns its exit code."""
    leaving = _Leaving()
    locks = [GpuLock(name) for name in config.locks]
    for lock, name in zip(locks, config.locks, strict=True):
        if not lock.acquire():
            log.warning("wait for GPU %s: process %s has its lock", name, lock.holder_pid())
            return EXIT_TAKEN
    if (borrower := borrower_of(config.locks)) is not None:
        log.warning("wait for GPU %s: a job of process %s runs on it", ",".join(config.locks), borrower)
        return EXIT_TAKEN
    proctree.become_subreaper()
    given = settings.load()
    place = make_place(config.node, config.name, config.devices, given.timing, given.limits, config.workdir)
    store = open_store(given.redis_url, given)
    state = paths.state_dir(configured=given.state_dir)
    place = replace(place, workshop=cache(lambda: _workshop(store, state, given)), warnings=config.warnings)
    spool = Spool(state.spool)
    contact = Contact(lambda: None)
    slot: Slot | None = None
    while not leaving.asked:
        try:
            with sentences(given.redis_url):  # RQ's own calls among them
                store.ping()
                if slot is None:
                    contact.made()
                    slot = Slot(store, given, config, place, spool, lambda: leaving.asked)
                slot.work(logging_level="WARNING")
            return EXIT_GPU if slot.lost else 0 if slot.stopped else EXIT_BUG
        except RedisUnreachable as error:
            contact.lost(error)
        if select.select([config.lifeline], [], [], given.timing.reconnect)[0]:
            log.warning("the agent is gone: slot=%s leaves", config.name)
            return 0
    return 0


def _workshop(store: Store, state: paths.StateDir, given: settings.Settings) -> Workshop:
    from exs_worker.workshop import Workshop  # for those whose jobs bring their code

    return Workshop(state, store, given.limits.capsule_cache, given.timing.reconnect)


class _Leaving:
    """A stop signal that comes before the slot listens to signals itself."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT, HAND_BACK):
            signal.signal(number, self._note)
        # The agent's to obey, where a terminal or a batch scheduler sends them to all. A handler, for jobs would
        # inherit that it is ignored.
        for number in (signal.SIGHUP, FINISH):
            signal.signal(number, lambda number, frame: None)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
