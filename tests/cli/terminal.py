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
from collections.abc import Mapping, Sequence
from pathlib import Path

CTRL_C = "\x03"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Terminal:
    """One program on a terminal of its own."""

    def __init__(self, words: Sequence[str], cwd: Path, env: Mapping[str, str], columns: int = 80) -> None:
        self._printed = b""
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.execvpe(words[0], list(words), {**env, "TERM": "xterm"})
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def wait_for(self, text: str, seconds: float = 20) -> None:
        """Until `text` has been printed since the last call."""
        deadline = time.monotonic() + seconds
        start = len(self._printed)
        while text not in _COLOUR.sub("", self._printed[start:].decode(errors="replace")):
            assert time.monotonic() < deadline and self._read(0.1), f"no {text!r} in:\n{self.screen()}"

    def press_until(self, keys: str, text: str, seconds: float = 20) -> None:
        """Press twice a second, as a person does, until `text` has been printed."""
        deadline, pressed = time.monotonic() + seconds, 0.0
        while text not in self.screen():
            now = time.monotonic()
            assert now < deadline, f"no {text!r} in:\n{self.screen()}"
            if now - pressed > 0.5:
                self.press(keys)
                pressed = now
            self._read(0.1)

    def end(self, seconds: float = 20) -> int:
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
