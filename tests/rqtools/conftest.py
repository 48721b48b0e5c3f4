"""The tools, made once: in $EXS_TEST_TOOLS or the cache of pytest; skipped at home where pip cannot get them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.fleet import Fleet
from rqtools.tools import Dashboard, Exporter, NoTools, RqCommand, environment


def _programs(kind: str, request: pytest.FixtureRequest) -> Path:
    config = request.config
    root = Path(os.environ.get("EXS_TEST_TOOLS") or config.cache.mkdir("rqtools"))  # type: ignore[union-attr]
    try:
        return environment(kind, root.resolve())
    except NoTools as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"pip cannot get {kind}: {error}")


@pytest.fixture(scope="session")
def dashboard_programs(request: pytest.FixtureRequest) -> Path:
    return _programs("dashboard", request)


@pytest.fixture(scope="session")
def exporter_programs(request: pytest.FixtureRequest) -> Path:
    return _programs("exporter", request)


@pytest.fixture
def rq(dashboard_programs: Path, fleet: Fleet) -> RqCommand:
    return RqCommand(dashboard_programs, fleet.server.url, fleet.home)


@pytest.fixture
def dashboard(dashboard_programs: Path, fleet: Fleet) -> Iterator[Dashboard]:
    tool = Dashboard(dashboard_programs, fleet.server.url, fleet.root / "dashboard.log")
    yield tool
    tool.stop()


@pytest.fixture
def exporter(exporter_programs: Path, fleet: Fleet) -> Iterator[Exporter]:
    tool = Exporter(exporter_programs, fleet.server.url, fleet.root / "exporter.log")
    yield tool
    tool.stop()
