"""Checks of Redis. Each looks at one thing and says what it found, with what to type."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from exs.answers import Finding, Severity
from exs.settings import masked_url
from exs.store import keys, safety
from exs.store.server import OLDEST, Clock, ServerFacts
from exs.store.store import Store
from exs.view.sizes import size
from exs.view.when import duration

#: Share of maxmemory, or of the machine's memory, from which there is reason to worry.
_FULL = 0.9
#: Seconds by which two clocks may differ before somebody wonders about a time in a list.
_SKEW = 2.0
#: Name -> the value at which exs's records stay packed (deploy/redis.conf), and what another one costs.
_PACKED = {
    "hash-max-ziplist-value": (1024, "a job with one long value takes 800 bytes instead of 420"),
    "hash-max-ziplist-entries": (512, "points of a sweep take twice the memory"),
}


def checks(store: Store) -> Iterator[Finding]:
    """Everything about the Redis of `store`, which has to answer. Raises RedisUnreachable."""
    facts = store.server()
    yield from version(facts)
    yield from schema(facts)
    yield from role(facts)
    yield from safety.dangers(facts)
    yield from access(facts)
    yield from disk(facts)
    yield from memory(facts)
    yield from packing(facts)
    yield from company(facts)
    yield from time(store.clock())


def _found(severity: Severity, what: str, do: str = "") -> Finding:
    return Finding("redis", severity, what, do)


def _set(facts: ServerFacts, name: str, value: str) -> str:
    """The command that sets this now and keeps it."""
    return f"{safety.shell(facts.url)} CONFIG SET {name} {value}   # and the same line in its redis.conf"


def version(facts: ServerFacts) -> Iterator[Finding]:
    """Old enough to lack what the scripts need?"""
    kind = "Valkey" if "valkey_version" in facts.info else "Redis"
    if facts.too_old:
        oldest = ".".join(map(str, OLDEST))
        yield _found(
            Severity.ERROR, f"{kind} {facts.named_version} is too old.", f"install {oldest} or newer: apt install redis"
        )
        return
    up = duration(float(facts.info.get("uptime_in_seconds", 0)))
    clients = f", clients: {facts.info['connected_clients']}" if "connected_clients" in facts.info else ""
    hosts = f" from {len(facts.hosts)} hosts" if facts.hosts and len(facts.hosts) > 1 else ""
    yield _found(Severity.OK, f"{kind} {facts.named_version or 'of an unknown version'}, up {up}{clients}{hosts}")


def schema(facts: ServerFacts) -> Iterator[Finding]:
    """Is the queue one that this version of exs may touch?"""
    if facts.schema not in ("", keys.SCHEMA_VERSION):
        yield _found(
            Severity.ERROR,
            f"it holds a queue of schema {facts.schema[:20]}, and this exs speaks {keys.SCHEMA_VERSION}: no command "
            "but this one works with it.",
            "pip install --upgrade exs   # the same version on every machine",
        )


def role(facts: ServerFacts) -> Iterator[Finding]:
    """Does it take writes, of any key?"""
    if facts.info.get("role", "master") != "master":
        primary = f"{facts.info.get('master_host', '?')}:{facts.info.get('master_port', '?')}"
        yield _found(
            Severity.ERROR, f"it is a replica and takes no writes; its primary is {primary}.",
            f"export EXS_REDIS_URL=redis://...@{primary}",
        )  # fmt: skip
    if facts.info.get("cluster_enabled"):
        yield _found(
            Severity.ERROR, "it is a node of a Redis Cluster, where a script must not touch the keys of others.",
            "use a single Redis; several pools of nodes may have one each",
        )  # fmt: skip


def access(facts: ServerFacts) -> Iterator[Finding]:
    """Who gets in, and who can listen on the way."""
    if facts.open:
        return
    scheme = urlsplit(facts.url).scheme
    if facts.open is None and facts.remote:
        yield _found(
            Severity.NOTE, "it does not say whether it lets others in without a password (CONFIG and ACL are forbidden "
            "to this user).", f"redis-cli -h {urlsplit(facts.url).hostname} ping   # must answer NOAUTH",
        )  # fmt: skip
    if facts.remote and scheme == "redis":
        yield _found(
            Severity.NOTE, "the connection is not encrypted: who can listen on the network reads commands and the "
            "password.", "use rediss:// with tls-port in redis.conf, or a private network",
        )  # fmt: skip
    how = "a Unix socket" if scheme == "unix" else "TLS" if scheme == "rediss" else "TCP"
    user = f" as user {facts.user}" if facts.user not in ("", "default") else ""
    closed = "" if facts.open is None else ", closed to strangers"
    yield _found(Severity.OK, f"reached by {how}{user}{closed}")


def disk(facts: ServerFacts) -> Iterator[Finding]:
    """Would what it holds survive its end?"""
    info = facts.info
    if "aof_enabled" not in info:
        yield _found(Severity.NOTE, "it does not say whether it keeps an append-only file (INFO is forbidden).")
        return
    problems = list(_disk_problems(facts))
    yield from problems
    if not any(found.severity is Severity.ERROR for found in problems):
        synced = {"everysec": ", synced every second", "always": ", synced with every write"}
        yield _found(
            Severity.OK, f"append-only file on{synced.get(facts.config.get('appendfsync', ''), '')}, last write ok"
        )
    if not problems and facts.config.get("appendfsync") != "always" and not _confirms(facts):
        yield _found(
            Severity.NOTE,
            f"a power cut of its machine can cost its last second: {facts.named_version} cannot tell when a write is "
            "on disk (WAITAOF, from 7.2 on).",
        )


def _confirms(facts: ServerFacts) -> bool:
    """Every Valkey has WAITAOF."""
    return facts.version >= (7, 2)


def _disk_problems(facts: ServerFacts) -> Iterator[Finding]:
    info = facts.info
    if info.get("loading"):
        yield _found(Severity.WARNING, "it is still loading its data.", "exs doctor   # again, in a minute")
    if not info["aof_enabled"]:
        yield _found(
            Severity.ERROR, "it keeps no append-only file: what is queued is lost when it ends.",
            _set(facts, "appendonly", "yes"),
        )  # fmt: skip
    elif info.get("aof_last_write_status", "ok") != "ok":
        yield _found(
            Severity.ERROR, "it cannot write its append-only file: no push and no result is taken.",
            "df -h   # on its machine; it heals by itself once there is space",
        )  # fmt: skip
    elif info.get("aof_last_bgrewrite_status", "ok") != "ok":
        yield _found(
            Severity.WARNING, "its last rewrite of the append-only file failed: the file only grows.",
            f"df -h   # on its machine, then: {safety.shell(facts.url)} BGREWRITEAOF",
        )  # fmt: skip
    if facts.config.get("appendfsync") == "no":
        yield _found(
            Severity.WARNING, "it does not sync its append-only file (appendfsync no): a power cut may cost 30 s.",
            _set(facts, "appendfsync", "everysec"),
        )  # fmt: skip


def memory(facts: ServerFacts) -> Iterator[Finding]:
    """Is there room, and what happens when there is none?"""
    info = facts.info
    if "used_memory" not in info:
        return
    used, limit, machine = (int(info.get(name, 0)) for name in ("used_memory", "maxmemory", "total_system_memory"))
    if facts.policy.startswith("volatile-"):
        yield _found(
            Severity.WARNING, f"it forgets which slots there are when memory is full: maxmemory-policy {facts.policy}.",
            _set(facts, "maxmemory-policy", "noeviction"),
        )  # fmt: skip
    room = limit or machine
    shown, of = size(used), size(room) + ("" if limit else " that its machine has")
    if room and used >= room * _FULL:
        severity = Severity.ERROR if limit and used >= limit else Severity.WARNING
        then = "pushes are refused" if severity is Severity.ERROR else "soon pushes are refused"
        yield _found(
            severity, f"its memory is full: {shown} of {of}; {then}, and running jobs end well.",
            f"exs rm NAME   # what is finished, or more: {safety.shell(facts.url)} CONFIG SET maxmemory ...",
        )  # fmt: skip
    elif not facts.policy.startswith("allkeys-"):
        then = ", then pushes are refused" if limit and facts.policy == "noeviction" else ""
        yield _found(Severity.OK, f"memory {shown} of {of}{then}")


def packing(facts: ServerFacts) -> Iterator[Finding]:
    """Do records stay small?"""
    for name, (wanted, cost) in _PACKED.items():
        value = facts.config.get(name, "")
        if value.isdecimal() and int(value) < wanted:
            yield _found(Severity.NOTE, f"{name} is {value}: {cost}.", _set(facts, name, str(wanted)))


def company(facts: ServerFacts) -> Iterator[Finding]:
    """Do others use it?"""
    if facts.strangers:
        yield _found(
            Severity.NOTE, f"others keep keys in this database ({', '.join(facts.strangers)}): they share its memory, "
            "and whoever may write there may run commands on every node.",
        )  # fmt: skip
    ours = _database(facts.url)
    others = sorted(
        name for name in facts.info if name.startswith("db") and name[2:].isdecimal() and name != f"db{ours}"
    )
    if others:
        yield _found(Severity.NOTE, f"others keep keys in {', '.join(others)}: they share its memory.")


def _database(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "unix":
        return parts.path.strip("/") or "0"
    return next((word[3:] for word in parts.query.split("&") if word.startswith("db=")), "0")


def time(clock: Clock) -> Iterator[Finding]:
    """Do this machine and Redis agree on the time?"""
    off = abs(clock.ahead)
    if off - clock.error > _SKEW:
        side = "ahead of" if clock.ahead > 0 else "behind"
        yield _found(
            Severity.WARNING, f"the clock of this machine is {duration(off)} {side} that of Redis: times in names and "
            "logs are wrong; no lease depends on them.", "timedatectl set-ntp true   # on the machine that is wrong",
        )  # fmt: skip
    else:
        yield _found(
            Severity.OK, f"answers in {clock.error * 2000:.1f} ms, clocks differ by {off:.3f} s"
            if off > clock.error else f"answers in {clock.error * 2000:.1f} ms, clocks agree",
        )  # fmt: skip


def address(url: str) -> str:
    """The heading of the Redis part."""
    return masked_url(url)
