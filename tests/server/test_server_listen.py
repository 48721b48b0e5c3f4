"""Listening for other machines: always with a password, remembered, and harmless to local clients."""

from __future__ import annotations

import socket

import pytest
import redis

from exs import server
from exs.errors import InputError, RedisUnreachable, Refused
from exs.paths import ServerFiles
from exs.server import listen, lock
from exs.server.listen import Address
from exs.settings import Settings
from server.own_server import at, client


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0.0.0.0", Address("0.0.0.0", 6379)),
        ("10.0.0.5:7000", Address("10.0.0.5", 7000)),
        ("localhost:1", Address("localhost", 1)),
        ("[::]", Address("::", 6379)),
        ("[::1]:65535", Address("::1", 65535)),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert listen.parse(text) == address


@pytest.mark.parametrize(
    "text", ["", ":7000", "host:", "host:0", "host:65536", "a b", "::1", "h\nport 1", 'h"x', "h:1:2", "h:٣", "$(id)"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="not HOST or HOST:PORT"):
        listen.parse(text)


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "192.168.1.1", "8.8.8.8:80"])
def test_no_password_is_refused_where_others_reach(host: str) -> None:
    with pytest.raises(Refused, match="run commands as you") as caught:
        listen.parse(host, password=False)
    assert caught.value.exit_code == 4


def test_other_machines_need_the_password_and_local_clients_do_not_notice(exs: Settings, port: int) -> None:
    local = client(exs)
    local.set("k", "v")
    assert server.start(exs, listen.parse(f"127.0.0.1:{port}")) == "restarted"
    assert local.get("k") == "v"
    url = server.url(exs)
    assert url.endswith(f"@127.0.0.1:{port}")
    assert at(url).get("k") == "v"
    with pytest.raises(redis.AuthenticationError):
        at(f"redis://127.0.0.1:{port}").ping()
    with pytest.raises(redis.AuthenticationError):
        at(f"redis://:guess@127.0.0.1:{port}").ping()


def test_without_a_password_on_loopback_urls_given_out_before_still_work(exs: Settings, port: int) -> None:
    local = client(exs)
    server.start(exs, listen.parse(f"127.0.0.1:{port}", password=False))
    assert server.url(exs) == f"redis://127.0.0.1:{port}"
    assert at(f"redis://127.0.0.1:{port}").ping()
    assert local.ping()
    assert client(exs).ping()


def test_the_address_and_password_are_kept_until_told_otherwise(exs: Settings, port: int) -> None:
    server.start(exs, listen.parse(f"127.0.0.1:{port}"))
    url = server.url(exs)
    server.stop(exs)
    server.ensure(exs)
    assert server.url(exs) == url
    assert at(url).ping()
    assert server.start(exs, listen.parse(f"127.0.0.1:{port}")) == "running"
    assert server.start(exs, local=True) == "restarted"
    with pytest.raises(redis.ConnectionError):
        at(url).ping()
    assert server.url(exs).startswith("unix://")


def test_a_taken_port_is_said_and_the_server_goes_on_as_before(exs: Settings) -> None:
    server.ensure(exs)
    before = server.status(exs)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(RedisUnreachable, match=r"cannot listen on 127.0.0.1:\d+: Address already in use"):
            server.start(exs, listen.parse(f"127.0.0.1:{other.getsockname()[1]}"))
    after = server.status(exs)
    assert before and after
    assert (after.pid, after.listening) == (before.pid, "")


def test_an_address_that_fails_only_at_the_restart_is_taken_back(exs: Settings, port: int) -> None:
    local = client(exs)
    server.start(exs, listen.parse(f"127.0.0.1:{port}"))
    # Same port: not tried beforehand, since the server itself has it. No machine has this address.
    with pytest.raises(RedisUnreachable, match="did not start"):
        server.start(exs, listen.parse(f"203.0.113.77:{port}"))
    status = server.status(exs)
    assert status is not None
    assert status.listening == f"127.0.0.1:{port}"
    assert local.ping()


def test_an_address_of_another_machine_is_said(exs: Settings, port: int) -> None:
    with pytest.raises(RedisUnreachable, match=r"cannot listen on 203.0.113.77:\d+"):
        server.start(exs, listen.parse(f"203.0.113.77:{port}"))
    assert server.status(exs) is None


def test_on_every_address_the_url_names_one_that_others_can_use(exs: Settings, port: int) -> None:
    server.start(exs, listen.parse(f"0.0.0.0:{port}"))
    url = server.url(exs)
    assert "0.0.0.0" not in url
    assert at(url).ping()


def test_a_broken_record_of_the_address_is_said(exs: Settings, files: ServerFiles) -> None:
    server.ensure(exs)
    server.stop(exs)
    files.listen.write_text('["x"]')
    with pytest.raises(InputError, match="not a listening address") as caught:
        server.ensure(exs)
    assert f"rm {files.listen}" in caught.value.hint
    assert not lock.is_held(files)
