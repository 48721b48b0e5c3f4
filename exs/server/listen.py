"""The TCP address that the server offers to other machines."""

from __future__ import annotations

import json
import os
import re
import socket
from dataclasses import asdict, dataclass
from typing import Any

from exs.errors import InputError, RedisUnreachable, Refused
from exs.paths import ServerFiles
from exs.server.places import unusable

DEFAULT_PORT = 6379
DEFAULT_TLS_PORT = 6380
EVERYWHERE = "0.0.0.0"
_ADDRESS = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?\Z")


@dataclass(frozen=True)
class Address:
    """Where to listen. `password` is False only on loopback. `tls`: encrypted."""

    host: str
    port: int
    password: bool = True
    tls: bool = False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse(text: str, password: bool = True, tls: bool = False) -> Address:
    """`HOST[:PORT]`, `[IPv6][:PORT]` as an address that this machine has.

    Raises InputError for anything else, Refused for no password on an address that other machines can reach.
    """
    match = _ADDRESS.match(text)
    port = int(match["port"] or (DEFAULT_TLS_PORT if tls else DEFAULT_PORT)) if match else 0
    if not match or not 0 < port < 65536:
        raise InputError(f"--listen {text!r} is not HOST or HOST:PORT.", "For example: --listen 0.0.0.0:6379")
    address = Address(match["six"] or match["host"], port, password, tls)
    if not password and not is_loopback(address):
        raise Refused(
            f"without a password, whoever reaches {address} can run commands as you on every node.",
            "Leave out --no-password, or listen on 127.0.0.1.",
        )
    return address


def everywhere(tls: bool) -> Address:
    """Every address of this machine, at the usual port, or at one that is free."""
    usual = Address(EVERYWHERE, DEFAULT_TLS_PORT if tls else DEFAULT_PORT, tls=tls)
    try:
        check_free(usual)
        return usual
    except RedisUnreachable:
        with socket.socket() as probe:
            probe.bind((EVERYWHERE, 0))
            return Address(EVERYWHERE, int(probe.getsockname()[1]), tls=tls)


def names(address: Address) -> list[str]:
    """What other machines may call it."""
    return [reachable_host(address), os.uname().nodename, "localhost", "127.0.0.1"]


def check_free(address: Address) -> None:
    """Raise RedisUnreachable unless this machine can listen there now."""
    family, place = _resolve(address)[0]
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
            probe.listen(1)
    except OSError as error:
        raise RedisUnreachable(
            f"cannot listen on {address}: {error.strerror or error}.",
            "Give an address of this machine and a port that nobody uses: --listen HOST:PORT",
        ) from None


def saved(files: ServerFiles) -> Address | None:
    """The address chosen last, which a restart takes up again."""
    try:
        return Address(**json.loads(files.listen.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        raise InputError(f"{files.listen} is not a listening address.", f"Remove it: rm {files.listen}") from None


def save(files: ServerFiles, address: Address | None) -> None:
    """Remember `address` for this and later starts; None forgets it."""
    try:
        if address is None:
            files.listen.unlink(missing_ok=True)
            return
        new = files.listen.with_suffix(".new")
        new.write_text(json.dumps(asdict(address)), encoding="utf-8")
        new.replace(files.listen)
    except OSError as error:
        raise unusable(error, files.listen) from None


def reachable_host(address: Address) -> str:
    """The name that other machines should use for `address`."""
    if address.host not in ("0.0.0.0", "::"):
        return address.host
    # Connecting a datagram socket sends nothing, but chooses the address of the interface towards outside,
    # for which these two stand: they are reserved for documents.
    family, outside = (socket.AF_INET, "192.0.2.1") if address.host == "0.0.0.0" else (socket.AF_INET6, "2001:db8::1")
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((outside, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return os.uname().nodename


def is_loopback(address: Address) -> bool:
    """True if no other machine can reach it."""
    from ipaddress import ip_address

    return all(ip_address(str(place[0])).is_loopback for _, place in _resolve(address))


def _resolve(address: Address) -> list[tuple[socket.AddressFamily, Any]]:
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise InputError(f"--listen {address}: no such host: {getattr(error, 'strerror', None) or error}.") from None
    return [(family, place) for family, _, _, _, place in found]
