"""Keeps a slot's lease alive and hears what is asked of it, in one thread per slot process.

The thread looks every `renew` seconds whether an attempt is running, and every `report_every` what that has told of
itself; a job shorter than that costs it nothing.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
import time
from collections.abc import Callable

from exs.errors import RedisRefused, RedisUnreachable
from exs.model import Claim, Fenced, Offer, Renewed, Told
from exs.settings import Timing
from exs.store.store import Store
from exs_worker.attempt import Attempt
from exs_worker.contact import Contact
from exs_worker.stops import ASKED

log = logging.getLogger("exs.worker")


class Keeper(threading.Thread):
    """Renews for whichever attempt is held. `wake` interrupts the main thread, `register` announces the slot anew,
    `orphaned` is called once when the agent has died, `tidy` after each renewal with what it says is `stale`."""

    def __init__(
        self,
        store: Store,
        offer: Offer,
        timing: Timing,
        lifeline: int,
        wake: Callable[[], None],
        register: Callable[[], None],
        orphaned: Callable[[], None],
        tidy: Callable[[str], None],
    ) -> None:
        super().__init__(name="exs-lease", daemon=True)
        self._store = store
        self._offer = offer
        self._timing = timing
        self._lifeline = lifeline
        self._wake = wake
        self._register = register
        self._orphaned = orphaned
        self._tidy = tidy
        self._held: Attempt | None = None
        self._shouted = ""
        self._contact = Contact(lambda: None)
        self._leaves = False
        self._stop_read, self._stop_write = os.pipe()

    def hold(self, attempt: Attempt) -> None:
        """Renew for this attempt from now on."""
        self._held = attempt

    def drop(self) -> None:
        """The attempt has ended."""
        self._held = None

    def leave(self) -> None:
        """Say at once that this slot leaves when its job is done; from a signal handler."""
        os.write(self._stop_write, b"l")

    def stop(self) -> None:
        """End the thread."""
        os.write(self._stop_write, b".")

    def run(self) -> None:
        """The thread: until `stop`."""
        poller = select.poll()
        poller.register(self._stop_read, select.POLLIN)
        if self._lifeline >= 0:
            poller.register(self._lifeline, select.POLLIN)
        timing = self._timing
        renew_at, tell_at = time.monotonic() + timing.renew, time.monotonic() + timing.report_every
        while True:
            for descriptor, _ in poller.poll(max(0.0, min(renew_at, tell_at) - time.monotonic()) * 1000):
                if descriptor == self._stop_read:
                    if b"." in os.read(self._stop_read, 64):
                        return
                    self._leaves, renew_at = True, 0.0
                    continue
                poller.unregister(self._lifeline)
                self._orphaned()
            if time.monotonic() >= tell_at:
                tell_at = time.monotonic() + (timing.report_every if self._try(self._tell) else timing.reconnect)
            if time.monotonic() >= renew_at:
                renew_at = time.monotonic() + (timing.renew if self._try(self._renew) else timing.reconnect)

    def _try(self, step: Callable[[Attempt], bool]) -> bool:
        """Do a step for the attempt that is held, if there is one; True for success."""
        attempt = self._held
        try:
            return attempt is None or step(attempt)
        except Exception:  # whatever it is: a thread that ended would give every later job away
            log.exception("cannot renew, or tell what the job reports")
            return False

    def _tell(self, attempt: Attempt) -> bool:
        """Tell Redis what the job has told since; False when it did not answer, and hears it later."""
        claim, report = attempt.claim, attempt.report
        if report is None:
            return True
        report.look()
        news = report.news()
        if news is None:
            return True
        try:
            answer = self._store.report(claim.job, claim.attempt, news)
        except RedisUnreachable as error:  # or full: what is not told now is told later, at last with the outcome
            report.not_delivered()
            if not isinstance(error, RedisRefused):
                self._contact.lost(error)
            return False
        if answer is Told.AGAIN:
            report.not_delivered()
        return True

    def _renew(self, attempt: Attempt) -> bool:
        """Renew once, then do a busy slot's share of the upkeep; False when Redis did not answer. The job runs on
        meanwhile (R6)."""
        claim = attempt.claim
        try:
            renewed, known = self._store.renew(
                claim.job, claim.attempt, self._offer, attempt.directory, attempt.log, self._leaves
            )
            if not known:
                self._register()
            forgotten = renewed.fence is Fenced.GONE and self._store.forgot(self._offer.node)
        except RedisUnreachable as error:
            self._contact.lost(error)
            return False
        self._contact.made()
        if self._held is attempt:
            self._obey(attempt, renewed, forgotten)
        with contextlib.suppress(RedisUnreachable):
            self._tidy(renewed.stale)
        return True

    def _obey(self, attempt: Attempt, renewed: Renewed, forgotten: bool) -> None:
        claim = attempt.claim
        if forgotten:
            self._shout(claim)
        elif renewed.fence is not Fenced.OURS:
            stops, wanted = attempt.stops, renewed.fence is Fenced.FENCED and not renewed.want
            if not stops.void:
                keeps = stops.kept and wanted
                fate = "it runs on (on_lost: keep), but counts no more" if keeps else "ending its processes"
                log.warning("fenced out of job=%s attempt=%s: %s", claim.job, claim.attempt, fate)
            self._stop_attempt(attempt, "fenced")
            if stops.kept and not wanted:  # the job was canceled or removed
                self._stop_attempt(attempt, "kill")
        elif renewed.want in ASKED:
            self._stop_attempt(attempt, renewed.want)

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
