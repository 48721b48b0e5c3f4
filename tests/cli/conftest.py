"""The real command line against a real Redis of its own, in processes of their own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from cli.doctoring import GOOD, at
from cli.lab import Exs, Lab, wait_for
from exs.settings import Settings
from exs.store.store import Store, open_store
from harness.redis_server import RedisServer, answers, binary_or_skip


@pytest.fixture(scope="session")
def queue_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A redis-server on a Unix socket."""
    binary = binary_or_skip("system")
    directory = tmp_path_factory.mktemp("redis", numbered=True)
    path = directory / "s"
    server = subprocess.Popen(
        [binary, "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(directory)],
        stdout=subprocess.DEVNULL,
    )
    wait_for(lambda: answers(path), "redis-server answers")
    yield f"unix://{path}"
    server.terminate()
    server.wait(10)


@pytest.fixture
def store(queue_url: str) -> Store:
    """An empty queue."""
    redis.Redis.from_url(queue_url).flushall()
    return open_store(queue_url, Settings())


@pytest.fixture
def exs(queue_url: str, store: Store, tmp_path: Path) -> Exs:
    return Exs(queue_url, tmp_path)


@pytest.fixture
def lab(store: Store, tmp_path: Path) -> Lab:
    return Lab(store, tmp_path)


@pytest.fixture
def well(tmp_path: Path) -> Iterator[Exs]:
    """A shell on an empty queue in a Redis that is as it should be."""
    server = RedisServer(tmp_path / "well", options=GOOD).start()
    yield at(Exs("", tmp_path), server)
    server.kill()


@pytest.fixture
def ward(well: Exs, tmp_path: Path) -> Lab:
    """The queue of `well`."""
    url = well.env["EXS_REDIS_URL"]
    return Lab(open_store(url, Settings(redis_url=url)), tmp_path)
