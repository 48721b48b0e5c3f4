"""Runs part of a test in a process of its own, as a slot is: a subreaper without other children."""

from __future__ import annotations

import marshal
import os
import signal
import time
import traceback
from collections.abc import Callable
from typing import Any

from exs_worker import proctree


def in_slot_process(body: Callable[..., Any], *args: Any) -> Any:
    """Fork, become a subreaper, call `body`; returns its result (plain values). Raises AssertionError."""
    source, sink = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(source)
            proctree.become_subreaper()
            signal.alarm(60)
            answer = (True, body(*args))
            code = 0
        except BaseException:
            answer = (False, traceback.format_exc())
        finally:
            with os.fdopen(sink, "wb") as file:
                file.write(marshal.dumps(answer))
            os._exit(code)
    os.close(sink)
    with os.fdopen(source, "rb") as file:
        data = file.read()
    _, status = os.waitpid(pid, 0)
    assert data, f"the slot process died without a word: {os.waitstatus_to_exitcode(status)}"
    good, value = marshal.loads(data)
    assert good, value
    return value


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    """Poll until `condition` is true; returns its value. Raises AssertionError, naming `what`, at the deadline."""
    deadline = time.monotonic() + seconds
    pause = 0.002
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(pause)
        pause = min(pause * 1.5, 0.03)  # what looks on must not slow down what it looks at


def gone(pid: int) -> bool:
    """True if no process of that pid runs."""
    stat = proctree.read(pid)
    return stat is None or stat.state in "ZX"
