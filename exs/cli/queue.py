"""`exs queue`, and `exs job list`, as Determined's users know it."""

from __future__ import annotations

import click

from exs.cli.output import forms, show
from exs.cli.session import open_store
from exs.model import DEFAULT_POOL


@click.command("queue")
@click.option(
    "-p", "--pool", "--resource-pool", "pool", default=DEFAULT_POOL, metavar="POOL", help="The queue of another pool."
)
@forms(csv=True, json='As JSON: {"jobs": [...]}, with Determined\'s fields.')
def command(pool: str, form: str | None) -> None:
    """Experiments that run or wait, in the order in which slots take jobs from them.

    STATE_SCHEDULED runs on the slots acquired, STATE_QUEUED has none yet. Slots needed are those for all of its jobs at
    once. What is done, crashed or canceled is not shown: exs list.
    """
    from exs.view.queue import QueueTable

    show(QueueTable(open_store().queue(pool)), form)
