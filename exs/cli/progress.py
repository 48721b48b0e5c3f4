"""The line that follows `exs run` and `exs wait`, with remarks above it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping

from exs.cli import session
from exs.model import FINAL, JobState
from exs.view.counts import counted
from exs.view.screen import Screen
from exs.view.text import width
from exs.view.when import rough

#: Seconds between two lines where a line cannot be rewritten, in a file or a dumb terminal.
_APART = 10.0
#: Jobs that must have ended before their speed says something about the rest.
_ENOUGH = 2


class Progress:
    """One line of counts on a terminal, rewritten when it changes; elsewhere a line now and then on standard error.

    `silent`: remarks only.
    """

    def __init__(self, silent: bool = False) -> None:
        self._screen = session.out_screen()
        self._silent = silent
        self._rewritable = self._screen.terminal and os.environ.get("TERM") != "dumb" and not silent
        self._began = self._printed_at = time.monotonic()
        self._over_before: int | None = None
        self._line = ""
        self._question = ""

    @property
    def can_ask(self) -> bool:
        """True if a person sits there."""
        return self._rewritable and sys.stdin.isatty()

    def show(self, counts: Mapping[JobState, int], seconds_left: float | None = None) -> None:
        """Show `counts`, unless a question stands there; and what is left, by what was seen here if nobody says it."""
        if self._silent:
            return
        left = self._left(counts, seconds_left)
        line = counted(counts, self._screen)
        if width(counted(counts, Screen()) + left) < (self._screen.width or 80):
            line += left
        if line == self._line or self._question:
            return
        if self._rewritable:
            self._line = line
            self._draw(line)
        elif time.monotonic() - self._printed_at >= _APART:
            self._line, self._printed_at = line, time.monotonic()
            session.note(line)

    def above(self, remark: str) -> None:
        """Print `remark` on standard error, above the line."""
        if self._rewritable:
            self._draw("")
        session.note(remark)
        if self._rewritable:
            self._draw(self._question or self._line)

    def ask(self, question: str) -> None:
        """Put `question` in place of the line, until `answered` or `close`."""
        self._question = question
        self._draw(question)

    def answered(self, echoed: bool) -> None:
        """The line comes back. `echoed`: the answer's newline has already left the question behind."""
        if not echoed:
            self._draw("")
        self._question = self._line = ""

    def close(self) -> None:
        """Remove the line."""
        if self._rewritable:
            self._draw("")
        self._question = self._line = ""

    def _draw(self, text: str) -> None:
        # What was there is overwritten and only its rest erased, so that nothing flickers.
        sys.stdout.write(f"\r{text}\x1b[K")
        sys.stdout.flush()

    def _left(self, counts: Mapping[JobState, int], seconds: float | None) -> str:
        """`  about 3m left`, as soon as that can be said and while something is left."""
        over = sum(number for state, number in counts.items() if state in FINAL)
        to_go = sum(counts.values()) - over
        if self._over_before is None:
            self._over_before = over
        ended = over - self._over_before
        if seconds is None and ended >= _ENOUGH:
            seconds = (time.monotonic() - self._began) / ended * to_go
        return f"  about {rough(seconds)} left" if to_go and seconds is not None else ""
