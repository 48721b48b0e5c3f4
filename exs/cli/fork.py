"""`exs push --from EXPERIMENT`: what goes with it, and the sweep that it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exs.cli.session import settings
from exs.cli.sweep_options import Request
from exs.errors import InputError
from exs.sweep.model import Options, Sweep

if TYPE_CHECKING:
    from exs.store.store import Store


def check_fork(request: Request, alone: bool) -> None:
    """Raises InputError for what has no meaning for jobs that are in the queue; `alone`: nothing else has."""
    options = request.options
    if request.file is not None or request.words is not None:
        raise InputError("--from takes its jobs from the queue, and a sweep was given too.", "Leave one of them out.")
    known = Options(name=options.name, overrides=options.overrides)
    if not alone or request.force or options != known:
        raise InputError(
            "--from EXPERIMENT keeps its code, commands and directories, and is a new experiment.",
            "It goes with -o key=value, --name, --env, --secret, --priority, --pool, --canary, --paused and --strict.",
        )


def read_fork(store: Store, source: str, request: Request) -> Sweep:
    """The jobs that `source` selects as a sweep of another name. Raises NotFound, Refused, InputError."""
    from exs.api.fork import forked

    return forked(store, source, request.options, settings().limits)


def keep_code(store: Store, sweep: Sweep) -> None:
    """See to it that the code of a fork stays when the first experiment goes. Raises NotFound, BrokenRecord."""
    from exs.api.fork import keep_code as keep

    keep(store, sweep)
