"""What a process used, and how numbers are taken."""

from __future__ import annotations

import os
import re
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Used:
    """What a command took: seconds on the wall and of CPU, and the most memory it had, in bytes."""

    wall: float
    cpu: float
    memory: int


@dataclass(frozen=True)
class Floor:
    """Jobs per second, and CPU seconds of each."""

    rate: float
    cpu: float

    def between(self, other: Floor) -> Floor:
        """The middle of two."""
        return Floor((self.rate + other.rate) / 2, (self.cpu + other.cpu) / 2)


def cpu_seconds(pid: int, children: bool = False) -> float:
    """CPU that a process has used; with `children`, those that it has waited for instead."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system = (fields[13], fields[14]) if children else (fields[11], fields[12])
    return (int(user) + int(system)) / TICK


def private_memory(pid: int) -> int:
    """Bytes of memory that only this process has: what one more of it costs."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(size) * 1024 for size in re.findall(r"^Private_(?:Clean|Dirty):\s+(\d+)", text, re.MULTILINE))


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 60.0, look: float = 0.01) -> None:
    """Until `condition` holds. Raises TimeoutError naming `what`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(look)


def alternately(times: int, *actions: Callable[[], float]) -> list[float]:
    """The median of what each action returns; in turns, so that a noisy minute hits all of them."""
    rounds = [[action() for action in actions] for _ in range(times)]
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def many_descriptors() -> None:
    """Let this process have as many as the kernel lets it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
