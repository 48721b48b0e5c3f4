"""exs as one peer of the side-by-side benchmark: as a user runs it, with directories, logs, records, AOF and fences.

Runs inside the benchmark's own virtual environment, where exs is installed too; it finds `common` there.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from common import BIN, RUN, STAMP, TRUE, URL, Redis, RedisPeer, clitime, popen  # type: ignore[import-not-found]

import exs
from exs.model import FINAL, NewJob, Spec
from exs.settings import Settings
from exs.store.push import Origin
from exs.store.store import open_store


def configuration() -> list[str]:
    """The packaged redis.conf as words of a command line."""
    words: list[str] = []
    conf = Path(exs.__file__).parent / "server" / "redis.conf"
    for line in conf.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(" ")
        if name and not name.startswith("#"):
            words += [f"--{name}", value.strip().strip('"')]
    return words


class Exs(RedisPeer):
    """Two slots without a GPU; every job keeps a directory, a log, `param.json` and `stat.json`."""

    result_how = "polls the job's record"

    def version(self) -> str:
        return f"exs {exs.__version__}, redis-server with exs's redis.conf, AOF everysec"

    def setup(self) -> None:
        self.scratch = Path(tempfile.mkdtemp(prefix="exs", dir=RUN))
        self.r = Redis(*configuration(), d=str(self.scratch))
        self.env = self.cli_env = {
            **os.environ,
            "EXS_REDIS_URL": URL,
            "EXS_STATE_DIR": str(self.scratch / "state"),
            "PATH": f"{BIN}:{os.environ['PATH']}",
        }
        self.workers: list[object] = []
        self.store = open_store(URL, Settings(redis_url=URL))
        self.origin = Origin("bench", "bench", "bench")
        self.pushed = self.pushes = 0

    def reset(self) -> None:
        super().reset()
        self.pushed = 0

    def start_workers(self) -> None:
        self.workers = [popen([f"{BIN}/exs", "worker", "--cpus", "2"], cwd=str(self.scratch), env=self.env)]

    def _spec(self, argv: list[str]) -> Spec:
        self.pushes += 1
        return Spec({"run": {"argv": [[word] for word in argv]}}, str(self.scratch), output=f"out{self.pushes}")

    def _jobs(self, count: int) -> list[NewJob]:
        self.pushed += count
        return [
            NewJob({"n": n}, f"N_{n}", hashlib.blake2b(b"%d" % n, digest_size=8).hexdigest())
            for n in range(self.pushed - count, self.pushed)
        ]

    def submit(self, count: int, kind: str) -> None:
        spec = self._spec(TRUE)
        sizes = [1] * count if kind == "single" else [count]
        for size in sizes:
            self.store.push("bench", spec, self._jobs(size), self.origin)

    def done(self) -> int:
        queues = self.cnt("hkeys", self.r.c.hkeys("exs:queues:bench"))
        return sum(self.cnt("zcard", self.r.c.zcard(b"rq:finished:" + queue)) for queue in queues)

    def submit_stamp(self, path: str, tag: str) -> str:
        pushed = self.store.push("bench", self._spec([STAMP, path, tag]), self._jobs(1), self.origin)
        return pushed.first_ids[0]

    def wait(self, job: str) -> None:
        while self.store.job(job).state not in FINAL:
            pass

    def list10k(self) -> dict[str, object]:
        import time

        self.submit(10000, "bulk")
        began = time.perf_counter()
        rows = self.store.jobs("bench")
        took = time.perf_counter() - began
        command = [f"{BIN}/exs", "list", "-t", "bench"]
        return {"n": len(rows), "api_fetch_many_s": round(took, 3), "cli": clitime(command, 5, env=self.env)}

    def cli(self) -> dict[str, list[str]]:
        return {"exs --help": [f"{BIN}/exs", "--help"], "exs list (empty)": [f"{BIN}/exs", "list"]}


PEERS = {"exs_adapter": Exs}
