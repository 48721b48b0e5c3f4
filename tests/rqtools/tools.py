"""RQ's own tools as their users have them: from PyPI, each in a virtual environment of its own, started for real."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from harness.redis_server import free_port
from slotprocess import wait_until

#: rq-dashboard imports `six` and does not ask for it; rq-exporter wants redis<6, which nobody else does.
PACKAGES = {
    "dashboard": ("rq-dashboard==0.9.0", "six", "rq>=2.12,<3"),
    "exporter": ("rq-exporter==3.1.0", "rq>=2.12,<3"),
}


class NoTools(Exception):
    """pip could not get them; the message is what it said."""


def environment(kind: str, root: Path) -> Path:
    """The directory of programs of a virtual environment with these packages, made once per `root`. Raises NoTools."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    home = root / f"{kind}-{version}"
    root.mkdir(parents=True, exist_ok=True)
    with (root / f"{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run side by side
        done = home / "packages"
        wanted = "\n".join(PACKAGES[kind])
        if not done.exists() or done.read_text() != wanted:
            make(home, PACKAGES[kind])
            done.write_text(wanted)
    return home / "bin"


def make(home: Path, packages: tuple[str, ...]) -> None:
    pip = [str(home / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages]
    for words in ([sys.executable, "-m", "venv", "--clear", str(home)], pip):
        ended = subprocess.run(words, capture_output=True, text=True, timeout=300)
        if ended.returncode != 0:
            raise NoTools((ended.stderr or ended.stdout)[-2000:])


class Tool:
    """A program that serves HTTP on a loopback port until `stop`."""

    def __init__(self, log: Path, first: str, *words: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                [word.replace("PORT", str(self.port)) for word in words], stdout=file, stderr=file
            )
        wait_until(lambda: self._answers(first), f"{words[0]} answers", 30)

    def _answers(self, path: str) -> bool:
        assert self._process.poll() is None, self.log.read_text()
        try:
            return bool(self.get(path))
        except OSError:
            return False

    def get(self, path: str, method: str = "GET") -> str:
        """The body of an answer. Raises HTTPError for one that is not good."""
        with urllib.request.urlopen(urllib.request.Request(self.url + path, method=method), timeout=20) as answer:
            return str(answer.read().decode())

    def stop(self) -> None:
        """SIGKILL: neither has anything to save."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)


class Dashboard(Tool):
    """rq-dashboard: its pages as it draws them from JSON, and its buttons."""

    def __init__(self, programs: Path, redis_url: str, log: Path) -> None:
        words = ("-b", "127.0.0.1", "-p", "PORT", "-u", redis_url)
        super().__init__(log, "/0/data/queues.json", str(programs / "rq-dashboard"), *words)

    def _json(self, path: str) -> Any:
        return json.loads(self.get(path))

    def queues(self) -> dict[str, dict[str, int]]:
        """Queue -> registry -> number of jobs in it, those that are empty left out."""
        found = {}
        for queue in self._json("/0/data/queues.json")["queues"]:
            counts = {
                key.removesuffix("_job_registry_count"): number
                for key, number in queue.items()
                if key.endswith("_job_registry_count")
            }
            found[queue["name"]] = {name: n for name, n in {"queued": queue["count"], **counts}.items() if n}
        return found

    def jobs(self, queue: str, registry: str) -> list[dict[str, Any]]:
        """A list of jobs, its first page."""
        return list(self._json(f"/0/data/jobs/{queue}/{registry}/100/asc/1.json")["jobs"])

    def job(self, job: str) -> dict[str, Any]:
        """The page of one job."""
        return dict(self._json(f"/0/data/job/{job}.json"))

    def workers(self) -> dict[str, dict[str, Any]]:
        """The page of workers, by name."""
        return {worker["name"]: worker for worker in self._json("/0/data/workers.json")["workers"]}

    def pages(self, queue: str, job: str) -> None:
        """Draw every page as a browser asks for it."""
        for page in ("/", "/0/view/workers", f"/0/view/jobs/{queue}/queued/8/asc/1", f"/0/view/job/{job}"):
            assert "<html" in self.get(page)

    def press(self, path: str) -> Any:
        """One of its buttons; returns its answer."""
        return json.loads(self.get(path, "POST"))


class Exporter(Tool):
    """rq-exporter, as Prometheus asks it."""

    _SAMPLE = re.compile(r'rq_jobs\{queue="([^"]*)",status="(?:JobStatus\.)?(\w+)"\} (\S+)')
    _WORKER = re.compile(r'rq_workers\{name="([^"]*)",queues="([^"]*)",state="([^"]*)"\} 1\.0')

    def __init__(self, programs: Path, redis_url: str, log: Path) -> None:
        words = ("--host", "127.0.0.1", "--port", "PORT", "--redis-url", redis_url)
        super().__init__(log, "/metrics", str(programs / "rq-exporter"), *words)

    def jobs(self) -> dict[str, dict[str, int]]:
        """Queue -> status -> number of jobs, zeros left out."""
        found: dict[str, dict[str, int]] = {}
        for sample in self._SAMPLE.finditer(self.get("/metrics")):
            queue, status, number = sample.groups()
            found.setdefault(queue, {})
            if float(number):
                found[queue][status.lower()] = int(float(number))
        return found

    def workers(self) -> dict[str, str]:
        """Worker -> state."""
        return {name: state for name, _, state in self._WORKER.findall(self.get("/metrics"))}


class RqCommand:
    """The `rq` command on one Redis. `knows_exs`: exs is importable for it, as on a node."""

    def __init__(self, programs: Path, redis_url: str, home: Path) -> None:
        self._rq = str(programs / "rq")
        self._url = redis_url
        self._home = home

    def start(self, verb: str, *words: str, knows_exs: Path | None = None) -> subprocess.Popen[str]:
        """Start it and wait for nothing."""
        env = {"PATH": os.environ["PATH"], "HOME": str(self._home), "LANG": "C.UTF-8", "COLUMNS": "200"}
        if knows_exs is not None:
            env["PYTHONPATH"] = str(knows_exs)
        return subprocess.Popen(
            [self._rq, verb, "--url", self._url, *words],
            cwd=self._home,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __call__(self, verb: str, *words: str, knows_exs: Path | None = None) -> str:
        """Run it to its end; what it said."""
        process = self.start(verb, *words, knows_exs=knows_exs)
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 0, said
        return said

    def info(self) -> dict[str, str]:
        """`rq info`: queue -> what its line says of it."""
        lines = re.findall(r"^(\S+) +\|█* (\d+, .*)$", self("info"), re.MULTILINE)
        return dict(lines)


def not_found(tool: Dashboard, job: str) -> bool:
    """Whether the page of a job says that there is none."""
    try:
        tool.job(job)
    except urllib.error.HTTPError:
        return True
    return False
