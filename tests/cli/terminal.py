"""A person at a terminal: what is typed reaches the foreground processes, what they print is kept."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

CTRL_C = "\x03"
_PARTS = re.compile(r"(\r|\n|\x1b\[[?0-9;]*[A-Za-z])")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Window:
    """As much of a terminal as exs uses: two screens, the cursor, lines that are overwritten and erased."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.lines = [""]
        self.other = self.scrolled = False
        self.cursor = True
        self._row = self._column = 0
        self._kept = ([""], 0, 0)

    def feed(self, text: str) -> None:
        for part in _PARTS.split(text):
            if part in ("\x1b[?1049h", "\x1b[?1049l"):
                self.other = part.endswith("h")
                here = (self.lines, self._row, self._column)
                self.lines, self._row, self._column = ([""], 0, 0) if self.other else self._kept
                self._kept = here
            elif part in ("\x1b[?25h", "\x1b[?25l"):
                self.cursor = part.endswith("h")
            elif part == "\x1b[H":
                self._row = self._column = 0
            elif part == "\x1b[K":
                self.lines[self._row] = self.lines[self._row][: self._column]
            elif part == "\x1b[J":
                self.lines[self._row] = self.lines[self._row][: self._column]
                del self.lines[self._row + 1 :]
            elif part == "\r":
                self._column = 0
            elif part == "\n":
                self._down()
            elif not part.startswith("\x1b"):
                for ch in part:
                    self._put(ch)

    def _down(self) -> None:
        self._row += 1
        if self._row == len(self.lines):
            self.lines.append("")
        if self._row == self.rows and self.other:
            self.scrolled = True

    def _put(self, ch: str) -> None:
        if self._column == self.columns:
            self._column = 0
            self._down()
        line = self.lines[self._row].ljust(self._column)
        self.lines[self._row] = line[: self._column] + ch + line[self._column + 1 :]
        self._column += 1


class Terminal:
    """One program on a terminal of its own."""

    def __init__(
        self, words: Sequence[str], cwd: Path, env: Mapping[str, str], columns: int = 80, rows: int = 40
    ) -> None:
        self._printed = b""
        self._sizes = [(0, columns, rows)]
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.chdir(cwd)
            os.execvpe(words[0], list(words), {**env, "TERM": "xterm"})

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def resize(self, columns: int, rows: int) -> None:
        """A person draws the window larger or smaller."""
        self._sizes.append((len(self._printed), columns, rows))
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def wait_until(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        """Until `condition` holds of what has been printed."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline and self._read(0.1), "in vain:\n" + "\n".join(self.grid())

    def printed(self) -> str:
        """Everything, control characters included."""
        return self._printed.decode(errors="replace")

    def grid(self) -> list[str]:
        """The lines of the window, down to the last that is not empty."""
        return [line.rstrip() for line in self._window().lines]

    def scrolled(self) -> bool:
        """True if a line of the other screen was lost at its top."""
        return self._window().scrolled

    def on_other_screen(self) -> bool:
        return self._window().other

    def cursor_shown(self) -> bool:
        return self._window().cursor

    def _window(self) -> Window:
        window = Window(self._sizes[0][1], self._sizes[0][2])
        for (start, columns, rows), end in zip(
            self._sizes, [*(size[0] for size in self._sizes[1:]), len(self._printed)], strict=True
        ):
            window.columns, window.rows = columns, rows
            window.feed(self._printed[start:end].decode(errors="replace"))
        return window

    def wait_for(self, text: str, seconds: float = 60) -> None:
        """Until `text` has been printed since the last call."""
        deadline = time.monotonic() + seconds
        start = len(self._printed)
        while text not in _COLOUR.sub("", self._printed[start:].decode(errors="replace")):
            assert time.monotonic() < deadline and self._read(0.1), f"no {text!r} in:\n{self.screen()}"

    def press_until(self, keys: str, text: str, seconds: float = 60) -> None:
        """Press twice a second, as a person does, until `text` has been printed."""
        deadline, pressed = time.monotonic() + seconds, 0.0
        while text not in self.screen():
            now = time.monotonic()
            assert now < deadline, f"no {text!r} in:\n{self.screen()}"
            if now - pressed > 0.5:
                self.press(keys)
                pressed = now
            self._read(0.1)

    def end(self, seconds: float = 60) -> int:
        """The exit code."""
        deadline = time.monotonic() + seconds
        while self._read(0.1):
            assert time.monotonic() < deadline, f"still running:\n{self.screen()}"
        os.close(self._master)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def screen(self) -> str:
        """What a person sees: lines rewritten as the terminal does it, without colours."""
        lines = [""]
        column = 0
        for part in re.split(r"(\r|\n|\x1b\[K)", _COLOUR.sub("", self._printed.decode(errors="replace"))):
            if part == "\r":
                column = 0
            elif part == "\n":
                lines.append("")
                column = 0
            elif part == "\x1b[K":
                lines[-1] = lines[-1][:column]
            else:
                lines[-1] = lines[-1][:column].ljust(column) + part + lines[-1][column + len(part) :]
                column += len(part)
        return "\n".join(lines)

    def _read(self, seconds: float) -> bool:
        """False at the end."""
        if select.select([self._master], [], [], seconds)[0]:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # Linux: EIO, when the last program has left the terminal
                return False
            self._printed += data
            return bool(data)
        return True
