"""What tests of several folders share: a fleet (a redis-server, and whatever nodes the test starts), and the GPUs."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.fleet import Fleet
from harness.netns import Wire, wire
from harness.redis_server import RedisServer

# `nohup` and a background job of a script hand down ignored signals, and programs that are started here inherit them.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    server = RedisServer(tmp_path / "redis").start()
    fleet = Fleet(tmp_path, server)
    yield fleet
    fleet.close()
    server.kill()


@pytest.fixture
def network() -> Iterator[Wire]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    with wire() as made:
        yield made


@pytest.fixture
def real_gpus() -> Iterator[None]:
    """GPUs 0 to 3 for this test alone: their locks are the machine's, and tests run side by side."""
    with Path(tempfile.gettempdir(), "exs-tests-gpus.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
