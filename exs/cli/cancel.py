"""`exs cancel`."""

from __future__ import annotations

import click

from exs.cli.output import forms, jobs_of, show_json
from exs.cli.selectors import Statuses, selected_ids, selectors_argument, status_option
from exs.cli.session import open_store, put
from exs.view.text import safe


@click.command("cancel")
@selectors_argument
@status_option
@click.option("--kill", is_flag=True, help="Running jobs get SIGKILL at once, as with exs kill.")
@forms(json="Print the counts as JSON.", quiet="Print the ids of the jobs only.")
def command(selectors: tuple[str, ...], states: Statuses, kill: bool, form: str | None) -> None:
    """Take jobs out of the queue, and have running ones ended with their whole process tree.

    Jobs that are over stay as they are. `exs retry` queues canceled jobs again.
    """
    end(selectors, states, kill=kill, form=form)


def end(selectors: tuple[str, ...], states: Statuses, *, kill: bool, form: str | None) -> None:
    """End the jobs that are named and say so; with `kill` running ones get no time to do so themselves."""
    store = open_store()
    ids = selected_ids(store, selectors, states)
    counts = store.cancel(ids, kill=kill)
    if form == "json":
        show_json(counts)
    elif form == "ids":
        put(map(safe, ids))
    else:
        parts = []
        if counts["asked"]:
            running = jobs_of(counts["asked"], "running ")
            parts = [f"killing {running}" if kill else f"asked {running} to end"]
        if counts["canceled"] or not parts:
            parts.insert(0, f"canceled {jobs_of(counts['canceled'])}")
        line = ", ".join(parts)
        over = counts["already"] + counts["missing"]
        if over:
            line += f"; {over} {'was' if over == 1 else 'were'} over already"
        click.echo(line)
