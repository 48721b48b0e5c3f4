"""For how long a worker serves: `--until`, `--idle-exit`, `--max-jobs`; and what its slots tell each other of that."""

from __future__ import annotations

import fcntl
import logging
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

log = logging.getLogger("exs.worker")

#: Seconds between two looks of a slot whose share of --max-jobs others have asked for, while they wait for an answer.
SOON = 0.05

_HEAD = struct.Struct("<Q")
_SEAT = struct.Struct("<Qd")
_IDLE, _ASKING, _BUSY, _STARTING = range(4)
#: States of a slot that is not idle: one that starts has not looked for a job yet.
_AT_WORK = (_BUSY, _STARTING)


@dataclass(frozen=True)
class Terms:
    """What was said; 0 is nothing. `until`: seconds since the epoch, for a time of day is what the user means by it.

    `grace`: seconds after `until` at which what still runs is handed back; None for never. `idle_exit`: seconds without
    a job in any slot. `max_jobs`: attempts that all slots together begin. `stop_by`: when all is handed back whatever
    was said, because the allocation of a batch scheduler ends; `last_words`: names of the signals with which that
    scheduler says so, and after which seconds are left.
    """

    until: float = 0.0
    grace: float | None = None
    idle_exit: float = 0.0
    max_jobs: int = 0
    stop_by: float = 0.0
    last_words: str = ""

    @property
    def past(self) -> bool:
        """True when no more jobs may be taken."""
        return any(then and time.time() >= then for then in (self.until, self.stop_by))

    @property
    def last(self) -> bool:
        """True when the allocation is about to end."""
        return bool(self.stop_by) and time.time() >= self.stop_by

    @property
    def hand_back(self) -> bool:
        """True when what still runs is to go back."""
        return time.time() >= self.end

    @property
    def end(self) -> float:
        """When the last job is gone at the latest, in seconds since the epoch; infinite if it may run on."""
        graced = self.until + self.grace if self.until and self.grace is not None else float("inf")
        return min(graced, self.stop_by or float("inf"))

    @property
    def monotonic_end(self) -> float:
        """`end` on the clock of `time.monotonic`, 0 for none: what a slot says when it asks for a job."""
        return 0.0 if self.end == float("inf") else time.monotonic() + self.end - time.time()

    def wait(self) -> float:
        """Seconds until either is next; infinite if neither is to come."""
        now = time.time()
        moments = [self.until, self.until + (self.grace or 0.0)] if self.until else []
        moments += [self.stop_by] if self.stop_by else []
        return min((then - now for then in moments if then > now), default=float("inf"))

    def __str__(self) -> str:
        """For people: `until 2026-11-27 08:00, 20 jobs at most`; "" when nothing was said."""
        parts = []
        if self.until:
            parts.append(f"until {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(self.until)).removesuffix(':00')}")
        if self.grace is not None:
            parts.append(f"what still runs is handed back {self.grace:g} s later")
        if self.stop_by:
            at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.stop_by))
            parts.append(f"what still runs is handed back at {at}, before the allocation ends")
        if self.max_jobs:
            parts.append(f"{self.max_jobs} jobs at most")
        if self.idle_exit:
            parts.append(f"leaves when idle for {self.idle_exit:g} s")
        return ", ".join(parts)


FOR_EVER = Terms()


class Ledger:
    """What the slots of one worker have begun, in memory that they share with their agent.

    A slot asks before it claims, so that all together never begin more than `max_jobs`, and what it asked for is free
    again when it got nothing or died before it began.
    """

    def __init__(self, descriptor: int, seats: int, max_jobs: int) -> None:
        self.descriptor = descriptor
        self._seats = seats
        self._max = max_jobs

    @classmethod
    def create(cls, seats: int, max_jobs: int) -> Ledger:
        """A new one; every slot is idle from now on."""
        made = cls(os.memfd_create("exs-ledger", os.MFD_CLOEXEC), seats, max_jobs)
        os.pwrite(made.descriptor, _HEAD.pack(0) + _SEAT.pack(_IDLE, time.monotonic()) * seats, 0)
        return made

    # ------------------------------------------------------------ of a slot

    def ask(self, seat: int) -> bool:
        """Reserve the right to begin one job more; False when the others have what is left."""
        with self._locked():
            state, since = self._read(seat)
            if self._max and state != _ASKING and self._begun() + self._asking() >= self._max:
                return False
            self._write(seat, _ASKING, time.monotonic() if state in _AT_WORK else since)
            return True

    def begin(self, seat: int) -> None:
        """The slot has a job, and runs it."""
        with self._locked():
            os.pwrite(self.descriptor, _HEAD.pack(self._begun() + 1), 0)
            self._write(seat, _BUSY, time.monotonic())

    def starts(self, seat: int) -> None:
        """A process is started in the seat."""
        with self._locked():
            self._write(seat, _STARTING, time.monotonic())

    def rest(self, seat: int) -> None:
        """The slot has no job: its last one is over, there was none, or its process has ended."""
        with self._locked():
            state, since = self._read(seat)
            # To look for a job in vain does not make a slot that was idle idle anew.
            self._write(seat, _IDLE, time.monotonic() if state in _AT_WORK else since)

    # ------------------------------------------------------------ of both

    @property
    def spent(self) -> bool:
        """True when as many jobs have begun as may."""
        with self._locked():
            return bool(self._max) and self._begun() >= self._max

    @property
    def idle(self) -> float:
        """Seconds for which no slot has had a job; 0 while one has."""
        with self._locked():
            seats = [self._read(seat) for seat in range(self._seats)]
        if any(state in _AT_WORK for state, _ in seats):
            return 0.0
        return time.monotonic() - max(since for _, since in seats)

    def _begun(self) -> int:
        return int(_HEAD.unpack(os.pread(self.descriptor, _HEAD.size, 0))[0])

    def _asking(self) -> int:
        return sum(self._read(seat)[0] == _ASKING for seat in range(self._seats))

    def _read(self, seat: int) -> tuple[int, float]:
        state, since = _SEAT.unpack(os.pread(self.descriptor, _SEAT.size, _HEAD.size + seat * _SEAT.size))
        return state, since

    def _write(self, seat: int, state: int, since: float) -> None:
        os.pwrite(self.descriptor, _SEAT.pack(state, since), _HEAD.size + seat * _SEAT.size)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fcntl.lockf(self.descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self.descriptor, fcntl.LOCK_UN)


class Ticket:
    """What one slot may take under the terms of its worker. Without terms everything, at no cost."""

    def __init__(self, terms: Terms, ledger: Ledger | None, seat: int) -> None:
        self._terms = terms
        self._ledger = ledger
        self._seat = seat
        self._refused = False

    @property
    def over(self) -> bool:
        """True when this worker takes no more jobs."""
        return self._terms.past or (self._ledger is not None and self._ledger.spent)

    @property
    def strict(self) -> bool:
        """True when a claim must not wait in Redis for a job: by then it may not be allowed any more."""
        return bool(self._terms.until or self._terms.stop_by or self._terms.max_jobs)

    def ask(self) -> bool:
        """May a job be claimed now?"""
        self._refused = self._ledger is not None and not self._ledger.ask(self._seat)
        return not self._refused

    def begin(self) -> None:
        """A job begins."""
        if self._ledger is not None:
            self._ledger.begin(self._seat)

    def rest(self) -> None:
        """There is no job now."""
        if self._ledger is not None:
            self._ledger.rest(self._seat)

    def patience(self, seconds: float) -> float:
        """For how long to wait for a wake-up, at most `seconds`."""
        return SOON if self._refused else min(seconds, max(0.01, self._terms.wait()))


class Tenure:
    """What an agent does about the terms of its worker."""

    def __init__(self, terms: Terms, seats: int) -> None:
        self._terms = terms
        shared = terms.max_jobs or terms.idle_exit
        self.ledger = Ledger.create(seats, terms.max_jobs) if shared else None

    def stops(self, told: int) -> int:
        """How often the slots must have been told to stop by now: 1 to finish their jobs, 2 to hand them back."""
        if not told and (why := self._over()):
            log.info("leave: %s", why)
            told = 1
        if told == 1 and self._terms.hand_back:
            log.info("hand back what still runs: %s", "the allocation ends" if self._terms.last else "--grace is over")
            told = 2
        return told

    def wait(self, told: int) -> float:
        """Seconds until `stops` may have something new to say, if no slot ends meanwhile."""
        idle = self.ledger.idle if self.ledger is not None and self._terms.idle_exit and not told else None
        return min(self._terms.wait(), float("inf") if idle is None else self._terms.idle_exit - idle)

    def left(self, seat: int) -> None:
        """The process in a seat has ended."""
        if self.ledger is not None:
            self.ledger.rest(seat)

    def _over(self) -> str:
        terms, ledger = self._terms, self.ledger
        if terms.last:
            return "the allocation of the batch scheduler ends"
        if terms.past:
            return "the time of --until has come"
        if ledger is not None and ledger.spent:
            return f"as many jobs have begun as --max-jobs allows ({terms.max_jobs})"
        if ledger is not None and terms.idle_exit and ledger.idle >= terms.idle_exit:
            return f"no job for {terms.idle_exit:g} s (--idle-exit)"
        return ""
