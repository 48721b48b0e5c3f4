"""What slots that died left behind: adopted by the agent, ended, and counted against the seat whose slot it was."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Sequence

from exs_worker import proctree
from exs_worker.proctree import Proc
from exs_worker.seat import Seat
from exs_worker.supervise import STUCK_AFTER

log = logging.getLogger("exs.worker")


class Leftovers:
    """Children of this process that are no slots. `seats`: all of this agent; each one's `left` is kept here."""

    def __init__(self, seats: Sequence[Seat]) -> None:
        self._seats = seats
        self._since: float | None = None
        self._said_stuck = False

    @property
    def any(self) -> bool:
        """True while something is left, stuck or not."""
        return self._since is not None

    def owned(self) -> set[Proc]:
        """What is known to be of some seat."""
        return set().union(*(seat.left for seat in self._seats))

    def found(self) -> set[Proc]:
        """What lives now."""
        slots = {seat.process.pid for seat in self._seats if seat.process}
        stats = [stat for pid in proctree.children(os.getpid()) if pid not in slots and (stat := proctree.read(pid))]
        return {stat.proc for stat in stats if stat.state not in "ZX"}

    def end(self) -> bool:
        """SIGKILL all of it, with all below it. True when it is gone, or given up: then the seats stay empty (R8).

        Never blocks: the caller repeats it, and collects the zombies.
        """
        living = self.found()
        for orphan in living:
            for proc in (orphan, *(stat.proc for stat in proctree.descendants(orphan.pid))):
                proctree.send(proc, signal.SIGKILL)
        fresh = living - self.owned()  # children of what was ended
        for seat in self._seats:
            if seat.left:
                seat.left = (seat.left & living) | fresh
        now = time.monotonic()
        if not living:
            self._since = None
            return True
        if self._since is None:
            self._since, self._said_stuck = now, False
        if now - self._since < STUCK_AFTER:
            return False
        if not self._said_stuck:
            self._said_stuck = True
            log.error("stuck: %d processes of dead slots do not end; their GPUs are not used meanwhile", len(living))
        return True
