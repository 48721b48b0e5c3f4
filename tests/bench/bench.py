"""What every benchmark stands on: a private Redis as exs configures its own, slots, floors, and what a process used."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import exs
from exs.settings import Settings
from exs.store.push import Origin
from exs.store.store import Store, open_store
from exs.sweep.load import load_file
from exs.sweep.model import Options, Sweep
from exs_worker import proctree
from harness.redis_server import RedisServer
from tests.bench.measure import Floor, Used, wait_for

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
ORIGIN = Origin("bench", "laptop", "bench")
#: A command as people write them: 70 characters, three parameters.
COMMAND = "python3 train.py --learning-rate {lr} --weight-decay {wd} --seed {seed}"


class Bench:
    """One run of benchmarks. `quick`: smaller numbers of everything.

    `disk` is for Redis, whose append-only file is to be synced for real, `scratch` for run directories: in memory where
    possible, because ext4 creates files twenty times slower for minutes after many were deleted (it steps over each
    inode that is `recently_deleted`), so that one benchmark, cleaning up, would slow the next.
    """

    def __init__(self, scratch: Path, disk: Path, quick: bool) -> None:
        self.scratch = scratch
        self.disk = disk
        self.quick = quick
        self._made = 0

    def size(self, full: int, quick: int) -> int:
        """How much of something."""
        return quick if self.quick else full

    def directory(self, name: str, disk: bool = False) -> Path:
        """A new directory, of the scratch or on disk."""
        self._made += 1
        path = (self.disk if disk else self.scratch) / f"{self._made}-{name}"
        path.mkdir()
        return path

    # ------------------------------------------------------------ programs

    def environment(self, url: str = "", home: Path | None = None) -> dict[str, str]:
        """Of a user who has set nothing but the URL: the times are those of a lab."""
        return {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(home or self.scratch),
            "LANG": "C.UTF-8",
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "workers", ROOT / "tests"))),
            "EXS_CONFIG": str(self.scratch / "none.conf"),
            "EXS_STATE_DIR": str(self.scratch / "state"),
            **({"EXS_REDIS_URL": url} if url else {}),
        }

    def exs(self, *words: str) -> list[str]:
        """The words of an exs command: the console script where it is installed, as a user starts it."""
        script = Path(sys.executable).with_name("exs")
        return [str(script), *words] if script.exists() else [sys.executable, "-m", "exs", *words]

    def command(self, words: Sequence[str], url: str = "", cwd: Path | None = None) -> Used:
        """Run a command to its end. Raises RuntimeError with what it said if it fails."""
        began = time.perf_counter()
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(
                list(words),
                cwd=cwd or self.scratch,
                env=self.environment(url),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
            )
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            wall = time.perf_counter() - began
            if process.returncode:
                said.seek(0)
                raise RuntimeError(f"{' '.join(words)} ended with {process.returncode}: {said.read().decode()[-500:]}")
        return Used(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)

    @contextmanager
    def server(self) -> Iterator[Queue]:
        """A private Redis with the packaged redis.conf, append-only file and all, and exs on it."""
        server = RedisServer(
            self.directory("redis", disk=True), conf=Path(exs.__file__).parent / "server" / "redis.conf"
        ).start()
        try:
            yield Queue(self, server)
        finally:
            server.kill()
            shutil.rmtree(server.directory, ignore_errors=True)

    @contextmanager
    def worker(self, queue: Queue, slots: int, disk: bool = False, node: str = "") -> Iterator[Slots]:
        """`exs worker --cpus SLOTS`, once its slots are there; `node`: its name; `disk`: where its jobs write."""
        home = self.directory("node", disk)
        with (home / "log").open("wb") as log:
            agent = subprocess.Popen(
                self.exs("worker", "--cpus", str(slots), "--workdir", str(home), *(["--node", node] if node else [])),
                cwd=home,
                env=self.environment(queue.url),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        found = Slots(agent.pid)
        try:
            try:
                wait_for(lambda: _there(queue, node) >= slots and len(found.pids) >= slots, "the slots")
            except TimeoutError as error:
                raise TimeoutError(f"{error}\n{(home / 'log').read_text()[-1000:]}") from None
            yield found
        finally:
            for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
                agent.send_signal(number)
                try:
                    agent.wait(5)
                    break
                except subprocess.TimeoutExpired:
                    continue
            shutil.rmtree(home, ignore_errors=True)

    # ------------------------------------------------------------ floors

    @property
    def floor(self) -> str:
        """The compiled floor.c. Raises RuntimeError without a C compiler."""
        program = self.scratch / "floor"
        if not program.exists():
            compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
            if compiler is None:
                raise RuntimeError("there is no C compiler for the floor: install gcc.")
            subprocess.run([compiler, "-O2", "-o", str(program), str(HERE / "floor.c")], check=True)
        return str(program)

    def spawn_floor(self, slots: int, count: int = 800) -> Floor:
        """What starting /bin/true costs `slots` C programs side by side."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        words = [self.floor, "spawn", str(count), str(slots)]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Floor(count / float(done.stdout), cpu / count)


class Queue:
    """exs on one private Redis."""

    def __init__(self, bench: Bench, server: RedisServer) -> None:
        self.bench = bench
        self.url = server.url
        self.pid = server.pid
        self.settings = Settings(redis_url=server.url)
        self.store: Store = open_store(server.url, self.settings)
        self.client: Any = server.client()
        self.server = server

    def sweep(self, text: str) -> Path:
        """A sweep file."""
        file = self.bench.directory("sweep") / "sweep.yaml"
        file.write_text(text, encoding="utf-8")
        return file

    def load(self, text: str) -> Sweep:
        """A sweep, read from its file."""
        file = self.sweep(text)
        return load_file(file, Options(), self.settings.limits, file.parent)

    def push(self, name: str, count: int, command: str = "/bin/true", first: int = 0) -> None:
        """Queue the points first .. first+count-1 of a sweep of one parameter."""
        sweep = self.load(f"name: {name}\ncommand: {command}\nparams: {{n: {{range: [{first}, {first + count}]}}}}\n")
        self.store.push(sweep.name, sweep.spec, sweep.jobs(), ORIGIN)

    def push_three(self, name: str, count: int) -> None:
        """Queue a sweep of about `count` points with COMMAND and its three parameters."""
        sweep = self.load(three_parameters(name, count))
        self.store.push(sweep.name, sweep.spec, sweep.jobs(), ORIGIN)

    def finished(self, name: str) -> int:
        """Jobs of NAME that are DONE."""
        return sum(self.client.zcard(f"rq:finished:{queue}") for queue in self.client.hkeys(f"exs:queues:{name}"))

    @property
    def memory(self) -> int:
        """Bytes of Redis in use."""
        return int(self.client.info("memory")["used_memory"])

    def disk_delays(self) -> list[str]:
        """A note for the reader if the disk held Redis up: it waits for a sync that takes longer than two seconds."""
        times = int(self.client.info("persistence")["aof_delayed_fsync"])
        return [f"the disk was busy: Redis waited for it {times} times"] if times else []

    def counts(self) -> Counts:
        """What the server has done so far."""
        stats, commands = self.client.info("stats"), self.client.info("commandstats")
        calls = {name[8:]: int(entry["calls"]) for name, entry in commands.items() if name.startswith("cmdstat_")}
        spent = {name[8:]: float(entry["usec"]) for name, entry in commands.items() if name.startswith("cmdstat_")}
        return Counts(int(stats["total_reads_processed"]), calls, spent)

    def script_us(self, calls: Callable[[], int]) -> float:
        """Microseconds of Redis per script that `calls` runs; it returns how many it ran.

        The median where Redis tells it, for one call that the kernel interrupted would spoil a mean.
        """
        self.client.config_resetstat()
        expected = calls()
        entry = self.client.info("commandstats")["cmdstat_evalsha"]
        assert entry["calls"] == expected, f"{entry['calls']} calls instead of {expected}"
        latency = self.client.info("latencystats").get("latency_percentiles_usec_evalsha")
        return float(latency["p50"]) if latency else float(entry["usec_per_call"])


@dataclass(frozen=True)
class Counts:
    """`reads`: about the round trips. `calls` and `usec` by command; those inside scripts count too."""

    reads: int
    calls: dict[str, int]
    usec: dict[str, float]

    @property
    def commands(self) -> int:
        """All of them."""
        return sum(self.calls.values())


@dataclass
class Slots:
    """The slot processes of one agent."""

    agent: int

    @property
    def pids(self) -> list[int]:
        """Of the slots alone: children of the agent, for a job that is about to start looks like its slot."""
        children = [stat for stat in proctree.descendants(self.agent) if stat.parent == self.agent]
        return [stat.proc.pid for stat in children if _is_slot(stat.proc.pid)]


def _there(queue: Queue, node: str) -> int:
    """Registered slots, of a node that has a name of its own."""
    return sum(slot.node == node or not node for slot in queue.store.workers())


def _is_slot(pid: int) -> bool:
    try:
        return b"exs_worker.main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def three_parameters(name: str, count: int) -> str:
    """A sweep file of `count` points, a multiple of 100, with three parameters."""
    return (
        f"name: {name}\ncommand: {COMMAND}\nparams:\n"
        f"  lr: [0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001, 0.00003, 0.00001, 0.000003]\n"
        f"  wd: [0, 0.1, 0.01, 0.001, 0.0001, 0.00001, 0.3, 0.03, 0.003, 0.0003]\n"
        f"  seed: {{range: [0, {count // 100}]}}\n"
    )
