"""What every verb needs: the settings, the Store, who and where we are, and a place to print to."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from exs.errors import InputError, RedisUnreachable
from exs.paths import NAME
from exs.settings import Limits, Settings, load
from exs.view.screen import Screen, screen_of

if TYPE_CHECKING:
    from exs.store.store import Store


@cache
def settings() -> Settings:
    """The settings of this process, read once. Raises InputError."""
    ours = load()
    if ours.node:
        check_node(ours.node, "EXS_NODE")
    return ours


def check_node(name: str, where: str) -> None:
    """Raise InputError, beginning with `where`, for a name that a node cannot have: names of slots begin with it."""
    if not NAME.match(name) or len(name) > Limits.name_chars:
        raise InputError(
            f"{where}: {name[: Limits.name_chars]!r} cannot name a machine.",
            "Use letters, digits, . _ and -, and begin with a letter or digit.",
        )


def open_store(start: bool = True) -> Store:
    """The Store at EXS_REDIS_URL, else the one on this user's embedded server, which `start` lets us start.

    Raises RedisUnreachable if it does not answer, or if it does not run and must not be started.
    """
    from exs.store.store import open_store as at_url

    ours = connected_settings(start)
    return at_url(ours.redis_url, ours)


def connected_settings(start: bool = True) -> Settings:
    """The settings with the URL that is in force: the configured one, else that of this user's embedded server."""
    ours = settings()
    if ours.redis_url:
        return ours
    from exs import server

    if not start and server.status(ours) is None:
        raise RedisUnreachable("the embedded server does not run.", "Start it: exs server start")
    return replace(ours, redis_url=server.ensure(ours))


def host() -> str:
    """The name of this machine in lists."""
    return settings().node or socket.gethostname()


def user() -> str:
    """The name under which this user pushes; the number where the system has none for it, as in containers."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def out_screen() -> Screen:
    """The screen behind standard output."""
    return screen_of(sys.stdout, os.environ)


def put(lines: Iterable[str]) -> None:
    """Print `lines` to standard output in one write per few thousand: a list of 10,000 jobs is 1 MB."""
    batch: list[str] = []
    for line in lines:
        batch.append(line)
        if len(batch) == 2000:
            sys.stdout.write("\n".join(batch) + "\n")
            batch.clear()
    if batch:
        sys.stdout.write("\n".join(batch) + "\n")


def note(line: str) -> None:
    """Print a remark to standard error, which programs that read our output do not see."""
    from exs.view.text import safe

    print(safe(line), file=sys.stderr)
