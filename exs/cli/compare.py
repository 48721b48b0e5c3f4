"""`exs compare`."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import click

from exs.cli.output import forms, show
from exs.cli.sources import is_path

if TYPE_CHECKING:
    from exs.reader.compare import Side

#: NAME/17, unless there is a file or directory of that name.
_SELECTOR = re.compile(r"[^/.][^/]*/[0-9]+(-[0-9]+)?\Z")


@click.command("compare")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("-a", "--all", "everything", is_flag=True, help="What is the same in both, too.")
@forms(csv=True, quiet="Print the names of what differs only.")
def command(first: str, second: str, everything: bool, form: str | None) -> None:
    """In what two jobs (NAME/17), experiments, run directories or exported files differ.

    Parameters, results and metrics (with by how much B has more), how they ran, code, environment. Of an experiment
    the values that each parameter takes are compared, and its results in numbers.
    """
    from exs.reader.compare import differences
    from exs.view.grid import Grid

    a, b = _side(first), _side(second)
    names = (first, second) if first != second else ("A", "B")
    rows = differences(a, b, everything)
    title = f"{first} and {second}" + ("" if rows else " do not differ.")
    grid = Grid(["name", "kind", *names, "difference"], [[row[1], row[0], *row[2:]] for row in rows], title)
    if rows or form is not None:
        show(grid, form)
    else:
        click.echo(title)


def _side(word: str) -> Side:
    """What `word` names: a directory or file, else what selectors name. Raises NotFound, InputError."""
    from exs.reader.compare import side

    if is_path(word) and (os.path.exists(word) or not _SELECTOR.match(word)):
        from exs.api.reader import Reader

        return side(word, list(Reader(word)))
    return _of_queue(word)


def _of_queue(word: str) -> Side:
    from exs.cli.session import open_store
    from exs.reader.compare import side
    from exs.reader.queued import JobRun
    from exs.view.commands import templates, typed

    store = open_store()
    rows = store.find(word)
    series = store.metrics([row.id for row in rows if row.metrics], points=False)
    for row in rows:
        row.series = series.get(row.id, {})
    known = store.specs(rows[0].experiment) if rows else {}
    specs = [known[digest] for digest in dict.fromkeys(row.spec for row in rows) if digest in known]
    commands = {}
    if specs:
        commands = typed(rows[0], specs[-1]) if len(rows) == 1 else dict(templates(specs[-1]))
    return side(word, [JobRun(row) for row in rows], specs, commands)
