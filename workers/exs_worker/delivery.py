"""One outcome into Redis, however long that takes: on disk meanwhile, under the fence of its attempt."""

from __future__ import annotations

import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from exs.errors import RedisRefused, RedisUnreachable
from exs.model import Fenced
from exs.store.store import Store
from exs_worker.contact import Contact
from exs_worker.spool import Spool, Spooled, hand_over

log = logging.getLogger("exs.worker")

#: A Redis that syncs its file once a second, and whose machine loses power, comes back without what it took in its
#: last two seconds at most (Redis's own word for `everysec`).
UNSURE = 2.0
#: Outcomes that are remembered for that: more than one slot delivers in that time.
_MOST = 4000


class Delivery:
    """Delivers the outcomes of one slot. `leaving` says whether the slot was told to stop, `pause` is in seconds."""

    def __init__(self, store: Store, spool: Spool, contact: Contact, leaving: Callable[[], bool], pause: float) -> None:
        self._store = store
        self._spool = spool
        self._contact = contact
        self._leaving = leaving
        self._pause = pause
        self._left: tuple[Spooled, Path] | None = None
        self._unsure: deque[tuple[float, Spooled]] = deque(maxlen=_MOST)

    def deliver(self, item: Spooled, send: Callable[[Spooled], Fenced]) -> None:
        """Call `send` until Redis takes the outcome. A slot that leaves meanwhile leaves it in the spool."""
        spooled: Path | None = None
        while True:
            try:
                fence = send(item)
                break
            except RedisUnreachable as error:
                self._contact.lost(error)
                spooled = spooled or self._keep(item)
                if self._leaving() and self._leave(item, spooled):
                    return
                time.sleep(self._pause)
            except Exception:  # a bug, here or in the queue: days of work must outlive it
                self._leave(item, spooled or self._keep(item))
                raise
        self._contact.made()
        self._settle(item, fence, spooled)

    def again(self) -> None:
        """Tell Redis once more what it took shortly before its last word: it was away, or knows less than it did.

        What it still knows changes nothing (R2).
        """
        try:
            while self._unsure:
                hand_over(self._store, self._unsure[0][1])
                self._unsure.popleft()
        except RedisRefused:
            pass  # one that is never taken must not make Redis seem away for ever; the next occasion tries again
        except RedisUnreachable as error:
            self._contact.lost(error)

    def deliver_left(self) -> None:
        """Try once more what was left. Raises RedisUnreachable; it is in the spool then."""
        if self._left is not None:
            item, path = self._left
            self._settle(item, hand_over(self._store, item), path)
            self._left = None

    def _leave(self, item: Spooled, path: Path | None) -> bool:
        if path is not None:
            log.warning("leave the outcome of job=%s in %s", item.job, path)
            self._left = item, path
        return path is not None

    def _keep(self, item: Spooled) -> Path | None:
        """Where the outcome lies now; None where the disk does not take it, and memory must do."""
        with contextlib.suppress(OSError):
            return self._spool.put(item)
        return None

    def _forgotten(self, item: Spooled) -> bool:
        try:
            return self._store.forgot(item.offer.node)
        except RedisUnreachable:
            return True  # who cannot tell keeps it

    def _settle(self, item: Spooled, fence: Fenced, spooled: Path | None) -> None:
        if fence is Fenced.GONE and self._forgotten(item):
            # The queue was emptied or replaced under us. Should the right one come back, it gets its result.
            path = spooled or self._keep(item)
            log.error("this Redis does not know job=%s; its outcome is kept in %s", item.job, path)
            return
        if spooled is not None:
            spooled.unlink(missing_ok=True)
        if fence is Fenced.OURS:
            self._remember(item)
        else:
            self.again()  # a claim that Redis forgot fences its attempt out; the outcome before it is forgotten too
            log.warning("refused: the outcome of job=%s attempt=%s is %s", item.job, item.attempt, fence.value)

    def _remember(self, item: Spooled) -> None:
        now = time.monotonic()
        while self._unsure and self._unsure[0][0] < now - UNSURE:
            self._unsure.popleft()
        self._unsure.append((now, item))
