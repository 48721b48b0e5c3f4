"""What the output goes to: a terminal of some width with colours, or a file without limits."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

from exs.model import JobState

#: SGR parameters. rich would do the same for 50 ms of imports.
_STYLES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "cyan": "36",
}

STATE_STYLE: Mapping[JobState, str] = {
    JobState.QUEUED: "dim",
    JobState.RUNNING: "cyan",
    JobState.PAUSING: "yellow",
    JobState.PAUSED: "yellow",
    JobState.DONE: "green",
    JobState.PRUNED: "green",
    JobState.CRASHED: "red",
    JobState.CANCELED: "yellow",
}


@dataclass(frozen=True)
class Screen:
    """`width`: columns to fit into, None for no limit."""

    width: int | None = None
    colour: bool = False
    terminal: bool = False

    def paint(self, text: str, style: str) -> str:
        """`text` in `style`, or as it is where there are no colours."""
        if not self.colour or not style:
            return text
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"


def screen_of(stream: TextIO, env: Mapping[str, str]) -> Screen:
    """The screen behind `stream`. `NO_COLOR` and `TERM=dumb` turn colours off, `COLUMNS` sets the width."""
    terminal = stream.isatty()
    columns = env.get("COLUMNS", "")
    width: int | None = int(columns) if columns.isdecimal() and int(columns) >= 20 else None
    if width is None and terminal:
        try:
            width = os.get_terminal_size(stream.fileno()).columns or None
        except (OSError, ValueError):
            width = 80
    colour = terminal and not env.get("NO_COLOR") and env.get("TERM") != "dumb"
    return Screen(width, colour, terminal)
