"""Keeps a slot's lease alive and hears what is asked of it, in one thread per slot process.

The thread looks every `renew` seconds whether an attempt is running; a job shorter than that costs it nothing.
"""

from __future__ import annotations

import logging
import os
import select
import threading
from collections.abc import Callable

from exs.errors import RedisUnreachable
from exs.model import Claim, Fenced, Offer
from exs.settings import Timing
from exs.store.store import Store
from exs_worker.attempt import ASKED, Attempt
from exs_worker.contact import Contact

log = logging.getLogger("exs.worker")


class Keeper(threading.Thread):
    """Renews for whichever attempt is held. `wake` interrupts the main thread, `register` announces the slot anew,
    `orphaned` is called once when the agent has died."""

    def __init__(
        self,
        store: Store,
        offer: Offer,
        timing: Timing,
        lifeline: int,
        wake: Callable[[], None],
        register: Callable[[], None],
        orphaned: Callable[[], None],
    ) -> None:
        super().__init__(name="exs-lease", daemon=True)
        self._store = store
        self._offer = offer
        self._timing = timing
        self._lifeline = lifeline
        self._wake = wake
        self._register = register
        self._orphaned = orphaned
        self._held: Attempt | None = None
        self._shouted = ""
        self._contact = Contact(lambda: None)
        self._stop_read, self._stop_write = os.pipe()

    def hold(self, attempt: Attempt) -> None:
        """Renew for this attempt from now on."""
        self._held = attempt

    def drop(self) -> None:
        """The attempt has ended."""
        self._held = None

    def stop(self) -> None:
        """End the thread."""
        os.write(self._stop_write, b".")

    def run(self) -> None:
        """The thread: until `stop`."""
        poller = select.poll()
        poller.register(self._stop_read, select.POLLIN)
        if self._lifeline >= 0:
            poller.register(self._lifeline, select.POLLIN)
        wait = self._timing.renew
        while True:
            for descriptor, _ in poller.poll(wait * 1000):
                if descriptor == self._stop_read:
                    return
                poller.unregister(self._lifeline)
                self._orphaned()
            attempt = self._held
            try:
                good = attempt is None or self._renew(attempt)
            except Exception:  # whatever it is: a thread that ended would give every later job away
                log.exception("cannot renew")
                good = False
            wait = self._timing.renew if good else self._timing.reconnect

    def _renew(self, attempt: Attempt) -> bool:
        """Renew once; False when Redis did not answer. The job runs on meanwhile (R6)."""
        claim = attempt.claim
        try:
            renewed, known = self._store.renew(claim.job, claim.attempt, self._offer, attempt.directory, attempt.log)
            if not known:
                self._register()
            forgotten = renewed.fence is Fenced.GONE and self._store.forgot(self._offer.node)
        except RedisUnreachable as error:
            self._contact.lost(error)
            return False
        self._contact.made()
        if self._held is not attempt:
            return True
        if forgotten:
            self._shout(claim)
        elif renewed.fence is not Fenced.OURS:
            log.warning("fenced out of job=%s attempt=%s: ending its processes", claim.job, claim.attempt)
            self._stop_attempt(attempt, "fenced")
        elif renewed.want in ASKED:
            self._stop_attempt(attempt, renewed.want)
        return True

    def _stop_attempt(self, attempt: Attempt, want: str) -> None:
        attempt.request_stop(want)
        self._wake()

    def _shout(self, claim: Claim) -> None:
        """Nobody removed the job: the whole queue is gone. That is no reason to end days of work."""
        if self._shouted != claim.attempt:
            self._shouted = claim.attempt
            log.error(
                "this Redis knows neither job=%s nor this node: was it emptied, or replaced? The job runs on",
                claim.job,
            )
