"""`python main.py --push lr=0.1,0.2`: each point becomes a job that runs the same script."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from exs.api import connect
from exs.api.context import Wish, wanted
from exs.compat.mlxp.arguments import Push
from exs.errors import InputError
from exs.settings import Settings
from exs.sweep.commandline import from_words
from exs.sweep.model import Options
from exs.view.pushed import summary
from exs.view.screen import screen_of


def push(words: Sequence[str], how: Push, settings: Settings) -> None:
    """Queue the points, whole or not at all, and say how many are new. Raises ExsError.

    The job of a point is `python main.py` with its overrides as separate words, which no shell reads. It runs in this
    directory with this interpreter or, where the code travels, in a copy of it with the node's `python3`.
    """
    queue = connect()
    wish = Wish(without=how.no_context)
    travels = wanted(wish, queue.store.url, queue.settings)
    if how.if_code_changed and not travels:
        raise InputError(
            "--if-code-changed compares the code that is sent, and this push sends none.",
            "EXS_CAPSULE=always sends it wherever the queue is; --force runs again all that succeeded.",
        )
    python = "python3" if travels else sys.executable
    sweep = from_words([python, *program(), *words], Options(name=how.name), settings.limits, Path.cwd())
    if travels:
        from exs.api.code import send

        queue.store.plan(sweep.name, (), queue.origin(sweep.source, how.into))  # refused before the code travels
        sweep, sent = send(queue.store, sweep, wish, queue.settings)
        print(f"exs: {sent.summary}", file=sys.stderr)
    experiment = queue.push(
        sweep,
        pool=how.pool,
        priority=how.priority,
        into=how.into,
        force=how.force,
        if_code_changed=how.if_code_changed,
    )
    assert experiment.pushed is not None
    print(summary("pushed", experiment.pushed, screen_of(sys.stdout, os.environ)))


def program() -> list[str]:
    """How this script was started, without its arguments. Raises InputError for what no job could start."""
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return ["-m", spec.name.removesuffix(".__main__")]
    if not os.path.isfile(sys.argv[0]):
        raise InputError(
            "--push needs a script: jobs cannot run what was typed.", "Put it into a file: python main.py --push"
        )
    path = os.path.relpath(sys.argv[0])
    return [sys.argv[0] if path.startswith(os.pardir) else path]
