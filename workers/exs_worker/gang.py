"""What a slot does for jobs of several slots: lead one on the GPUs of others, or wait while another leads on its own.

How sets of slots come about stands in exs/store/lua/lib/gang.lua.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from exs.errors import RedisUnreachable
from exs.model import Claim, Following, Offer
from exs.settings import Timing
from exs.store.store import Store
from exs_worker.contact import Contact
from exs_worker.gpulock import Loan, borrower_of
from exs_worker.place import Place

log = logging.getLogger("exs.worker")

#: Seconds between two looks whether a borrowed GPU is back, at first ...
_LOOK = 0.02
#: ... and up to this: an emptied Redis says that the slot is free while days of work go on.
_LONGEST_LOOK = 2.0
#: Uncorrected memory errors of a GPU that this slot has not counted: none of them is news.
UNCOUNTED = 1 << 62


def borrow(claim: Claim, place: Place, loan: Loan) -> Place | None:
    """Where a claimed job runs: `place`, with the GPUs of its mates, which `loan` then holds; None when one is not to
    be had, because its slot died or was started anew since the claim."""
    for mate in claim.mates:
        if not loan.take(mate.lock, mate.pid):
            log.warning("job=%s goes back: GPU %s of slot=%s is not free for it", claim.job, mate.gpu, mate.slot)
            loan.end()
            return None
    return replace(place, devices=claim.gpus) if claim.mates else place


class Follower:
    """Keeps a slot from work while a job of another slot runs on its GPU. `stopping`: was it told to leave?"""

    def __init__(
        self,
        store: Store,
        offer: Offer,
        locks: Sequence[str],
        timing: Timing,
        contact: Contact,
        announce: Callable[[], None],
        stopping: Callable[[], bool],
    ) -> None:
        self._store = store
        self._offer = offer
        self._locks = locks
        self._timing = timing
        self._contact = contact
        self._announce = announce
        self._stopping = stopping
        self._alone_since = 0.0

    def asked(self) -> Following | None:
        """Whom the slot follows as far as Redis can be asked: it may have been taken while it did not listen."""
        try:
            return self._store.follow(self._offer)
        except RedisUnreachable:
            return None

    def until_free(self, following: Following) -> None:
        """Return when the job of `following` is over.

        A slot that is told to leave stays: it holds the lock of a GPU on which somebody computes. It leaves a job whose
        leader has been dead for a lease, which nobody reports where the agent is dead too.
        """
        log.info("slot=%s waits: %s runs job=%s on its GPU too", self._offer.slot, following.leader, following.job)
        self._alone_since = time.monotonic()
        while not (self._stopping() and self._abandoned()):
            try:
                if self._store.follow(self._offer, min(self._timing.idle_poll, self._timing.renew)) is None:
                    break
                self._contact.made()
                self._announce()
            except RedisUnreachable as error:
                self._contact.lost(error)
                time.sleep(self._timing.reconnect)
        # Redis may have forgotten, or have given the job to others, before its processes here have ended.
        pause = _LOOK
        while borrower_of(self._locks) is not None and not self._stopping():
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_LOOK)

    def _abandoned(self) -> bool:
        now = time.monotonic()
        if borrower_of(self._locks) is not None:
            self._alone_since = now
        return now - self._alone_since > self._timing.lease
