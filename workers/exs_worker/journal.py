"""Where the agent and its slots say what happens."""

from __future__ import annotations

import logging
import os
import sys


class _Lines(logging.StreamHandler):  # type: ignore[type-arg]  # generic for the type checker, not at run time
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
