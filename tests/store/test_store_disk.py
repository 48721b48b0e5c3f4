"""Whether what was written is on Redis's disk: only a Redis from 7.2 on can tell (R20)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from exs.settings import Settings
from exs.store.store import open_store
from harness.fleet import Fleet
from harness.redis_server import RedisServer, binary_or_skip
from store.actors import DONE, Lab


@pytest.fixture
def newest(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis", binary=binary_or_skip("newest")).start()
    yield server
    server.kill()


def lab_on(server: RedisServer) -> Lab:
    return Lab(open_store(server.url, Settings()), server.client())


def test_a_job_lives_on_the_newest_server_too(newest: RedisServer) -> None:
    lab = lab_on(newest)
    lab.push(*range(3))
    slot = lab.slot()
    slot.must_claim()
    assert slot.renew()[0].value == slot.finish(DONE).value == "ours"
    assert lab.states() == ["DONE", "QUEUED", "QUEUED"] and lab.store.audit() == []


def test_it_is_on_disk_when_redis_says_so(newest: RedisServer) -> None:
    lab = lab_on(newest)
    lab.push(1)
    assert lab.store.on_disk(5.0) is True
    newest.client().config_set("appendfsync", "no")
    lab.push(2)
    assert lab.store.on_disk(0.05) is False
    newest.client().config_set("appendonly", "no")
    assert lab.store.on_disk() is None


def test_an_older_server_cannot_tell(lab: Lab) -> None:
    lab.push(1)
    assert lab.store.on_disk() is None


def test_a_push_says_that_it_could_be_lost(newest: RedisServer, tmp_path: Path) -> None:
    newest.client().config_set("appendfsync", "no")
    fleet = Fleet(tmp_path, newest)
    try:
        (fleet.home / "sweep.yaml").write_text("name: work\ncommand: 'true'\n")
        out, said = fleet.both("push", "sweep.yaml")
        assert b"1 new" in out
        assert "not yet on the disk of Redis" in said
        assert "disk" not in fleet.both("push", "sweep.yaml")[1], "nothing new"
        newest.client().config_set("appendfsync", "everysec")
        (fleet.home / "sweep.yaml").write_text("name: work\ncommand: 'true'\nrepeat: 2\n")
        assert "disk" not in fleet.both("push", "sweep.yaml", EXS_SOCKET_TIMEOUT="20")[1]
    finally:
        fleet.close()
