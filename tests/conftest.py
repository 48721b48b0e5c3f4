"""A fleet of one test: a redis-server, and whatever nodes the test starts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.fleet import Fleet
from harness.redis_server import RedisServer


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    server = RedisServer(tmp_path / "redis").start()
    fleet = Fleet(tmp_path, server)
    yield fleet
    fleet.close()
    server.kill()
