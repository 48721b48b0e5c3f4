"""What one job costs, counted on a real worker: commands and round trips of Redis, system calls, processes.

Counts, not times: they are the same on a slow machine and on a loaded one. Each bound is a little above what was
measured when it was written; a change that lowers a count lowers its bound.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import exs
from exs.model import NewJob, Spec
from exs.settings import Settings, Timing
from exs.store.push import Origin
from exs.store.store import open_store
from harness.node import SHORT, Node
from harness.redis_server import RedisServer
from slotprocess import wait_until

#: Jobs of one measurement; so many that one renewal more or less does not count.
JOBS = 200
TRACED = 60
#: The times of a lab: with short ones a slot renews and reaps more often than it ever would.
LAB = {name: str(getattr(Timing(), name.removeprefix("EXS_").lower())) for name in SHORT}
#: Per job, from push to its outcome: requests to Redis, scripts, and what the scripts do. Measured: 1.02, 2.02, 32.4.
ROUND_TRIPS = 1.1
SCRIPTS = 2.1
COMMANDS = 33.5
#: System calls of the slot per job. Measured: 46 with Python 3.11.
SYSTEM_CALLS = 50
#: Requests of an idle slot per second. Measured: 0.67, 1.0 in seconds that have a reap.
IDLE_REQUESTS = 1.0
#: What makes a process.
FORKS = {"fork", "vfork", "clone", "clone3"}


class Counted:
    """A Redis with the packaged redis.conf and a worker of one slot; jobs of /bin/true are pushed and counted."""

    def __init__(self, root: Path) -> None:
        self.server = RedisServer(root / "redis", conf=Path(exs.__file__).parent / "server" / "redis.conf").start()
        self.client = self.server.client()
        self.store = open_store(self.server.url, Settings(redis_url=self.server.url))
        self.node = Node("node", self.server.url, root, **LAB)
        self.pushes = 0

    def push(self, jobs: int) -> str:
        """Queue so many jobs; returns their experiment."""
        self.pushes += 1
        name = f"work{self.pushes}"
        points = [NewJob({"n": n}, f"N_{n}", f"{n * 2654435761 % 2**64:016x}") for n in range(jobs)]
        spec = Spec({"run": {"argv": [["/bin/true"]]}}, str(self.node.work), output=name)
        self.store.push(name, spec, points, Origin("alice", "laptop", f"/{name}.yaml"))
        return name

    def run(self, jobs: int) -> str:
        """Queue so many jobs and wait for them where Redis does not notice; returns their experiment."""
        name = self.push(jobs)
        root = self.node.work / name
        wait_until(lambda: len(list(root.glob("*/stat.json"))) >= jobs, f"{jobs} jobs", 60)
        return name

    def idle(self) -> bool:
        """True when the slot waits for work."""
        return any(client["cmd"] == "blpop" and "b" in client["flags"] for client in self.client.client_list())

    def close(self) -> None:
        """End everything."""
        self.node.power_off()
        self.server.kill()


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counted]:
    counted = Counted(tmp_path_factory.mktemp("costs"))
    try:
        counted.node.start("--cpus", "1")
        counted.run(5)  # what the first job costs is the slot's, not the job's
        wait_until(counted.idle, "an idle slot")
        yield counted
    finally:
        counted.close()


# ------------------------------------------------------------ Redis


@dataclass(frozen=True)
class _Stats:
    reads: int
    calls: Counter[str]


def _stats(client: Any) -> _Stats:
    commands = client.info("commandstats")
    calls = Counter({name.removeprefix("cmdstat_"): int(entry["calls"]) for name, entry in commands.items()})
    return _Stats(int(client.info("stats")["total_reads_processed"]), calls)


def test_a_job_costs_one_round_trip_and_two_scripts(counted: Counted) -> None:
    wait_until(counted.idle, "an idle slot")
    before = _stats(counted.client)
    name = counted.run(JOBS)
    looks = 2  # the second question of `before`, the first of `after`

    def all_stored() -> bool:
        nonlocal looks
        looks += 1
        return bool(counted.client.zcard(f"rq:finished:{name}") == JOBS)

    wait_until(all_stored, "the last outcome")
    after = _stats(counted.client)
    calls = after.calls - before.calls
    assert (after.reads - before.reads - looks) / JOBS <= ROUND_TRIPS
    assert calls["evalsha"] / JOBS <= SCRIPTS
    assert (calls.total() - calls["evalsha"] - looks) / JOBS <= COMMANDS, calls


def test_an_idle_slot_asks_less_than_once_a_second(counted: Counted) -> None:
    wait_until(counted.idle, "an idle slot")
    asked: list[tuple[float, str]] = []
    waits: list[int] = []
    with counted.client.monitor() as monitor:
        while len(waits) < 2:
            command = monitor.next_command()
            if command["client_type"] == "lua" or "exs:ask:" in command["command"]:  # the agent's, one for all slots
                continue
            asked.append((command["time"], command["command"]))
            if command["command"].startswith("BLPOP"):
                waits.append(len(asked) - 1)
    first, last = waits
    assert (last - first) / (asked[last][0] - asked[first][0]) <= IDLE_REQUESTS, asked


# ------------------------------------------------------------ the kernel


@pytest.fixture(scope="module")
def traced(counted: Counted, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Counter[str]]:
    """System call -> how often, of the slot and of its jobs, for TRACED jobs."""
    wait_until(counted.idle, "an idle slot")
    (slot,) = counted.node.slots()
    out = tmp_path_factory.mktemp("strace") / "calls"
    _attach_and_run(counted, slot, out)
    threads = set(os.listdir(f"/proc/{slot}/task"))
    found: dict[str, Counter[str]] = {"slot": Counter(), "jobs": Counter()}
    for line in out.read_text(errors="replace").splitlines():
        call = re.match(r"(\d+) +(\w+)\(", line)
        if call:
            found["slot" if call[1] in threads else "jobs"][call[2]] += 1
    return found


def _attach_and_run(counted: Counted, slot: int, out: Path) -> None:
    """Run TRACED jobs while strace writes what the slot and they ask of the kernel."""
    if shutil.which("strace") is None:
        _cannot("there is no strace")
    words = ["strace", "-f", "-q", "-o", str(out), "-p", str(slot)]
    strace = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: strace.poll() is not None or _is_traced(slot), "strace")
        if strace.poll() is not None:
            assert strace.stderr is not None
            _cannot(f"strace may not look: {strace.stderr.read().strip()}")
        counted.run(TRACED)
        wait_until(counted.idle, "an idle slot")
    finally:
        strace.send_signal(signal.SIGINT)  # it lets go of the slot
        strace.wait(20)


def _is_traced(pid: int) -> bool:
    """True when a tracer has every thread of a process."""
    states = [Path(f"/proc/{pid}/task/{task}/status").read_text() for task in os.listdir(f"/proc/{pid}/task")]
    return not any("TracerPid:\t0\n" in state for state in states)


def _cannot(why: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


def test_a_job_costs_one_process(traced: dict[str, Counter[str]]) -> None:
    forks = sum(traced["slot"][name] for name in FORKS)
    assert forks == TRACED, "the slot starts one process per job and no thread"
    assert traced["jobs"]["execve"] == TRACED, "no shell and no helper in between"
    assert traced["slot"]["execve"] == 0


def test_a_job_costs_few_system_calls(traced: dict[str, Counter[str]]) -> None:
    per_job = sum(traced["slot"].values()) / TRACED
    assert per_job <= SYSTEM_CALLS, sorted(((n / TRACED, name) for name, n in traced["slot"].items()), reverse=True)


def test_nothing_is_synced_while_redis_answers(traced: dict[str, Counter[str]]) -> None:
    assert not {"fsync", "fdatasync", "sync", "syncfs"} & set(traced["slot"])
