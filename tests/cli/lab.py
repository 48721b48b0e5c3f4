"""A user at a shell, and holders that put jobs into states."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from exs.model import Claim, JobState, NewJob, Offer, Outcome, Spec
from exs.store import keys
from exs.store.push import Origin
from exs.store.rows import iso_seconds
from exs.store.store import Store
from exs.view.when import iso

ROOT = Path(__file__).parents[2]
S = JobState


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    """The first true value of `condition`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)
    return value


class Exs:
    """Runs `exs` as a user does, in a directory of its own."""

    def __init__(self, url: str, cwd: Path) -> None:
        self.cwd = cwd
        # Nothing of the person who runs the tests: no config file, no node name, no colours.
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(cwd),
            "PYTHONPATH": os.pathsep.join(str(path) for path in (ROOT, ROOT / "workers")),
            "EXS_REDIS_URL": url,
            "EXS_STATE_DIR": str(cwd / "state"),
            "EXS_NODE": "laptop",
            "LANG": "C.UTF-8",
        }

    @staticmethod
    def words(*words: str) -> list[str]:
        """The command line."""
        return [sys.executable, "-m", "exs", *words]

    def start(self, *words: str, **more: Any) -> subprocess.Popen[bytes]:
        """A process whose output is a pipe."""
        options: dict[str, Any] = {
            "cwd": self.cwd,
            "env": self.env,
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            **more,
        }
        return subprocess.Popen(self.words(*words), **options)

    def __call__(self, *words: str, code: int = 0, **more: Any) -> str:
        """Standard output of a command that is expected to end with `code`."""
        return self.both(*words, code=code, **more)[0]

    def both(self, *words: str, code: int = 0, **more: Any) -> tuple[str, str]:
        """Standard output and standard error."""
        process = self.start(*words, **more)
        out, err = (text.decode() for text in process.communicate(timeout=120))
        assert process.returncode == code, f"exit code {process.returncode}\n{out}\n{err}"
        assert "Traceback" not in err
        return out, err

    def json(self, *words: str, code: int = 0) -> Any:
        """What `--json` prints."""
        return json.loads(self(*words, "--json", code=code))


class Lab:
    """Puts jobs into states the way holders do."""

    def __init__(self, store: Store, cwd: Path) -> None:
        self.store = store
        self.cwd = cwd
        self._attempts = 0

    def push(self, name: str = "resnet", jobs: int = 3, **more: Any) -> None:
        """`jobs` points with `lr` and `seed`."""
        spec = Spec(commands={"train": {"argv": [["true"]]}}, cwd=str(self.cwd))
        points = [NewJob({"lr": 0.1 / (i + 1), "seed": i, "model": "r50"}, f"Lr_{i}", f"{i:016x}") for i in range(jobs)]
        self.store.push(name, spec, points, Origin("alice", "laptop", f"/home/alice/{name}.yaml"), **more)

    def offer(self, node: str = "laptop") -> Offer:
        return Offer(slot=f"{node}-0", node=node, boot="b", gpus=("0",))

    def claim(self, node: str = "laptop") -> Claim:
        """Start the next job on `node`."""
        self._attempts += 1
        claim = self.store.claim(self.offer(node), f"attempt{self._attempts:03d}")
        assert claim is not None
        return claim

    def leave(self, node: str = "laptop") -> None:
        """The slot of `node` goes home."""
        self.store.slot_dead([self.offer(node).slot], "its slot left")

    def began_ago(self, claim: Claim, seconds: float) -> None:
        """Make it so that the job has run for so long: before it ended, or until now."""
        client, key = self.store._client, keys.RQ_JOB + claim.job
        ended = client.hget(key, "ended_at")
        end = iso_seconds(ended) if ended else self.store.now()
        client.hset(key, "started_at", iso(end - seconds) or "")

    def end(self, claim: Claim, state: JobState = S.DONE, node: str = "laptop", **outcome: Any) -> None:
        """End a started job."""
        self.store.finish(claim.job, claim.attempt, Outcome(state, **outcome), self.offer(node))
