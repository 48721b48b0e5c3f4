"""`exs cancel`."""

from __future__ import annotations

import click

from exs.cli.output import show_json
from exs.cli.selectors import selected, selectors_argument, status_option
from exs.cli.session import open_store, put
from exs.model import JobState
from exs.view.text import safe


@click.command("cancel")
@selectors_argument
@status_option
@click.option("--kill", is_flag=True, help="Running jobs get SIGKILL at once instead of SIGTERM and a grace period.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Print the ids of the jobs only.")
def command(selectors: tuple[str, ...], states: frozenset[JobState], kill: bool, as_json: bool, quiet: bool) -> None:
    """Take jobs out of the queue, and have running ones ended with their whole process tree.

    Jobs that are over stay as they are. `exs retry` queues canceled jobs again.
    """
    store = open_store()
    ids = [row.id for row in selected(store, selectors, states)]
    counts = store.cancel(ids, kill=kill)
    if as_json:
        show_json(counts)
    elif quiet:
        put(map(safe, ids))
    else:
        asked = counts["asked"]
        line = f"canceled {counts['canceled']}"
        if asked:
            line += f", {'killing' if kill else 'asked'} {asked} running{'' if kill else ' to end'}"
        over = counts["already"] + counts["missing"]
        if over:
            line += f", {over} were over already"
        click.echo(line)
