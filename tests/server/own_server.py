"""The servers that there are to test, and what tests do to them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from exs import server
from exs.server import places
from exs.settings import Settings

ROOT = Path(__file__).parents[2]


def wait_until(condition: Callable[[], object], what: str, seconds: float = 60) -> None:
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
