"""Attending to `exs run`: the counts while the local node works, its remarks, and Ctrl-C, which asks once."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING

from exs.cli.eta import Eta
from exs.cli.output import jobs_of
from exs.cli.progress import Progress
from exs.errors import RedisUnreachable
from exs.model import FINAL, JobState
from exs.settings import ONE_PRESS
from exs.view.text import safe

if TYPE_CHECKING:
    from exs.store.store import Store
    from exs_worker.local import LocalNode

#: Seconds between two looks.
_LOOK = 0.1
#: Seconds in which nothing runs and nothing changes, after which we say so.
_STILL = 15.0

#: How far the node has been told to go: not to stop, to finish its jobs, to hand them back.
_GO_ON, _FINISH, _HAND_BACK = range(3)


@dataclass(frozen=True)
class Ending:
    """How it ended. `finished`: no job is left. `interrupted`: a person stopped it."""

    counts: Mapping[JobState, int]
    finished: bool
    interrupted: bool


class Attendance:
    """Attends to one experiment while the local node works on it."""

    def __init__(self, store: Store, name: str, node: LocalNode) -> None:
        self._store = store
        self._name = name
        self._node = node
        self._progress = Progress()
        self._counts: Mapping[JobState, int] = {}
        self._eta = Eta(store)
        self._left: float | None = None
        self._wanted = self._told = _GO_ON
        self._interrupts = 0
        self._pressed_at = 0.0
        self._interrupted = self._asking = self._away = self._said_still = self._stopped = False
        self._changed_at = time.monotonic()

    def to_the_end(self) -> Ending:
        """Returns when the node has left, whatever happens; the jobs it had are finished or handed back then."""
        before = signal.signal(signal.SIGINT, self._on_interrupt)
        try:
            while self._node.alive():
                self._look()
            self._look()
        finally:
            self._wanted = max(self._wanted, _FINISH)
            while self._node.alive():
                self._pass_on()
                self._sleep()
            self._say()
            self._progress.close()
            signal.signal(signal.SIGINT, before)
        return Ending(self._counts, self._finished(), self._interrupted)

    def _look(self) -> None:
        self._count()
        self._say()
        if self._finished():
            self._wanted = max(self._wanted, _FINISH)
        self._progress.show(self._counts, self._left)
        self._pass_on()
        if self._node.alive():
            self._sleep()

    def _count(self) -> None:
        try:
            row = self._store.experiment(self._name)
            self._left = self._eta.of([row])
        except RedisUnreachable as error:
            if not self._away:
                self._progress.above(f"{error.message} Running jobs go on; still trying.")
            self._away = True
            return
        if self._away:
            self._progress.above("Redis is back.")
            self._away = False
        counts = row.counts
        if counts != self._counts:
            self._changed_at, self._said_still = time.monotonic(), False
        self._counts = counts
        if row.stopped_itself and not self._stopped:
            self._stopped = True
            self._wanted = max(self._wanted, _FINISH)
            self._progress.above(f"paused: {safe(row.paused_by)}")
        still = not self._running() and time.monotonic() - self._changed_at > _STILL
        if still and not self._said_still:
            self._said_still = True
            self._progress.above(f"nothing runs at the moment; what the jobs wait for: exs list -t {self._name}")

    def _finished(self) -> bool:
        return bool(self._counts) and not any(n for state, n in self._counts.items() if state not in FINAL)

    def _running(self) -> int:
        return self._counts.get(JobState.RUNNING, 0) + self._counts.get(JobState.PAUSING, 0)

    def _say(self) -> None:
        for line in self._node.said():
            self._progress.above(line)

    # ------------------------------------------------------------ Ctrl-C

    def _on_interrupt(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - self._pressed_at > ONE_PRESS:
            self._interrupts += 1
            self._pressed_at = now

    def _pass_on(self) -> None:
        """Hear what the person wants and tell the node."""
        if self._interrupts:
            self._interrupts -= 1
            self._interrupt()
        if self._told < self._wanted:
            self._told = self._wanted
            self._node.stop(now=self._wanted == _HAND_BACK)

    def _interrupt(self) -> None:
        """Ctrl-C: first ask, where somebody can answer; else finish; the next one hands back."""
        number = self._node.running()
        running = jobs_of(number, "running ")
        if self._wanted == _GO_ON and not self._asking and self._progress.can_ask:
            termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)  # what was typed before is no answer
            self._asking = True
            self._progress.ask(f"Stop after {running}? [Y/n]  Ctrl-C again hands them back now. ")
            return
        self._interrupted = True
        if self._asking:
            self._end_question(echoed=False)
        elif self._wanted == _GO_ON:
            self._stop(f"stopping after {running}; Ctrl-C again hands them back now.")
            return
        if number and self._wanted < _HAND_BACK:
            self._progress.above(f"handing back {running}.")
        self._wanted = _HAND_BACK

    def _stop(self, remark: str) -> None:
        self._interrupted = True
        self._wanted = max(self._wanted, _FINISH)
        self._progress.above(remark)

    def _end_question(self, echoed: bool) -> None:
        self._asking = False
        self._progress.answered(echoed)

    def _sleep(self) -> None:
        """Until the next look, or until an answer has been typed."""
        if not self._asking:
            time.sleep(_LOOK)
        elif select.select([sys.stdin], [], [], _LOOK)[0]:
            answer = os.read(sys.stdin.fileno(), 4096)
            self._end_question(echoed=answer.endswith(b"\n"))
            if not answer.strip().lower().startswith(b"n"):
                self._stop(f"stopping after {jobs_of(self._node.running(), 'running ')}; Ctrl-C hands them back now.")
