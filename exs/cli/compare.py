"""`exs compare`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from exs.cli.output import forms, show
from exs.cli.sources import is_path
from exs.errors import NotFound

if TYPE_CHECKING:
    from exs.model import Spec
    from exs.reader.compare import Side
    from exs.rows import JobRow


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
    if is_path(word):
        return _of_path(word)
    try:
        return _of_queue(word)
    except NotFound:
        if not os.path.exists(word):
            raise
        return _of_path(word)


def _of_path(word: str) -> Side:
    from exs.api.reader import Reader
    from exs.reader import archivefile
    from exs.reader.compare import side

    if os.path.isdir(word):
        return side(word, list(Reader(word)))
    archive = archivefile.read(word)
    return _of_jobs(word, list(archive.jobs()), archive.specs)


def _of_queue(word: str) -> Side:
    from exs.cli.session import open_store

    store = open_store()
    rows = store.find(word)
    series = store.metrics([row.id for row in rows if row.metrics], points=False)
    for row in rows:
        row.series = series.get(row.id, {})
    return _of_jobs(word, rows, store.specs(rows[0].experiment) if rows else {})


def _of_jobs(word: str, rows: Sequence[JobRow], known: Mapping[str, Spec]) -> Side:
    """Jobs with what was pushed: `known` has it by its digest."""
    from exs.reader.compare import side
    from exs.reader.queued import JobRun
    from exs.view.commands import templates, typed

    specs = [known[digest] for digest in dict.fromkeys(row.spec for row in rows) if digest in known]
    commands = {}
    if specs:
        commands = typed(rows[0], specs[-1]) if len(rows) == 1 else dict(templates(specs[-1]))
    return side(word, [JobRun(row) for row in rows], specs, commands)
