"""The libraries that draw, imported when something is drawn, and the sentence where one is not installed."""

from __future__ import annotations

import logging
from typing import Any

from exs.errors import InputError

_INSTALL = "Install it: pip install 'exs[plot]'"


def plotille() -> Any:
    """The library for terminals. Raises InputError."""
    try:
        import plotille
    except ImportError as error:
        raise InputError(
            f"plots in a terminal are drawn by plotille, and that cannot be imported: {error}.", _INSTALL
        ) from None
    return plotille


def matplotlib() -> Any:
    """The library for pictures, with `matplotlib.figure` and what else is used of it. Raises InputError."""
    # It says on standard error which fonts it has not, and that it builds its cache.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        import matplotlib
        import matplotlib.cm
        import matplotlib.figure
        import matplotlib.patches
    except ImportError as error:
        raise InputError(f"pictures are drawn by matplotlib, and that cannot be imported: {error}.", _INSTALL) from None
    return matplotlib
