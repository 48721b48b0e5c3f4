"""A queue of our own on each of the Redis servers that exs is used with: the system's and the bundled 6.2."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from exs.settings import Settings
from exs.store.store import Store, open_store
from harness.redis_server import answers, binary_or_skip
from store.actors import Lab, wait_until

CONF = Path(__file__).parents[2] / "exs" / "server" / "redis.conf"


@pytest.fixture(scope="session", params=["system", "bundled"])
def queue_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A redis-server with the project's configuration, on a Unix socket."""
    binary = binary_or_skip(request.param)
    directory = Path(tempfile.mkdtemp(prefix="exs-store-", dir="/tmp"))
    path = directory / "s"
    options = ["--port", "0", "--unixsocket", str(path), "--dir", str(directory), "--appendonly", "no"]
    server = subprocess.Popen([binary, str(CONF), *options], stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: answers(path), "redis-server answers", 20)
        yield f"unix://{path}"
    finally:
        server.kill()  # a script that loops for ever would not let it end by itself
        server.wait(10)
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def client(queue_url: str) -> Iterator[redis.Redis]:
    """The empty server, as anybody else sees it."""
    client = redis.Redis.from_url(queue_url, decode_responses=True)
    client.config_set("maxmemory", 0)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def store(client: redis.Redis, queue_url: str) -> Store:
    return open_store(queue_url, Settings())


@pytest.fixture
def lab(store: Store, client: redis.Redis) -> Lab:
    return Lab(store, client)
