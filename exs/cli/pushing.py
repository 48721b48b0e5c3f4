"""A push by this user from this machine, as `push`, `run` and `experiment create` make it and `plan` foresees it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from exs.answers import Pushed
from exs.api import push_sweep
from exs.cli.session import note, user
from exs.cli.sweep_options import Request, origin_of
from exs.model import NOT_AGAIN, Again, NewJob
from exs.sweep.model import Sweep

if TYPE_CHECKING:
    from exs.store.store import Store


def push(
    store: Store,
    sweep: Sweep,
    request: Request,
    *,
    into: bool = False,
    again: Again = NOT_AGAIN,
    jobs: Iterator[NewJob] | None = None,
    paused: bool = False,
) -> Pushed:
    """Push `sweep` as this user from this machine; `jobs` stands for its own. Raises Refused, InputError.

    `again`: which jobs that are over run again.
    """
    pushed = push_sweep(
        store,
        sweep,
        origin_of(sweep, into),
        jobs=jobs,
        again=again,
        paused=f"{user()}: pushed with --paused" if paused else "",
        on_busy=lambda: note(f"another push of {sweep.name} is under way or was broken off; waiting for it"),
    )
    return compared(pushed, sweep, request)


def compared(pushed: Pushed, sweep: Sweep, request: Request) -> Pushed:
    """The counts, with what only the file knows; a part of it (-t, -c, --sample) does not tell what is gone."""
    options = request.options
    part = options.title is not None or options.commands or options.sample is not None
    return replace(pushed, duplicates=sweep.duplicates, gone=0 if part else pushed.gone)
