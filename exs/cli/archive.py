"""`exs archive`."""

from __future__ import annotations

import click

from exs.cli.output import forms, jobs_of, show_json
from exs.cli.selectors import experiments_argument
from exs.cli.session import open_store, put
from exs.errors import NotFound, Refused
from exs.model import FINAL
from exs.view.text import safe


@click.command("archive")
@experiments_argument
@forms(json="Print what became of each as JSON.", quiet="Print the names of what is archived now only.")
def command(names: tuple[str, ...], form: str | None) -> None:
    """Take experiments that are over out of the lists; their jobs, results and files stay.

    `exs list -a` shows them all the same, `exs unarchive` brings them back. All of them are archived or none.
    """
    store = open_store()
    rows = [store.experiment(name) for name in names]
    for row in rows:
        left = sum(number for state, number in row.counts.items() if state not in FINAL)
        if left:
            raise _unfinished(row.name, f"has {jobs_of(left)} that {'is' if left == 1 else 'are'} not over")
    became = {row.name: store.archive(row.name) for row in rows}
    for name, code in became.items():
        if code == "unfinished":
            raise _unfinished(name, "was pushed to meanwhile")
        if code == "missing":
            raise NotFound(f"no experiment {name!r}.", "exs list -a shows them.")
    if form == "json":
        show_json(became)
    elif form == "ids":
        put(safe(name) for name, code in became.items() if code == "archived")
    else:
        said = {"archived": "archived {}", "already": "{} was archived already"}
        put(said[code].format(safe(name)) for name, code in became.items())


def _unfinished(name: str, why: str) -> Refused:
    return Refused(
        f"{name} {why}; it was not archived.", f"Wait for it (exs wait {name}), or end it: exs cancel {name}"
    )
