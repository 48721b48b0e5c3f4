"""What every verb needs: the settings, the Store, who and where we are, and a place to print to."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from exs import person
from exs.paths import checked_name
from exs.person import user as user
from exs.settings import Settings, load
from exs.view.screen import Screen, screen_of

if TYPE_CHECKING:
    from exs.store.store import Store


@cache
def settings() -> Settings:
    """The settings of this process, read once. Raises InputError."""
    ours = load()
    if ours.node:
        checked_name(ours.node, ours.limits.name_chars, "EXS_NODE", "name a machine")
    return ours


def check_node(name: str, where: str) -> str:
    """`name`, if a node can have it: names of slots begin with it. Raises InputError that begins with `where`."""
    return checked_name(name, settings().limits.name_chars, where, "name a machine")


def check_pool(name: str, where: str) -> str:
    """`name`, if a pool can have it. Raises InputError that begins with `where`."""
    return checked_name(name, settings().limits.name_chars, where, "name a pool")


def open_store() -> Store:
    """The Store at EXS_REDIS_URL, else the one on this user's embedded server, started if it does not run.

    Raises RedisUnreachable if that does not answer or start.
    """
    from exs.store.store import open_store as at_url

    ours = connected_settings()
    return at_url(ours.redis_url, ours)


def connected_settings() -> Settings:
    """The settings with the URL that is in force: the configured one, else that of this user's embedded server."""
    ours = settings()
    if ours.redis_url:
        return ours
    from exs import server

    return replace(ours, redis_url=server.ensure(ours))


def host() -> str:
    """The name of this machine in lists."""
    return person.host(settings())


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


def note_strangers(store: Store) -> None:
    """Remark on stock RQ workers that take jobs of exs: each is put back, but a slot has to wait for it."""
    for stranger in store.strangers():
        note(f"{stranger}: it can run none of them, and reap puts them back. Start `exs worker` instead.")
