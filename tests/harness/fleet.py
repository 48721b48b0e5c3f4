"""A queue, its nodes and a person at a third place, all of one test; nothing of it outlives the test."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from exs import settings
from exs.model import DEFAULT_PRIORITY, FINAL, JobState, NewJob, Resources, Spec
from exs.rows import JobRow
from exs.store.push import Origin
from exs.store.store import Store, open_store
from harness.node import EXS, Node, environment
from harness.proxy import Proxy
from harness.redis_server import RedisServer
from harness.witness import Witness
from slotprocess import wait_until

S = JobState


class Fleet:
    """`server`: where the queue is. Times of all parts are those of `harness.node.SHORT`.

    `prefix`: words in front of the laptop's commands, when it is in another network namespace. `own_url`: where the
    test itself reaches the queue, when that is not where the nodes do.
    """

    def __init__(self, root: Path, server: RedisServer, prefix: tuple[str, ...] = (), own_url: str = "") -> None:
        self.root = root
        self._own_url = own_url
        self._prefix = prefix
        self.server = server
        self.home = root / "laptop"
        self.home.mkdir()
        self.witness = Witness(root / "witness")
        self._nodes: list[Node] = []
        self._proxies: list[Proxy] = []

    # ------------------------------------------------------------ parts

    @property
    def store(self) -> Store:
        """A connection of the laptop's. It is what looks on: a loaded machine must not make it blind."""
        url = self._own_url or self.server.url
        return open_store(url, settings.load(environment(url, self.home, EXS_SOCKET_TIMEOUT="20")))

    def node(self, name: str, *options: str, slots: int = 1, url: str = "", start: bool = True, **more: Any) -> Node:
        """A node, started unless told otherwise."""
        node = Node(name, url or self.server.url, self.root, **more)
        self._nodes.append(node)
        return node.start(*options, slots=slots) if start else node

    @property
    def nodes(self) -> list[Node]:
        """Every node of the test so far."""
        return list(self._nodes)

    def proxy(self) -> Proxy:
        """A proxy in front of the queue."""
        proxy = Proxy(self.server.host, self.server.port)
        self._proxies.append(proxy)
        return proxy

    def close(self) -> None:
        """End every node and proxy."""
        for node in self._nodes:
            node.power_off()
        for proxy in self._proxies:
            proxy.close()

    # ------------------------------------------------------------ what a person does

    def command(self, *words: str, **env: str) -> subprocess.Popen[bytes]:
        """A command of the laptop's, not waited for."""
        return subprocess.Popen(
            [*self._prefix, *EXS, *words],
            cwd=self.home,
            env=environment(self.server.url, self.home, **{"EXS_NODE": "laptop", **env}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def both(self, *words: str, code: int = 0, **env: str) -> tuple[bytes, str]:
        """Standard output and standard error of a command that is expected to end with `code`."""
        process = self.command(*words, **env)
        out, said = process.communicate(timeout=120)
        text = said.decode(errors="replace")
        assert "Traceback" not in text, text
        assert process.returncode == code, f"exit code {process.returncode}\n{out!r}\n{text}"
        return out, text

    def exs(self, *words: str, code: int = 0, **env: str) -> str:
        """Standard output of a command; with it what it said, if it is expected to fail."""
        out, said = self.both(*words, code=code, **env)
        return out.decode() + (said if code else "")

    def exs_bytes(self, *words: str, **env: str) -> bytes:
        """Standard output, byte for byte."""
        return self.both(*words, code=0, **env)[0]

    def json(self, *words: str) -> Any:
        """What `--json` prints."""
        return json.loads(self.exs(*words, "--json"))

    def push(
        self,
        *verbs: object,
        jobs: int = 1,
        name: str = "work",
        retries: int = 0,
        gpus: Sequence[str] | None = None,
        lost_after: float | None = None,
        max_running: int | None = None,
        priority: int = DEFAULT_PRIORITY,
        breaker: bool = True,
        **spec: Any,
    ) -> list[str]:
        """Queue `jobs` jobs that do the verbs of job.py; returns their ids. `gpus`: the index of each job."""
        command = {"argv": [[word] for word in self.witness.command(*verbs)]}
        points = [
            NewJob(
                {"i": i},
                f"I_{i}",
                f"{i:016x}",
                resources=Resources(gpus=1, indices=(gpus[i % len(gpus)],)) if gpus else Resources(),
            )
            for i in range(jobs)
        ]
        origin = Origin("alice", "laptop", f"/{name}.yaml")
        made = Spec({"train": command}, cwd=str(self.home), **spec)
        self.store.push(
            name,
            made,
            points,
            origin,
            retries=retries,
            lost_after=lost_after,
            max_running=max_running,
            priority=priority,
            breaker=breaker,
        )
        return [row.id for row in self.store.jobs(name)]

    # ------------------------------------------------------------ what there is to see

    def rows(self, name: str = "work") -> list[JobRow]:
        """Every job of an experiment."""
        return self.store.jobs(name)

    def row(self, job: str) -> JobRow:
        """One job, with its earlier attempts."""
        return self.store.job(job)

    def wait(self, condition: Callable[[], Any], what: str, seconds: float = 60) -> Any:
        """Until `condition` is true; at the deadline everything that is known is said."""
        try:
            return wait_until(condition, what, seconds)
        except AssertionError as error:
            table = "\n".join(f"{r.index} {r.state.value} {r.attempts} {r.node} {r.detail}" for r in self.rows()[:40])
            logs = "\n".join(f"--- {node.name}\n{node.text()[-2000:]}" for node in self._nodes if node.log.exists())
            raise AssertionError(f"{error}\n{table}\n{logs}") from None

    def wait_running(self, job: str, attempts: int = 1) -> JobRow:
        """Until the job's attempt of that number has started its own process."""

        def begun() -> JobRow | None:
            row = self.row(job)
            started = {seen.attempt for seen in self.witness.seen("start")}
            return row if row.state is S.RUNNING and row.attempts >= attempts and row.attempt in started else None

        row = self.wait(begun, f"attempt {attempts} of {job}")
        assert isinstance(row, JobRow)
        return row

    def wait_event(self, event: str, count: int = 1) -> None:
        """Until the witness has so many events of that kind."""
        self.wait(lambda: len(self.witness.seen(event)) >= count, f"{count} x {event}")

    def wait_state(self, job: str, *states: JobState, seconds: float = 60) -> JobRow:
        """Until the job is in one of these states."""

        def there() -> JobRow | None:
            row = self.row(job)
            return row if row.state in states else None

        row = self.wait(there, f"job {job} {'/'.join(s.value for s in states)}", seconds)
        assert isinstance(row, JobRow)
        return row

    def wait_all(self, name: str = "work", seconds: float = 90) -> list[JobRow]:
        """Until every job is over."""
        self.wait(lambda: all(row.state in FINAL for row in self.rows(name)), f"the end of {name}", seconds)
        return self.rows(name)

    def wait_gone(self, attempt: str, seconds: float = 1.0) -> None:
        """Until nothing of an attempt lives."""
        self.wait(lambda: not self.witness.living(attempt), f"the end of all processes of {attempt}", seconds)

    def check(self) -> None:
        """What holds after any run: the queue is consistent, nobody shared a device, nothing was left behind."""
        assert self.store.audit() == []
        assert self.witness.shared_devices() == []
        assert self.witness.living() == []
