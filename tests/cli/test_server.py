"""`exs server start|stop|status|url`, as a person sees it."""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner, Result

from cli.lab import Lab
from exs import server, settings
from exs.cli.server import command
from exs.errors import ExsError
from exs.model import HELD
from exs.store.store import open_store


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="exs-test-", dir="/tmp"))
    for name in ("EXS_REDIS_URL", "EXS_ATTEMPT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EXS_STATE_DIR", str(directory))
    yield directory
    server.stop(settings.load())
    shutil.rmtree(directory)


def run(*words: str) -> Result:
    return CliRunner().invoke(command, words)


def test_status_of_none_is_exit_code_1() -> None:
    result = run("status")
    assert result.exit_code == 1
    assert result.stdout.startswith("state  not running")
    assert json.loads(run("status", "--json").stdout) == {"running": False}


def test_start_status_stop(home: Path) -> None:
    assert run("start").stdout.startswith("state        started (process ")
    assert run("start").stdout.startswith("state        already running (process ")
    result = run("status")
    assert result.exit_code == 0
    lines = dict(line.split("  ", 1) for line in result.stdout.splitlines())
    assert list(lines)[:4] == ["state", "server", "socket", "listening"]
    assert lines["append-only"].strip() == "on, last write ok"
    found = json.loads(run("status", "--json").stdout)
    assert found["running"] is True
    assert Path(found["data"]).is_relative_to(home)
    assert run("stop").stdout == "stopped\n"
    assert run("stop").stdout == "not running\n"


def test_url_is_the_only_place_with_the_password() -> None:
    result = run("url")
    assert result.stdout.count("\n") == 1
    assert redis.Redis.from_url(result.stdout.strip()).ping()
    password = result.stdout.partition("default:")[2].partition("@")[0]
    assert len(password) >= 32
    for words in (["start"], ["status"], ["status", "--json"], ["stop"]):
        assert password not in run(*words).output


def test_listen_for_other_machines() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    run("start", "--listen", f"127.0.0.1:{port}")
    assert f"listening    127.0.0.1:{port}\n" in run("status").stdout
    assert redis.Redis.from_url(run("url").stdout.strip()).ping()
    assert "restarted" in run("start", "--local").stdout
    assert run("url").stdout.startswith("unix://")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--listen", "0.0.0.0", "--no-password"], 4),
        (["--no-password"], 2),
        (["--listen", "127.0.0.1", "--local"], 2),
        (["--listen", "a b"], 2),
    ],
)
def test_what_start_refuses(words: list[str], code: int) -> None:
    error = run("start", *words).exception
    assert isinstance(error, ExsError)
    assert error.exit_code == code
    assert run("status").exit_code == 1


def test_a_configured_url_is_mentioned_with_its_password_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXS_REDIS_URL", "redis://:secret@10.0.0.5:6379")
    result = run("start")
    assert "commands here use the configured redis://***@10.0.0.5:6379 instead" in result.stderr
    assert "secret" not in result.output


def test_a_stop_says_who_has_to_do_without(home: Path) -> None:
    ours = settings.load()
    lab = Lab(open_store(run("url").stdout.strip(), ours), home)
    assert run("stop").stderr == ""
    server.ensure(ours)
    lab.push(jobs=3)
    lab.claim()
    result = run("stop")
    assert result.stdout == "stopped\n"
    assert result.stderr == "Warning: 1 job runs: it goes on, and delivers when the server is back.\n"
    server.ensure(ours)
    lab.claim("gpu01")
    assert run("stop").stderr == "Warning: 2 jobs run: they go on, and deliver when the server is back.\n"
    server.ensure(ours)
    for job in lab.store.jobs("resnet", states=HELD):
        lab.store.release(job.id, job.attempt, "handed back", lab.offer(job.node))
    assert run("stop").stderr == "Warning: workers are connected (2): they wait until the server is back.\n"
    assert run("stop").output == "not running\n"
