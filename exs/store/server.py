"""What a Redis says of itself, in one round trip.

CONFIG and ACL may be forbidden to us, as on managed servers and for the users of deploy/users.acl: INFO tells most of
it, and what nobody tells is None.
"""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import redis

from exs.store import keys, records
from exs.store.base import Base
from exs.store.connect import sentences

#: The oldest Redis whose commands and scripts exs uses.
OLDEST = (6, 2)
#: Settings that are asked for one by one: `CONFIG GET *` would bring the password, and 6.2 takes one name at a time.
_CONFIG = (
    "bind", "protected-mode", "port", "appendfsync", "hash-max-ziplist-value", "hash-max-ziplist-entries",
    "stream-node-max-bytes", "timeout",
)  # fmt: skip
#: Keys looked at to tell whether others keep theirs in this database.
_SAMPLE = 300
_OURS = (b"exs:", b"rq:")
#: Who may do one of these may write.
_WRITES = {"+@all", "+@write", "+@scripting"}


@dataclass(frozen=True)
class Clock:
    """`ahead`: seconds by which the clock of this machine is ahead of that of Redis, give or take `error`."""

    ahead: float
    error: float


@dataclass(frozen=True)
class ServerFacts:
    """A Redis as it describes itself. None: it does not tell us."""

    url: str
    info: Mapping[str, Any]
    config: Mapping[str, str]
    schema: str  #: of the queue in it; "" when there is none
    user: str
    default_user: Mapping[str, Any] | None  #: who does not log in
    hosts: tuple[str, ...] | None  #: addresses from which clients are connected
    strangers: tuple[str, ...]  #: beginnings of keys that are neither ours nor RQ's, a sample

    @property
    def version(self) -> tuple[int, ...]:
        """As numbers; Valkey's own, where it is one."""
        return tuple(int(part) for part in re.findall(r"\d+", self.named_version)[:3])

    @property
    def named_version(self) -> str:
        """As it names itself."""
        return str(self.info.get("valkey_version") or self.info.get("redis_version") or "")

    @property
    def too_old(self) -> bool:
        """True for what lacks commands that exs uses. Every Valkey is newer."""
        return "valkey_version" not in self.info and () < self.version < OLDEST

    @property
    def policy(self) -> str:
        """What is dropped when memory is full."""
        return str(self.info.get("maxmemory_policy", ""))

    @property
    def remote(self) -> bool:
        """True when our connection leaves this machine."""
        parts = urlsplit(self.url)
        return parts.scheme != "unix" and not _loopback(parts.hostname or "localhost")

    @property
    def open(self) -> bool | None:
        """True when anybody on the network may write to it without a password. None: it does not tell."""
        if self.remote and not _has_password(self.url):
            return True
        if self.default_user is None or not {"bind", "port"} <= self.config.keys():
            return None
        flags, may = (self.default_user.get(what, ()) for what in ("flags", "categories"))
        if not {"on", "nopass"} <= set(flags) or not _WRITES & set(may):
            return False
        return self.config["port"] != "0" and not self._protected and self._listens_widely

    @property
    def _listens_widely(self) -> bool:
        addresses = [word.lstrip("-") for word in self.config["bind"].split()]
        return not addresses or not all(map(_loopback, addresses))

    @property
    def _protected(self) -> bool:
        """Protected mode refuses other machines; before 7.0 a `bind` line turned it off without saying so."""
        on = self.config.get("protected-mode") == "yes"
        return on and (self.version >= (7,) or not self.config["bind"])


class Inspector(Base):
    """Asks a Redis what it is."""

    def server(self) -> ServerFacts:
        """Facts of this Redis, in one round trip. Raises RedisUnreachable."""
        calls: list[tuple[str, ...]] = [
            ("INFO",), ("GET", keys.SCHEMA), ("ACL WHOAMI",), ("ACL GETUSER", "default"), ("CLIENT LIST",),
            ("SCAN", "0", "COUNT", str(_SAMPLE)), *(("CONFIG GET", name) for name in _CONFIG),
        ]  # fmt: skip
        with sentences(self._url), self._client.pipeline(transaction=False) as pipe:
            for call in calls:
                pipe.execute_command(*call)
            replies = [_or_none(reply) for reply in pipe.execute(raise_on_error=False)]
        info, schema, user, default_user, clients, sample, *config = replies
        settings: dict[str, str] = {}
        for found in config:
            settings.update(found or {})
        return ServerFacts(
            url=self._url,
            info=info or {},
            config=settings,
            schema=records.text(schema) if isinstance(schema, bytes) else "",
            user=_plain(user),
            default_user=default_user,
            hosts=None if clients is None else tuple(sorted({_host(client["addr"]) for client in clients})),
            strangers=_strangers(sample[1] if sample else ()),
        )

    def clock(self) -> Clock:
        """The clock of this machine against that of Redis: the best of three short questions."""
        found = []
        for _ in range(3):
            began, before = time.monotonic(), time.time()
            there = self.now()
            half = (time.monotonic() - began) / 2
            found.append(Clock(before + half - there, half))
        return min(found, key=lambda clock: clock.error)


def _has_password(url: str) -> bool:
    return bool(urlsplit(url).password) or "password=" in urlsplit(url).query


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _or_none(reply: Any) -> Any:
    """A reply, or None for a command that is refused or unknown. Raises what is no such refusal."""
    if isinstance(reply, redis.exceptions.ResponseError):
        return None
    if isinstance(reply, Exception):
        raise reply
    return reply


def _plain(value: Any) -> str:
    return records.text(value) if isinstance(value, bytes) else str(value or "")


def _host(address: str) -> str:
    """`10.0.0.5:1234` without the port; a path or nothing is this machine, by its socket."""
    host = address.rpartition(":")[0].strip("[]")
    return "" if not host or host.startswith("/") else host


def _strangers(sample: Sequence[bytes]) -> tuple[str, ...]:
    found = {re.split(r"[:._/-]", records.text(key)[:40])[0] for key in sample if not key.startswith(_OURS)}
    return tuple(sorted(found)[:5])
