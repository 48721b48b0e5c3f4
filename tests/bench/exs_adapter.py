"""exs as one peer of the side-by-side benchmark: as a user runs it, with directories, logs, records, AOF and fences.

Runs inside the benchmark's own virtual environment, where exs is installed too; it finds `common` there. A bulk is a
sweep: written as YAML, read, expanded and pushed, as `exs push` does. A single job is pushed alone, and each is
stored and acknowledged before the next is sent. Jobs of one reset share an experiment and its spec, as jobs do that
are added to a sweep.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from pathlib import Path

from common import BIN, HOME, RUN, STAMP, TRUE, Redis, RedisPeer, clitime, popen  # type: ignore[import-not-found]

import exs
from exs.model import FINAL, NewJob, Spec
from exs.settings import Settings
from exs.store.push import Origin
from exs.store.store import open_store
from exs.sweep.load import load_file
from exs.sweep.model import Options
from exs.sweep.template import compile_command

#: Seconds between two looks at whether a job has ended, as huey's adapter has it.
LOOK = 0.001


def configuration() -> list[str]:
    """The packaged redis.conf as words of a command line."""
    words: list[str] = []
    conf = Path(exs.__file__).parent / "server" / "redis.conf"
    for line in conf.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(" ")
        if name and not name.startswith("#"):
            words += [f"--{name}", value.strip().strip('"')]
    return words


def point(n: int) -> str:
    """What tells a job's point from others: spread as real ones are, whose buckets are small for that."""
    return hashlib.blake2b(b"%d" % n, digest_size=8).hexdigest()


class Exs(RedisPeer):
    """Two slots without a GPU; every job keeps a directory, a log, `param.json` and `stat.json`."""

    result_how = "polls the job's record every 1 ms"

    def version(self) -> str:
        return f"exs {exs.__version__}, redis-server as `exs server` starts it: Unix socket, AOF everysec"

    def setup(self) -> None:
        self.scratch = Path(tempfile.mkdtemp(prefix="exs", dir=RUN))
        self.disk = Path(tempfile.mkdtemp(prefix="aof", dir=HOME))  # RUN is in memory: nothing would be synced there
        socket = self.scratch / "redis.sock"
        url = f"unix://{socket}"
        self.r = Redis(*configuration(), "--unixsocket", str(socket), d=str(self.disk))
        self.env = self.cli_env = {
            **os.environ,
            "EXS_REDIS_URL": url,
            "EXS_STATE_DIR": str(self.scratch / "state"),
            "PATH": f"{BIN}:{os.environ['PATH']}",
        }
        self.workers: list[object] = []
        self.settings = Settings(redis_url=url)
        self.store = open_store(url, self.settings)
        self.origin = Origin("bench", "bench", "bench")
        self.resets = 0
        self._begin()

    def teardown(self) -> None:
        super().teardown()
        shutil.rmtree(self.disk, ignore_errors=True)

    def reset(self) -> None:
        super().reset()
        self._begin()

    def _begin(self) -> None:
        """An empty queue, and run directories that nothing has used."""
        self.resets += 1
        self.pushed = 0
        self.queues: list[bytes] = []

    def start_workers(self) -> None:
        self.workers = [popen([f"{BIN}/exs", "worker", "--cpus", "2"], cwd=str(self.scratch), env=self.env)]

    def submit(self, count: int, kind: str) -> None:
        first, self.pushed = self.pushed, self.pushed + count
        if kind == "single":
            spec = Spec({"run": {"argv": [[word] for word in TRUE]}}, str(self.scratch), output=f"out{self.resets}")
            for n in range(first, self.pushed):
                self.store.push("bench", spec, [NewJob({"n": n}, f"N_{n}", point(n))], self.origin)
        else:
            file = self.scratch / "sweep.yaml"
            file.write_text(
                f"name: bench\ncommand: {' '.join(TRUE)}\nparams: {{n: {{range: [{first}, {self.pushed}]}}}}\n"
                f"output: out{self.resets}\n"
            )
            sweep = load_file(file, Options(), self.settings.limits, self.scratch)
            self.store.push(sweep.name, sweep.spec, sweep.jobs(), self.origin)
        self.queues = self.r.c.hkeys("exs:queues:bench")
        self.r.calls += 1
        self.own["hkeys"] = self.own.get("hkeys", 0) + 1

    def done(self) -> int:
        """One round trip, like a peer's own count, however many queues the experiment has."""
        with self.r.c.pipeline(transaction=False) as pipe:
            for queue in self.queues:
                pipe.zcard(b"rq:finished:" + queue)
            counts = pipe.execute() if self.queues else []
        self.r.calls += bool(counts)
        self.own["zcard"] = self.own.get("zcard", 0) + len(counts)
        return sum(counts)

    def submit_stamp(self, path: str, tag: str) -> str:
        command = compile_command(f"{STAMP} {path} {{tag}}", {"tag": [tag]}, "bench")
        spec = Spec({"run": command}, str(self.scratch), output="stamps")
        self.pushed += 1
        job = NewJob({"tag": tag}, f"Tag_{tag}", point(self.pushed))
        return self.store.push("stamps", spec, [job], self.origin).first_ids[0]

    def wait(self, job: str) -> None:
        while self.store.job(job).state not in FINAL:
            time.sleep(LOOK)

    def list10k(self) -> dict[str, object]:
        self.submit(10000, "bulk")
        began = time.perf_counter()
        rows = self.store.jobs("bench")
        took = time.perf_counter() - began
        command = [f"{BIN}/exs", "list", "-t", "bench"]
        return {"n": len(rows), "api_fetch_many_s": round(took, 3), "cli": clitime(command, 5, env=self.env)}

    def cli(self) -> dict[str, list[str]]:
        return {"exs --help": [f"{BIN}/exs", "--help"], "exs list (empty)": [f"{BIN}/exs", "list"]}


PEERS = {"exs_adapter": Exs}
