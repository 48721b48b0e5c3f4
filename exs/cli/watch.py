"""A listing that is shown anew until Ctrl-C.

On a terminal it has a screen of its own, of which each picture overwrites the one before, in one write and without
erasing anything first, so that nothing flickers. The last picture stays on the ordinary screen, whole. Elsewhere, in a
pipe or a dumb terminal, each picture that differs from the one before is printed below it.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType

from exs.cli import session
from exs.errors import OtherSchema, RedisUnreachable
from exs.view.render import Listing
from exs.view.screen import Screen
from exs.view.text import clipped, safe

#: A screen of our own, without a cursor; and back.
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
#: Terminals that know it show what stands between these at once; the others do nothing.
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"
#: Of the lines that a picture too high for the screen keeps, so many are its last: sums stand there.
_FEET = 5

Looks = Callable[[], Sequence[Listing]]


class Watch:
    """Shows anew every `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lines: list[str] = []
        self._problem = ""

    def show(self, look: Looks) -> None:
        """Until Ctrl-C. What is wrong with the first look is raised; later a Redis that is away is waited for."""
        screen = session.out_screen()
        self._take(look, screen, first=True)
        if not screen.terminal or os.environ.get("TERM") == "dumb":
            self._blocks(look, screen)
            return
        try:
            with _Stage() as stage:
                while True:
                    size = os.get_terminal_size(sys.stdout.fileno())
                    stage.draw(fitted(self._lines, self._foot(), size.columns, size.lines))
                    stage.sleep(self._seconds)
                    self._take(look, session.out_screen())
        except KeyboardInterrupt:
            session.put(self._lines)

    def _blocks(self, look: Looks, screen: Screen) -> None:
        shown: list[str] = []
        try:
            while True:
                if self._lines != shown:
                    session.put([*([""] if shown else []), *self._lines])
                    sys.stdout.flush()
                    shown = self._lines
                time.sleep(self._seconds)
                self._take(look, screen)
                if self._problem:
                    session.note(self._problem)
        except KeyboardInterrupt:
            return

    def _take(self, look: Looks, screen: Screen, first: bool = False) -> None:
        """Look. While Redis is away the last picture stays, and the problem is said."""
        try:
            self._lines = [line for listing in look() for line in listing.lines(screen)]
            self._problem = ""
        except RedisUnreachable as error:
            if first or isinstance(error, OtherSchema):
                raise
            self._problem = f"{error.message} Still trying."

    def _foot(self) -> str:
        now = time.strftime("%H:%M:%S")
        return safe(self._problem) if self._problem else f"Ctrl-C ends  {now}  every {self._seconds:g}s"


def fitted(lines: Sequence[str], foot: str, columns: int, rows: int) -> list[str]:
    """The lines of a picture and, below them, `foot`, on a screen of that size.

    Of what does not fit the middle is left out: the head says what it is, the last lines sum it up.
    """
    room = max(rows - 1, 0)
    kept = list(lines)
    if len(kept) > room:
        feet = min(_FEET, max(0, room - 1) // 3)
        head = max(0, room - 1 - feet)
        word = f"... {len(kept) - head - feet} lines more: a higher screen, or --status, shows them"
        kept = [*kept[:head], *([word] if room else []), *(kept[len(kept) - feet :] if feet else [])]
    return [clipped(line, columns) for line in (*kept, foot)]


class _Stage:
    """The terminal's other screen, from entering to leaving, also when the program is stopped or ended meanwhile."""

    def __init__(self) -> None:
        self._wake_read, self._wake_write = os.pipe()  # which no program that we start inherits
        os.set_blocking(self._wake_write, False)

    def __enter__(self) -> _Stage:
        self._before = {
            number: signal.signal(number, handler)
            for number, handler in (
                (signal.SIGWINCH, self._on_resize),
                (signal.SIGTSTP, self._on_stop),
                (signal.SIGTERM, self._on_end),
                (signal.SIGHUP, self._on_end),
            )
        }
        self._write(_ENTER)
        return self

    def __exit__(self, *error: object) -> None:
        self._write(_LEAVE)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._wake_read)
        os.close(self._wake_write)

    def draw(self, lines: Sequence[str]) -> None:
        """Put a picture over the one before."""
        rows = "\r\n".join(f"{line}\x1b[K" for line in lines)
        self._write(f"{_BEGIN}\x1b[H{rows}\x1b[J{_END}")

    def sleep(self, seconds: float) -> None:
        """Until the next look, or until the window has another size."""
        if select.select([self._wake_read], [], [], seconds)[0]:
            os.read(self._wake_read, 4096)

    def _write(self, text: str) -> None:
        data = text.encode(errors="replace")  # past Python's buffer, which a signal handler must not enter twice
        while data:
            data = data[os.write(sys.stdout.fileno(), data) :]

    def _on_resize(self, number: int, frame: FrameType | None) -> None:
        with suppress(BlockingIOError):  # full: it will wake all the same
            os.write(self._wake_write, b".")

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        """Ctrl-Z: the shell gets its own screen, and we ours when we go on."""
        self._write(_LEAVE)
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._on_stop)
        self._write(_ENTER)
        self._on_resize(number, frame)

    def _on_end(self, number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)  # what a shell reports for a program that it ended
