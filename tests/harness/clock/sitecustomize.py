"""A wall clock that lies, for processes that are started with this folder on their path: it is off by as many seconds
as the file `TEST_CLOCK` says at the moment. (libfaketime cannot jump: it breaks time.sleep of Python 3.11.)"""

import os
import time

_true, _true_ns = time.time, time.time_ns


def _off() -> float:
    try:
        with open(os.environ["TEST_CLOCK"]) as file:  # noqa: PTH123
            return float(file.read() or 0)
    except (KeyError, OSError):
        return 0.0


time.time = lambda: _true() + _off()
time.time_ns = lambda: _true_ns() + int(_off() * 1e9)
