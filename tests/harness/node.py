"""One "machine": an `exs worker` with a state directory, a working directory and a log of its own."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

from exs_worker import proctree
from exs_worker.proctree import Proc
from slotprocess import wait_until

ROOT = Path(__file__).parents[2]
#: Seconds, short: no fault of the matrix waits for the numbers of a lab.
SHORT = {
    "EXS_LEASE": "1",
    "EXS_RENEW": "0.25",
    "EXS_GRACE": "0.5",
    "EXS_IDLE_POLL": "0.3",
    "EXS_RECONNECT": "0.1",
    "EXS_RETRY_WAIT": "0.1",
    "EXS_LOST_AFTER": "1.5",
    "EXS_LOST_SHARE": "0.0001",
    "EXS_SOCKET_TIMEOUT": "1",
}
#: This program does what the console script does: no directory of the user's on the path.
EXS = [sys.executable, "-c", "import sys; sys.path.remove(''); from exs.cli.main import main; main()"]


def environment(url: str, home: Path, **more: str) -> dict[str, str]:
    """Of a user on a machine whose files are in `home`."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONPATH": os.pathsep.join(str(path) for path in (ROOT, ROOT / "workers")),
        "EXS_CONFIG": str(home / "none.conf"),
        "EXS_STATE_DIR": str(home / "state"),
        "EXS_REDIS_URL": url,
        **SHORT,
        **more,
    }


def gpus(count: int) -> list[str]:
    """Indices of fake GPUs that no other test is likely to use: their locks are the machine's."""
    first = random.SystemRandom().randrange(100, 990 - count)
    return [str(first + i) for i in range(count)]


class Node:
    """`prefix`: words in front of the command: faketime, or another network namespace."""

    def __init__(self, name: str, url: str, root: Path, prefix: tuple[str, ...] = (), **env: str) -> None:
        self.name = name
        self.home = root / name
        self.work = self.home / "work"
        self.work.mkdir(parents=True)
        self.env = environment(url, self.home, **{"EXS_FAKE_GPUS": "999x24GiB", **env})
        self.log = self.home / "log"
        self.agent: subprocess.Popen[bytes] | None = None
        self._prefix = prefix
        self._pids: set[Proc] = set()

    def start(self, *options: str, slots: int = 1, cwd: Path | None = None) -> Node:
        """Start the agent; returns when `slots` of its slots are there."""
        self.launch(*options, cwd=cwd)
        if slots:
            wait_until(lambda: len(self.slots()) >= slots or self.ended(), f"slots of {self.name}", 20)
        assert not self.ended(), self.text()
        return self

    def launch(self, *options: str, cwd: Path | None = None, output: int | None = None) -> subprocess.Popen[bytes]:
        """Start the agent and wait for nothing; with one CPU slot if no slot is named. `output`: instead of the log."""
        if not {"--gpus", "--slot", "--cpus"} & set(options):
            options = ("--cpus", "1", *options)
        words = [*self._prefix, *EXS, "worker", "--node", self.name, "--workdir", str(self.work), *options]
        with self.log.open("ab") as log:
            end = log.fileno() if output is None else output
            self.agent = subprocess.Popen(
                words,
                cwd=cwd or self.home,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=end,
                stderr=end,
                start_new_session=True,
            )
        return self.agent

    def ended(self) -> int | None:
        """Exit code of the agent; None while it runs."""
        assert self.agent is not None
        return self.agent.poll()

    @property
    def pid(self) -> int:
        """Of the agent."""
        assert self.agent is not None
        return self.agent.pid

    def slots(self) -> list[int]:
        """Pids of slot processes that work or wait for work."""
        return [proc.pid for proc in self._tree() if self._is_slot(proc.pid)]

    def pids(self) -> list[Proc]:
        """Everything that ever ran on this node as far as it was looked at, and still runs."""
        self._tree()
        return [proc for proc in self._pids if proctree.alive(proc)]

    def _tree(self) -> list[Proc]:
        assert self.agent is not None
        found = [stat.proc for stat in proctree.descendants(self.agent.pid)]
        own = proctree.read(self.agent.pid)
        self._pids |= {*found, *([own.proc] if own else [])}
        return found

    def _is_slot(self, pid: int) -> bool:
        try:
            return b"exs_worker.main" in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False

    def text(self) -> str:
        """What the agent and its slots said."""
        return self.log.read_text(errors="replace")

    def wait_for(self, words: str, seconds: float = 60) -> None:
        """Until the log has these words."""
        wait_until(lambda: words in self.text() or None, f"{words!r} in the log of {self.name}", seconds)

    def stop(self, patience: float = 20) -> int:
        """Tell the agent to finish, once; returns its exit code."""
        assert self.agent is not None
        if self.agent.poll() is None:
            self.agent.send_signal(signal.SIGTERM)
        return self.agent.wait(patience)

    def hand_back(self) -> None:
        """Tell the agent, which was told to stop before, once more: until it has heard, as two at once are one."""

        def heard() -> bool:
            if "stop now" in self.text():
                return True  # and not told once more: it may be past listening by then
            if self.ended() is None:
                os.kill(self.pid, signal.SIGTERM)
            return False

        wait_until(heard, f"{self.name} takes the jobs from its slots", 20)

    def power_off(self) -> None:
        """SIGKILL everything of this node, stopped processes included, from the agent down."""
        if self.agent is None:
            return
        for _ in range(3):
            for proc in sorted(self.pids()):
                proctree.send(proc, signal.SIGKILL)
        self.agent.wait(20)
        wait_until(lambda: not self.pids(), f"the end of {self.name}")
