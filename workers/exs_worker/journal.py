"""Where the agent and its slots say what happens."""

from __future__ import annotations

import logging


def set_up_log(quiet: bool = False) -> None:
    """Lines of the agent and its slots: time, level, sentence, on standard error. `quiet`: only what goes wrong."""
    level = logging.WARNING if quiet else logging.INFO
    logging.basicConfig(level=level, format="%(asctime)s %(levelname).1s %(message)s", datefmt="%H:%M:%S")
