"""How long another client of the same Redis waits while something is done to it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import TypeVar

from tests.bench.bench import ROOT, Queue

T = TypeVar("T")


def watched(queue: Queue, action: Callable[[], T]) -> tuple[T, list[float], float]:
    """What `action` returns; milliseconds that another client waited; the longest script, in ms."""
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, queue.pid, -10)  # as for the prober: who else wants this core is not asked
    queue.client.config_set("slowlog-log-slower-than", 500)
    queue.client.slowlog_reset()
    prober = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.prober", queue.server.host, str(queue.server.port)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert prober.stdout is not None
    prober.stdout.readline()
    try:
        done = action()
    finally:
        waits = json.loads(prober.communicate("")[0])
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, queue.pid, 0)
    slow = [
        entry["duration"] / 1000 for entry in queue.client.slowlog_get(128) if b"EVALSHA" in entry["command"].upper()
    ]
    return done, waits, max(slow, default=0.5)
