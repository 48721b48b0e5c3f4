"""`exs queue`, and `exs job list`, as Determined's users know it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from exs.cli.output import forms, show
from exs.cli.session import note, open_store
from exs.model import DEFAULT_POOL

if TYPE_CHECKING:
    from exs.store.store import Store


@click.command("queue", short_help="Who comes next, in Determined's columns.")
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

    store = open_store()
    found = store.queue(pool)
    show(QueueTable(found), form)
    if form is None and not found.rows:
        _note_others(store, pool)


def _note_others(store: Store, pool: str) -> None:
    """Where else something waits or runs, for who looks at an empty queue."""
    from exs.view.experiments import active

    others = Counter(row.pool for row in store.experiments() if active(row) and row.kind == "run" and row.pool != pool)
    for name, number in sorted(others.items()):
        note(f"{number} in another pool: exs queue --pool {name}")
