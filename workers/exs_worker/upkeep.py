"""What slots do for all of the queue: nobody else is there to do it.

An idle slot reaps; a busy one does it with each renewal. Behind either comes what is seldom to be done: pushes that
were broken off are taken back, and code that no job needs is taken away. So it is done also where no slot is ever idle.
"""

from __future__ import annotations

import logging
import time

from exs.errors import RedisRefused, RedisUnreachable
from exs.settings import Timing
from exs.store.store import Store

log = logging.getLogger("exs.worker")


class Upkeep:
    """The share of one slot."""

    def __init__(self, store: Store, timing: Timing) -> None:
        self._store = store
        self._timing = timing
        self._reap_at = 0.0
        self._refused = ""
        self._sweep_at = time.monotonic() + timing.push_ttl / 4

    def reap(self) -> None:
        """Of an idle slot, as often as it likes."""
        if time.monotonic() < self._reap_at:
            return
        self._reap_at = time.monotonic() + self._timing.renew / 2
        try:
            _, stale = self._store.reap()
            self.tidy(stale)
        except RedisRefused as error:  # nobody else would say that no lost job is found any more
            if error.message != self._refused:
                self._refused = error.message
                log.error("cannot look for lost jobs: %s %s", error.message, error.hint)
        except RedisUnreachable:
            pass  # whoever claims says so
        else:
            self._refused = ""

    def tidy(self, stale: str) -> None:
        """After a reap that named the push `stale`, or "". It takes a part of a renewal's time at most, since the lease
        of a job may wait for it; what is left is done after the next. Raises RedisUnreachable."""
        some = self._timing.renew / 4
        if stale:
            self._store.discard_stage(stale, self._timing.push_ttl, some)
        if time.monotonic() >= self._sweep_at and self._store.sweep_capsules(self._timing.push_ttl, some):
            self._sweep_at = time.monotonic() + self._timing.push_ttl / 4
