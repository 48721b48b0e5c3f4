"""Where the agent and its slots say what happens."""

from __future__ import annotations

import logging
import os
import re
import sys

#: Of what the lines quote from Redis and from jobs: what a terminal would obey. Lines of a traceback are lines.
_CONTROL = re.compile(r"[^\x20-\x7e\xa0-\u200a\u2010-\u2027\u202f-\u2065\u206a-\U0010ffff\n]")


class _Lines(logging.StreamHandler):  # type: ignore[type-arg]  # generic for the type checker, not at run time
    def format(self, record: logging.LogRecord) -> str:
        """With control characters as backslash escapes (R17)."""
        text = super().format(record)
        return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)

    def handleError(self, record: logging.LogRecord) -> None:
        """A terminal that is gone is no reason to fail, now or when the process flushes its last line."""
        if isinstance(sys.exc_info()[1], OSError):
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, 2)
            os.close(nothing)
        else:
            super().handleError(record)


def set_up_log(quiet: bool = False) -> None:
    """Lines of the agent and its slots: time, level, sentence, on standard error. `quiet`: only what goes wrong."""
    level = logging.WARNING if quiet else logging.INFO
    logging.basicConfig(
        level=level, format="%(asctime)s %(levelname).1s %(message)s", datefmt="%H:%M:%S", handlers=[_Lines()]
    )
