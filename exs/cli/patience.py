"""Outlasting a Redis that is away: one remark, then trying again as long as a job without contact is not lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from exs.cli.session import note, settings
from exs.errors import OtherSchema, RedisUnreachable

Answer = TypeVar("Answer")


class Patience:
    """Counts from the first failure after a success; `remark` gets one sentence per absence."""

    def __init__(self, remark: Callable[[str], None] = note) -> None:
        self._remark = remark
        self._since: float | None = None

    def outlast(self, question: Callable[[], Answer]) -> Answer:
        """What `question` answers, asked until Redis does. Raises RedisUnreachable after `Timing.lost_after`."""
        while True:
            try:
                answer = question()
            except RedisUnreachable as error:
                self.failed(error)
            else:
                self.answered()
                return answer

    def failed(self, error: RedisUnreachable) -> None:
        """Let a moment pass before the next try; raises `error` when waiting is in vain or has been too long."""
        timing = settings().timing
        if isinstance(error, OtherSchema):
            raise error
        if self._since is None:
            self._since = time.monotonic()
            self._remark(f"{error.message} Still waiting.")
        elif time.monotonic() - self._since > timing.lost_after:
            raise error
        time.sleep(timing.reconnect)

    def answered(self) -> None:
        """Redis is there: its next absence is a new one."""
        self._since = None
