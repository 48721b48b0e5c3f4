"""`exs retry`."""

from __future__ import annotations

from collections import Counter

import click

from exs.cli.output import forms, jobs_of, show_json
from exs.cli.selectors import Statuses, selected, selectors_argument, status_option
from exs.cli.session import open_store, put
from exs.errors import Refused
from exs.model import FINAL, JobState
from exs.view.text import safe

_DEFAULT = Statuses(frozenset({JobState.CRASHED, JobState.CANCELED}))


@click.command("retry")
@selectors_argument
@status_option
@click.option("-f", "--force", is_flag=True, help="Also jobs that are done, and commands that succeeded before.")
@forms(json="Print the counts as JSON.", quiet="Print the ids of the jobs only.")
def command(selectors: tuple[str, ...], states: Statuses, force: bool, form: str | None) -> None:
    """Queue jobs again: those that crashed or were canceled, unless --status says otherwise.

    Each runs with the code that it was pushed with; exs push --if-code-changed runs it with that of today.
    `--status lost` names those that were given up because their slots died with them.
    """
    store = open_store()
    rows = selected(store, selectors)
    wanted = states or (Statuses(FINAL) if force else _DEFAULT)
    ids = [row.id for row in rows if wanted.names(row)]
    for name in dict.fromkeys(row.experiment for row in rows if wanted.names(row)):
        if store.experiment(name).archived:
            raise Refused(f"{name} is archived; nothing was queued.", f"Bring it back first: exs unarchive {name}")
    counts = store.retry(ids, force=force)
    if form == "json":
        show_json(counts)
        return
    if form == "ids":
        put(map(safe, ids))
        return
    left = Counter(row.state.value.lower() for row in rows if not wanted.names(row))
    kept = 0 if force else counts["kept"]  # they are done
    if kept:
        left["done"] += kept
    line = f"queued {jobs_of(counts['queued'])} again"
    unchanged = len(ids) - counts["queued"] - kept
    if unchanged:
        line += f", {unchanged} needed nothing"
    if left:
        line += f", left {', '.join(f'{number} {word}' for word, number in left.items())}"
    if left["done"] and not counts["queued"]:
        line += " (--force runs them again)"
    click.echo(line)
