"""What jobs saw, in one file that each of them appends to, and the checks that any run must pass."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from exs_worker import proctree
from exs_worker.proctree import Proc

JOB = Path(__file__).with_name("job.py")


@dataclass(frozen=True)
class Seen:
    """One line: an event of one process of one attempt."""

    event: str
    job: str
    attempt: str
    pid: int
    start: int
    node: str
    devices: str
    text: str
    cwd: str
    seed: str
    at: float  #: seconds since boot


class Witness:
    """The file, and the commands of jobs that write to it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def command(self, *verbs: object) -> list[str]:
        """The words of a job that does `verbs` in turn; see job.py."""
        return [sys.executable, "-IS", str(JOB), str(self.path), *map(str, verbs)]

    def seen(self, event: str = "") -> list[Seen]:
        """Every whole line, or those of one kind of event."""
        if not self.path.exists():
            return []
        lines = self.path.read_text().splitlines(keepends=True)
        found = [Seen(**json.loads(line)) for line in lines if line.endswith("\n")]
        return [seen for seen in found if not event or seen.event == event]

    def runs(self) -> Counter[str]:
        """How often each job was started."""
        return Counter(seen.job for seen in self.seen("start"))

    def living(self, attempt: str = "") -> list[int]:
        """Pids of witnessed processes that still run, of one attempt or of all."""
        procs = {Proc(seen.pid, seen.start) for seen in self.seen() if not attempt or seen.attempt == attempt}
        return sorted(proc.pid for proc in procs if proctree.alive(proc))

    def shared_devices(self) -> list[tuple[Seen, Seen]]:
        """Pairs of attempts on one device at the same time (I6). One that did not say that it ended is still there."""
        ends = {seen.attempt: seen.at for seen in self.seen("end")}
        found = []
        starts = self.seen("start")
        for i, one in enumerate(starts):
            for other in starts[i + 1 :]:
                devices = [set(filter(None, seen.devices.split(","))) for seen in (one, other)]
                same = one.node == other.node and devices[0] & devices[1]
                if (
                    same
                    and other.at < ends.get(one.attempt, float("inf"))
                    and one.at < ends.get(other.attempt, float("inf"))
                ):
                    found.append((one, other))
        return found
