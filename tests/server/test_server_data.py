"""What is on disk: kept through every kind of end, and never taken from another user or machine."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner

from exs import server
from exs.cli.server import command
from exs.errors import RedisRefused, RedisUnreachable, Refused
from exs.paths import ServerFiles
from exs.server import lock, places
from exs.settings import Settings
from harness.redis_server import bundled_binary, system_binary
from server.own_server import client, end, wait_until

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def kill(exs: Settings, files: ServerFiles) -> None:
    status = server.status(exs)
    assert status is not None
    os.kill(status.pid, signal.SIGKILL)
    wait_until(lambda: not lock.is_held(files), "the killed server to be gone")


def aof(files: ServerFiles) -> Path:
    """The append-only file that grows."""
    return max(files.data.rglob("*.aof"), key=lambda path: path.stat().st_size)


def test_data_and_password_survive_a_stop(exs: Settings) -> None:
    client(exs).set("k", "v")
    url = server.ensure(exs)
    assert server.stop(exs)
    assert server.status(exs) is None
    assert not server.stop(exs)
    assert client(exs).get("k") == "v"
    assert server.ensure(exs) == url


def test_data_survives_kill_9_with_its_stale_socket_and_pid_file(exs: Settings, files: ServerFiles) -> None:
    client(exs).set("k", "v")
    kill(exs, files)
    assert files.socket.exists()
    assert files.pid.exists()
    assert server.status(exs) is None
    assert client(exs).get("k") == "v"


def test_a_torn_tail_of_the_append_only_file_loads(exs: Settings, files: ServerFiles) -> None:
    connection = client(exs)
    connection.set("k", "v")
    connection.set("last", "x" * 100)
    kill(exs, files)
    os.truncate(aof(files), aof(files).stat().st_size - 50)
    connection = client(exs)
    assert connection.get("k") == "v"
    assert connection.get("last") is None


def test_a_broken_append_only_file_is_one_sentence_with_the_log(exs: Settings, files: ServerFiles) -> None:
    client(exs).set("k", "v")
    kill(exs, files)
    aof(files).write_bytes(b"not an append-only file\n" * 10)
    with pytest.raises(RedisUnreachable, match=r"did not start: .*Bad file format") as caught:
        server.ensure(exs)
    assert str(files.log) in caught.value.hint
    assert "\n" not in str(caught.value)
    assert not lock.is_held(files)


def test_a_server_whose_socket_was_removed_is_not_doubled_and_can_be_stopped(exs: Settings, files: ServerFiles) -> None:
    client(exs).set("k", "v")
    files.socket.unlink()
    assert lock.take(files) is None
    assert server.stop(exs)
    assert client(exs).get("k") == "v"


def test_a_lost_password_is_said_and_stop_helps(exs: Settings, files: ServerFiles) -> None:
    client(exs).set("k", "v")
    files.password.unlink()
    with pytest.raises(Refused, match="does not accept the password"):
        server.ensure(exs)
    assert server.stop(exs)
    assert client(exs).get("k") == "v"


def test_a_half_written_password_is_replaced(exs: Settings, files: ServerFiles) -> None:
    places.choose(exs)
    files.password.write_text("short")
    assert client(exs).ping()
    assert len(files.password.read_text()) >= 32


def test_an_older_server_does_not_start_empty_on_newer_data(state_dir: Path) -> None:
    newer, older = system_binary(), bundled_binary()
    if not newer or not older or "v=6" in subprocess.check_output([newer, "--version"], text=True):
        pytest.skip("needs two versions of redis-server")
    client(Settings(redis_server=newer)).set("k", "v")
    assert server.stop(Settings())
    with pytest.raises(Refused, match="written by Redis 7 or newer"):
        server.ensure(Settings(redis_server=older))
    assert client(Settings(redis_server=newer)).get("k") == "v"


def test_a_newer_server_takes_over_older_data(state_dir: Path) -> None:
    newer, older = system_binary(), bundled_binary()
    if not newer or not older:
        pytest.skip("needs two versions of redis-server")
    client(Settings(redis_server=older)).set("k", "v")
    assert server.stop(Settings())
    assert client(Settings(redis_server=newer)).get("k") == "v"


def test_data_of_another_machine_is_refused_with_the_way_out(exs: Settings, files: ServerFiles) -> None:
    places.choose(exs)
    files.owner.write_text("0123456789abcdef\nother-host\n")
    with pytest.raises(Refused, match="belongs to another machine, other-host") as caught:
        server.ensure(exs)
    for way in ("EXS_REDIS_URL", "EXS_STATE_DIR", str(files.owner)):
        assert way in caught.value.hint
    assert caught.value.exit_code == 4
    assert not lock.is_held(files)


def test_a_renamed_machine_keeps_its_queue(exs: Settings, files: ServerFiles) -> None:
    client(exs).set("k", "v")
    server.stop(exs)
    machine = files.owner.read_text().splitlines()[0]
    files.owner.write_text(f"{machine}\nolder-name\n")
    assert client(exs).get("k") == "v"
    assert files.owner.read_text() == f"{machine}\n{os.uname().nodename}\n"


def test_a_directory_open_to_others_is_refused(exs: Settings, files: ServerFiles) -> None:
    places.choose(exs)
    files.data.chmod(0o750)
    with pytest.raises(Refused, match=r"open to other users.*chmod 700"):
        server.ensure(exs)
    files.data.chmod(0o700)


@pytest.mark.root
@needs_root
def test_a_directory_of_another_user_is_refused(exs: Settings, files: ServerFiles) -> None:
    places.choose(exs)
    os.chown(files.data, 4242, 4242)
    with pytest.raises(Refused, match="belongs to the user with id 4242"):
        server.ensure(exs)
    os.chown(files.data, 0, 0)


def test_a_link_in_place_of_the_directory_is_refused(exs: Settings, files: ServerFiles, tmp_path: Path) -> None:
    files.data.parent.mkdir(parents=True)
    files.data.symlink_to(tmp_path)
    with pytest.raises(Refused, match="not a directory"):
        server.ensure(exs)
    files.data.unlink()


def test_a_path_too_long_for_a_socket_moves_the_socket_only(exs: Settings, state_dir: Path) -> None:
    deep = state_dir / ("d" * 90)
    exs = replace(exs, state_dir=str(deep))
    (aside,) = places.candidates(exs)
    try:
        client(exs).set("k", "v")
        status = server.status(exs)
        assert status is not None
        assert Path(status.data).is_relative_to(deep)
        assert status.socket == str(aside.socket)
        assert len(status.socket) <= 107
        for directory in (aside.local, aside.local.parent):
            assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert aof(aside).is_relative_to(deep)
    finally:
        end(exs)


def test_network_and_unknown_file_systems_are_not_local(tmp_path: Path) -> None:
    assert places.on_local_disk(tmp_path)
    assert not places.on_local_disk(Path("/proc"))


@pytest.fixture
def small_disk(state_dir: Path) -> Iterator[Path]:
    """A file system of 3 MB as the state directory."""
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "exs-test", state_dir], capture_output=True)
    if done.returncode:
        pytest.skip("mount is not permitted here")
    yield state_dir
    server.stop(Settings())
    subprocess.run(["umount", "-l", state_dir], check=True)


@pytest.mark.root
@needs_root
def test_a_full_disk_is_said_at_the_start(exs: Settings, small_disk: Path) -> None:
    with pytest.raises(OSError, match="No space left"), (small_disk / "filler").open("wb") as file:
        file.write(b"x" * (4 << 20))
    with pytest.raises(RedisRefused, match=r"(?i)no space left"):
        server.ensure(exs)
    (small_disk / "filler").unlink()
    assert client(exs).ping()


@pytest.mark.root
@needs_root
def test_a_disk_that_fills_later_leaves_the_server_readable(exs: Settings, small_disk: Path) -> None:
    connection = client(exs)
    connection.set("k", "v")
    with pytest.raises(redis.ResponseError, match="MISCONF"):
        for number in range(1000):
            connection.set(f"filler{number}", "x" * 100_000)
            wait_until(lambda: connection.info("persistence")["aof_pending_bio_fsync"] == 0, "the last sync")
    assert client(exs).get("k") == "v"
    status = server.status(exs)
    assert status is not None
    assert status.aof == "on, last write failed"
    said = CliRunner().invoke(command, ["stop"]).stderr
    assert said.startswith("Warning: its last write to disk failed, what came since may be lost. Its log: /")
