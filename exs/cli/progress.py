"""Following `exs run`: one line of progress, the node's warnings above it, and Ctrl-C that asks once."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Mapping
from types import FrameType
from typing import TYPE_CHECKING

from exs.cli import session
from exs.errors import RedisUnreachable
from exs.model import FINAL, JobState
from exs.view.counts import counted
from exs.view.when import duration

if TYPE_CHECKING:
    from exs.store.store import Store
    from exs_worker.local import LocalNode

#: Seconds between two looks, and between two lines where a line cannot be rewritten.
_LOOK = 0.2
_LINE = 10.0
#: Seconds without anything running or changing after which we say why.
_STILL = 15.0


class Run:
    """Watches one experiment while the local node works on it."""

    def __init__(self, store: Store, name: str, node: LocalNode) -> None:
        self._store = store
        self._name = name
        self._node = node
        self._screen = session.out_screen()
        self._began = time.monotonic()
        self._done_before: int | None = None
        self._interrupts = 0
        self._printed = ""
        self._printed_at = 0.0
        self._changed_at = time.monotonic()
        self._said_still = False

    def to_the_end(self) -> tuple[Mapping[JobState, int], bool]:
        """The final counts, and whether everything is finished; returns when the node has left."""
        before = signal.signal(signal.SIGINT, self._on_interrupt)
        try:
            return self._follow()
        finally:
            signal.signal(signal.SIGINT, before)
            while self._node.alive():
                time.sleep(0.02)
            self._say()

    def _follow(self) -> tuple[Mapping[JobState, int], bool]:
        counts: Mapping[JobState, int] = {}
        asked = told = 0
        finished = False
        while True:
            try:
                counts = self._store.counts(self._name)
            except RedisUnreachable as error:
                self._above(f"{error.message} Still trying.")
                time.sleep(1.0)
            self._say()
            self._show(counts)
            finished = bool(counts) and not any(n for state, n in counts.items() if state not in FINAL)
            if finished and not told:
                told = 1
                self._node.stop()
            if self._interrupts > asked:
                asked = self._interrupts
                if self._wants_to_stop(counts, told):
                    told += 1
                    self._node.stop()
                else:
                    self._interrupts = asked = 0
            if not self._node.alive():
                self._close()
                return counts, finished
            time.sleep(_LOOK)

    def _on_interrupt(self, number: int, frame: FrameType | None) -> None:
        self._interrupts += 1

    def _wants_to_stop(self, counts: Mapping[JobState, int], told: int) -> bool:
        running = counts.get(JobState.RUNNING, 0)
        if told:
            self._above(f"handing back {running} running job{'s' if running != 1 else ''} ...")
            return True
        if not (sys.stdin.isatty() and self._screen.terminal):
            return True
        self._close()
        question = f"Stop? Running jobs ({running}) are finished first; Ctrl-C again hands them back now. [Y/n] "
        try:
            answer = input(question)
        except EOFError:
            answer = "y"
        return not answer.strip().lower().startswith("n")

    def _show(self, counts: Mapping[JobState, int]) -> None:
        text = counted(counts, self._screen) + self._eta(counts)
        now = time.monotonic()
        if text != self._printed:
            self._changed_at, self._said_still = now, False
        elif now - self._changed_at > _STILL and not counts.get(JobState.RUNNING) and not self._said_still:
            self._said_still = True
            self._above(f"nothing runs: the jobs that are left fit none of the slots here. exs list -t {self._name}")
        if text == self._printed:
            return
        if self._screen.colour:
            sys.stdout.write(f"\r\x1b[K{text}")
            sys.stdout.flush()
        elif now - self._printed_at >= _LINE and self._printed_at:
            session.note(text)
            self._printed_at = now
        self._printed_at = self._printed_at or now
        self._printed = text

    def _eta(self, counts: Mapping[JobState, int]) -> str:
        over = sum(n for state, n in counts.items() if state in FINAL)
        left = sum(n for state, n in counts.items() if state not in FINAL)
        if self._done_before is None:
            self._done_before = over
        progress = over - self._done_before
        if progress < 2 or not left:
            return ""
        return f"  about {duration((time.monotonic() - self._began) / progress * left)} left"

    def _say(self) -> None:
        for line in self._node.said():
            self._above(line)

    def _above(self, line: str) -> None:
        """A line on standard error, above the line of progress."""
        self._close()
        session.note(line)

    def _close(self) -> None:
        if self._printed and self._screen.colour:
            sys.stdout.write("\r\x1b[K")
            sys.stdout.flush()
        self._printed = ""
