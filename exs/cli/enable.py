"""`exs enable`."""

from __future__ import annotations

import click

from exs.cli.nodes import found, names_argument
from exs.cli.output import forms, show_json
from exs.cli.session import open_store, put
from exs.errors import InputError
from exs.view import records
from exs.view.slots import drained_line
from exs.view.text import safe


@click.command("enable")
@names_argument
@forms(json="Print what was drained as JSON.", quiet="Print the names only.")
def command(names: tuple[str, ...], form: str | None) -> None:
    """Let nodes, with all their slots, or slots take jobs again: what `exs drain` or the breaker closed."""
    store = open_store()
    drains = store.drains()
    places = found(store, names, store.workers(), drains)
    whole = {drain.place for drain in drains} - set(places)
    for place in places:
        node = place.partition(":")[0]
        if node != place and node in whole and node not in places:
            raise InputError(f"{place} is drained with all of its node.", f"exs enable {node}")
    ended = store.enable(places)
    if form == "ids":
        put(safe(drain.place) for drain in ended)
    elif form == "json":
        show_json({"enabled": [records.drain(drain) for drain in ended]})
    else:
        now = store.now()
        for drain in ended:
            click.echo(f"{safe(drain.place)}: takes jobs again (was {drained_line(drain, now)})")
        for place in places:
            if not any(place in (drain.place, drain.place.partition(":")[0]) for drain in ended):
                click.echo(f"{safe(place)}: was not drained")
