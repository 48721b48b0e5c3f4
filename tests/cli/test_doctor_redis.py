"""exs doctor, and what other commands say, at a real redis-server in each bad configuration."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from cli.doctoring import GOOD, at, bad, doctor, findings, typed
from cli.lab import Exs, wait_for
from exs.server.binary import find_binary
from exs.store import keys
from harness.redis_server import RedisServer, free_port

Start = Callable[..., RedisServer]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts servers that are well but for some options."""
    started: list[RedisServer] = []

    def server(*options: str, host: str = "127.0.0.1", **more: Any) -> RedisServer:
        number = len(started)
        started.append(RedisServer(tmp_path / f"redis{number}", host, options=(*GOOD, *options), **more))
        return started[-1].start()

    yield server
    for one in started:
        one.kill()


@pytest.fixture
def shell(tmp_path: Path) -> Exs:
    """A user whose queue is nowhere yet."""
    return Exs("", tmp_path)


def test_a_healthy_system_is_a_short_page(shell: Exs, start: Start) -> None:
    server = start(password="s3cret-word")
    out = doctor(at(shell, server))
    lines = out.splitlines()
    assert lines[0].startswith(f"redis      redis://***@127.0.0.1:{server.port}")
    assert lines[-1] == "all is well"
    assert len(lines) <= 20
    assert all(len(line) <= 111 for line in lines)
    assert "s3cret-word" not in out
    assert "append-only file on, synced every second, last write ok" in out
    assert "reached by TCP, closed to strangers" in out
    assert "clocks agree" in out or "clocks differ" in out
    assert doctor(shell, "-q") == ""


def test_what_7_0_cannot_confirm_is_said_once(shell: Exs, start: Start) -> None:
    said = [what for severity, what, _ in findings(at(shell, start()), 0) if severity == "note"]
    (note,) = said
    assert "WAITAOF" in note and "can cost its last second" in note


def test_no_redis_there_still_tells_of_this_machine(shell: Exs) -> None:
    shell.env["EXS_REDIS_URL"] = "redis://:hunter2@127.0.0.1:1"
    out = doctor(shell, code=3)
    assert "error    cannot reach Redis at redis://***@127.0.0.1:1: Connection refused." in out
    assert "\n           Is EXS_REDIS_URL right, and the server up?" in out
    assert "hunter2" not in out and "exs 0" in out and "queue" not in out
    document = json.loads(doctor(shell, "--json", code=3))
    assert document["worst"] == "error" and document["about"]["redis"] == "redis://***@127.0.0.1:1"


# ------------------------------------------------------------ what it forgets


@pytest.mark.fault(30)
def test_f30_a_redis_that_evicts_is_served_by_no_worker(shell: Exs, start: Start) -> None:
    at(shell, start("--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru"))
    ((severity, what, do),) = bad(shell, 4)
    assert severity == "error" and "forgets jobs when its memory is full" in what and "allkeys-lru" in what
    (shell.cwd / "s.yaml").write_text("command: echo\n")
    for words in (("worker", "--cpus", "1"), ("worker", "--insecure", "--cpus", "1"), ("run", "--cpus", "1", "s.yaml")):
        out, err = shell.both(*words, code=4)
        assert out == "" and "forgets jobs when its memory is full" in err and "exs doctor" in err
        assert len(err.splitlines()) == 2
    assert shell("list").startswith("no experiments yet")
    assert typed(shell, *do).strip() == "OK"
    assert bad(shell, 0) == []


def test_a_redis_that_evicts_what_expires_is_a_warning(shell: Exs, start: Start) -> None:
    at(shell, start("--maxmemory", "50mb", "--maxmemory-policy", "volatile-lru"))
    ((severity, what, do),) = bad(shell, 1)
    assert severity == "warning" and "volatile-lru" in what
    typed(shell, *do)
    assert bad(shell, 0) == []


def test_no_append_only_file(shell: Exs, start: Start) -> None:
    at(shell, start("--appendonly", "no"))
    ((severity, what, do),) = bad(shell, 4)
    assert severity == "error" and "keeps no append-only file" in what
    typed(shell, *do)
    assert bad(shell, 0) == []


def test_an_append_only_file_that_is_not_synced(shell: Exs, start: Start) -> None:
    ((severity, what, _),) = bad(at(shell, start("--appendfsync", "no")), 1)
    assert severity == "warning" and "appendfsync no" in what


def test_a_full_memory(shell: Exs, start: Start) -> None:
    server = start()
    client = server.client()
    for number in range(300):
        client.set(f"exs:filler:{number}", "x" * 20_000)
    used = client.info("memory")["used_memory"]
    client.config_set("maxmemory", int(used * 1.05))
    ((severity, what, _),) = bad(at(shell, server), 1)
    assert severity == "warning" and "its memory is full" in what and "soon pushes are refused" in what
    client.config_set("maxmemory", used // 2)
    ((severity, what, _),) = bad(shell, 4)
    assert severity == "error" and "; pushes are refused" in what
    (shell.cwd / "s.yaml").write_text("command: echo\n")
    _, err = shell.both("push", "s.yaml", code=3)
    assert "has no memory left" in err


def test_records_that_are_not_packed(shell: Exs, start: Start) -> None:
    at(shell, start("--hash-max-ziplist-value", "64"))
    notes = [(what, do) for severity, what, do in findings(shell, 0) if "hash-max" in what]
    ((what, do),) = notes
    assert "hash-max-ziplist-value is 64" in what
    typed(shell, *do)
    assert not any("hash-max" in what for _, what, _ in findings(shell, 0))


def test_a_replica(shell: Exs, start: Start) -> None:
    primary = start()
    at(shell, start("--replicaof", f"127.0.0.1 {primary.port}"))
    said = bad(shell, 4)
    assert any(f"its primary is 127.0.0.1:{primary.port}" in what for _, what, _ in said)
    (shell.cwd / "s.yaml").write_text("command: echo\n")
    _, err = shell.both("push", "s.yaml", code=3)
    assert "is a replica that takes no writes" in err


def test_a_cluster(shell: Exs, start: Start) -> None:
    port = next(port for port in iter(free_port, None) if port < 55_535)  # the cluster's own is 10,000 higher
    said = bad(at(shell, start("--cluster-enabled", "yes", port=port)), 4)
    assert any("Redis Cluster" in what for _, what, _ in said)


def test_others_in_the_same_redis(shell: Exs, start: Start) -> None:
    server = start()
    server.client().set("celery-task-meta-1", "x")
    redis.Redis.from_url(f"{server.url}/3").set("cache", "x")
    notes = [what for severity, what, _ in findings(at(shell, server), 0) if severity == "note"]
    assert any("others keep keys in this database (celery)" in note for note in notes)
    assert any("others keep keys in db3" in note for note in notes)


def test_a_queue_of_another_schema(shell: Exs, start: Start) -> None:
    server = start()
    server.client().set(keys.SCHEMA, "99")
    ((severity, what, do),) = bad(at(shell, server), 4)
    assert severity == "error" and "schema 99" in what and "pip install" in do[0]


# ------------------------------------------------------------ who gets in


def an_address() -> str:
    """Of this machine, other than the loopback; skips where there is none."""
    words = subprocess.run(["hostname", "-I"], capture_output=True, text=True).stdout.split()
    found = [word for word in words if "." in word]
    if not found:
        pytest.skip("this machine has no address but the loopback")
    return found[0]


@pytest.mark.fault(50)
@pytest.mark.parametrize("way", ["from another machine", "through the loopback"])
def test_f50_an_open_redis_is_served_by_no_worker(shell: Exs, start: Start, way: str) -> None:
    """Whichever way we reach it: the loopback may be the end of a tunnel."""
    host = an_address() if way == "from another machine" else "127.0.0.1"
    port = free_port()
    start("--bind", "0.0.0.0", "--protected-mode", "no", port=port)
    shell.env["EXS_REDIS_URL"] = f"redis://{host}:{port}"
    (severity, what, do), *_ = bad(shell, 4)
    assert severity == "error" and what.startswith("anybody on the network can write to Redis at redis://")
    assert len(do) == 3

    (shell.cwd / "s.yaml").write_text("command: echo hello\n")
    for words in (("worker", "--cpus", "1"), ("run", "--cpus", "1", "s.yaml")):
        out, err = shell.both(*words, code=4)
        assert out == "" and len(err.splitlines()) == 2
        assert "asks for no password" in err and "--insecure" in err and "exs doctor" in err
    assert "1 done" in shell("run", "--insecure", "--cpus", "1", "s.yaml")
    assert shell("list")

    lines = [line.replace("CONFIG REWRITE\\n", "") for line in do]  # this server has no file to rewrite
    pasted = typed(shell, *lines, "echo $EXS_REDIS_URL")
    *answers, url = pasted.split()
    assert answers == ["OK", "OK"]
    assert re.fullmatch(rf"redis://:[0-9a-f]{{48}}@{re.escape(host)}:{port}", url)
    _, err = shell.both("list", code=3)
    assert "wants a password" in err
    shell.env["EXS_REDIS_URL"] = url
    assert bad(shell, 0) == []
    assert url.split(":")[2].split("@")[0] not in doctor(shell)


def test_a_redis_that_others_cannot_reach_is_not_open(shell: Exs, start: Start) -> None:
    for options in (("--protected-mode", "no"), ("--bind", "0.0.0.0", "--protected-mode", "yes")):
        server = start(*options)
        shell.env["EXS_REDIS_URL"] = server.plain_url
        if find_binary().version >= (7,):
            assert bad(shell, 0) == []


def test_a_connection_that_others_can_listen_to(shell: Exs, start: Start) -> None:
    host = an_address()
    at(shell, start("--bind", host, host=host, password="s3cret-word"))
    notes = [what for severity, what, _ in findings(shell, 0) if severity == "note"]
    assert any("not encrypted" in note for note in notes)


def test_a_redis_that_tells_nothing_of_itself(shell: Exs, start: Start) -> None:
    """As managed ones do: what INFO says is enough to find what is dangerous."""
    server = start("--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru")
    client = server.client()
    client.execute_command("ACL SETUSER admin on >admin ~* &* +@all")
    client.execute_command("ACL SETUSER default -config -acl -client|list -command")
    client.execute_command("AUTH admin admin")
    ((_, what, _),) = bad(at(shell, server), 4)
    assert "allkeys-lru" in what
    client.execute_command("ACL SETUSER default -info")
    assert bad(shell, 0) == []
    assert any("INFO is forbidden" in what for _, what, _ in findings(shell, 0))


# ------------------------------------------------------------ time


@pytest.mark.fault(34)
@pytest.mark.skipif(not os.path.exists("/usr/bin/faketime"), reason="faketime is not installed")
@pytest.mark.parametrize(("shift", "said"), [("+1h", "is 1h00m ahead of"), ("-1h", "is 1h00m behind")])
def test_a_clock_that_is_wrong(shell: Exs, start: Start, shift: str, said: str) -> None:
    at(shell, start())
    done = subprocess.run(
        ["faketime", "-f", shift, *shell.words("doctor", "--json")],
        env=shell.env, cwd=shell.cwd, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)["findings"]
    (skew,) = [one for one in found if "the clock of this machine" in one["what"]]
    assert said in skew["what"] and skew["severity"] == "warning"


# ------------------------------------------------------------ the embedded server


def test_the_embedded_server_is_well_and_its_commands_can_be_typed(shell: Exs) -> None:
    del shell.env["EXS_REDIS_URL"]
    launcher = shell.cwd / "exs"
    launcher.write_text('#!/bin/sh\nexec python3 -m exs "$@"\n')
    launcher.chmod(0o755)
    shell.env["PATH"] = f"{shell.cwd}:{Path(shell.words()[0]).parent}:{shell.env['PATH']}"
    try:
        assert bad(shell, 0) == []
        url = shell("server", "url").strip()
        client = redis.Redis.from_url(url)
        wait_for(client.ping, "the server")
        client.set(keys.RQ_SUSPENDED, 1)
        ((_, what, do),) = [one for one in findings(shell, 1, "queue") if one[0] == "warning"]
        assert "suspended" in what
        assert typed(shell, *do).strip() == "1"
        assert doctor(shell).endswith("all is well\n")
    finally:
        shell("server", "stop")


@pytest.mark.parametrize("where", ["environment", "config file"])
def test_what_to_type_works_with_a_password(shell: Exs, start: Start, where: str) -> None:
    """It is in no command: it is read where it stands."""
    server = start("--appendonly", "no", password="s3cret-word")
    at(shell, server)
    if where == "config file":
        (shell.cwd / "it's here").mkdir()
        shell.env["EXS_CONFIG"] = str(shell.cwd / "it's here" / "exs.conf")
        Path(shell.env["EXS_CONFIG"]).write_text(f"[exs]\nlease = 30\nredis_url = {server.url}\n")
        Path(shell.env["EXS_CONFIG"]).chmod(0o600)
        del shell.env["EXS_REDIS_URL"]
    ((_, what, do),) = bad(shell, 4)
    assert "keeps no append-only file" in what and "s3cret" not in str(do)
    typed(shell, *do)
    assert bad(shell, 0) == []
