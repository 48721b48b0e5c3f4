"""`exs workers`."""

from __future__ import annotations

import click

from exs.cli.output import forms, show
from exs.cli.session import note_strangers, open_store, settings


@click.command("workers")
@forms(csv=True)
def command(form: str | None) -> None:
    """Slots of all nodes: their GPUs, what they run, how much they have done; busy and idle counted."""
    from exs.view.slots import SlotTable

    store = open_store()
    quiet = settings().timing.lease
    show(SlotTable(store.workers(), store.now(), quiet, store.unused_gpus()), form)
    if form is None:
        note_strangers(store)
