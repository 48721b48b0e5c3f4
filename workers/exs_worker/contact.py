"""Whether Redis answers, as one slot sees it: said once when it goes and once when it is back."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from exs.errors import RedisUnreachable

log = logging.getLogger("exs.worker")


class Contact:
    """`returned` is called each time Redis answers again after an outage."""

    def __init__(self, returned: Callable[[], None]) -> None:
        self._returned = returned
        self._since: float | None = None

    @property
    def away(self) -> bool:
        """True from the first failed call to the first that succeeds."""
        return self._since is not None

    def lost(self, error: RedisUnreachable) -> None:
        """A call failed."""
        if self._since is None:
            self._since = time.monotonic()
            log.warning("%s Waiting for it; a running job goes on.", error.message)

    def made(self) -> None:
        """A call succeeded."""
        if self._since is None:
            return
        away, self._since = time.monotonic() - self._since, None
        log.warning("Redis is back after %.0f s", away)
        self._returned()
