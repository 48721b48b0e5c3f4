"""How long experiments that are watched will take, asked of Redis now and then and counted down in between."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from exs.rows import ExperimentRow

if TYPE_CHECKING:
    from exs.store.store import Store

#: Seconds between two questions.
_APART = 3.0


class Eta:
    """Seconds that are left."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ask_at = self._asked_at = 0.0
        self._left: float | None = None

    def of(self, rows: Sequence[ExperimentRow]) -> float | None:
        """Until all of these experiments are over; None where nobody knows. They run beside each other."""
        now = time.monotonic()
        if now >= self._ask_at:
            self._ask_at, self._asked_at = now + _APART, now
            self._store.note_pace(rows)
            found = [row.pace.left for row in rows if row.pace is not None]
            known = [left for left in found if left is not None]
            self._left = max(known) if known and len(known) == len(found) else None
        return None if self._left is None else max(0.0, self._left - (now - self._asked_at))
