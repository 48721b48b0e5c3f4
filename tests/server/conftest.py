"""A state directory of its own for each test, run with the system's redis-server and with the bundled one."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from exs import settings
from exs.paths import ServerFiles
from exs.server import places
from exs.settings import Settings
from harness.redis_server import binary_or_skip
from server.own_server import ROOT, end


@pytest.fixture(params=["system", "bundled"])
def binary(request: pytest.FixtureRequest) -> str:
    return binary_or_skip(request.param)


@pytest.fixture
def state_dir(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short path (pytest's own would push the socket elsewhere), free of servers in the end."""
    home = Path(tempfile.mkdtemp(prefix="exs-test-", dir="/tmp"))
    for name in [name for name in os.environ if name.startswith("EXS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("EXS_CONFIG", str(home / "none.conf"))
    monkeypatch.setenv("EXS_STATE_DIR", str(home))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    yield home
    end(settings.load())
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def exs(state_dir: Path, binary: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with a state directory and a server binary of their own."""
    monkeypatch.setenv("EXS_REDIS_SERVER", binary)
    return settings.load()


@pytest.fixture
def files(exs: Settings) -> ServerFiles:
    """Where the server of `exs` keeps its files."""
    return next(iter(places.candidates(exs)))
