"""`exs archive`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from exs.cli.output import forms, jobs_of, say, show_json
from exs.cli.selectors import experiments_argument
from exs.cli.session import open_store, put
from exs.errors import NotFound, Refused
from exs.model import FINAL
from exs.view.text import safe

if TYPE_CHECKING:
    from exs.store.store import Store


@click.command("archive")
@experiments_argument
@click.option(
    "--to", "path", metavar="FILE|DIR", help="Write them there, whole and on disk, and take them out of Redis."
)
@forms(json="Print what became of each as JSON.", quiet="Print the names of what is archived now only.")
def command(names: tuple[str, ...], path: str | None, form: str | None) -> None:
    """Take experiments that are over out of the lists; their jobs, results and files stay.

    `exs list -a` shows them all the same, `exs unarchive` brings them back. All of them are archived or none.
    With --to they are in files that `exs results` and `exs list -t` read, one each, and Redis forgets them.
    """
    if path is not None and len(names) > 1 and not os.path.isdir(path):
        raise click.UsageError(f"--to {path} is no directory, and a file holds one experiment.")
    store = open_store()
    rows = [store.experiment(name) for name in names]
    for row in rows:
        left = sum(number for state, number in row.counts.items() if state not in FINAL)
        if left:
            raise _unfinished(row.name, f"has {jobs_of(left)} that {'is' if left == 1 else 'are'} not over")
    if path is not None:
        _move(store, [row.name for row in rows], path, form)
        return
    became = {row.name: store.archive(row.name) for row in rows}
    for name, code in became.items():
        if code == "unfinished":
            raise _unfinished(name, "was pushed to meanwhile")
        if code == "missing":
            raise NotFound(f"no experiment {name!r}.", "exs list -a shows them.")
    said = {"archived": "archived {}", "already": "{} was archived already"}
    fresh = (name for name, code in became.items() if code == "archived")
    say(form, dict(became), fresh, (said[code].format(safe(name)) for name, code in became.items()))


def _move(store: Store, names: list[str], path: str, form: str | None) -> None:
    """Write each to its file and remove it; what was moved is said as it happens, for a later one may fail."""
    from exs.api.archiving import move

    moved = {}
    for name in names:
        file, count = move(store, name, path)
        moved[name] = file
        if form is None:
            put([f"moved {safe(name)} with its {jobs_of(count)} to {safe(file)}"])
        elif form == "ids":
            put([safe(name)])
    if form == "json":
        show_json(moved)


def _unfinished(name: str, why: str) -> Refused:
    return Refused(
        f"{name} {why}; it was not archived.", f"Wait for it (exs wait {name}), or end it: exs cancel {name}"
    )
