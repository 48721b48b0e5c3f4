"""`exs compare`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from exs.cli.output import forms, show
from exs.cli.sources import is_path
from exs.errors import BrokenRecord, NotFound, RedisUnreachable

if TYPE_CHECKING:
    from exs.api.checkout import Code
    from exs.model import Spec
    from exs.reader.compare import Side
    from exs.rows import JobRow
    from exs.store.store import Store


#: The row for the code of a side that cannot be looked into.
_DIGEST = "digest of the code"


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

    (a, code_a), (b, code_b) = _side(first), _side(second)
    if code_a is not None and code_b is not None:
        _tell_files(a, code_a, code_b)
        _tell_files(b, code_b, code_a)
    names = (first, second) if first != second else ("A", "B")
    rows = differences(a, b, everything)
    title = f"{first} and {second}" + ("" if rows else " do not differ.")
    grid = Grid(["name", "kind", *names, "difference"], [[row[1], row[0], *row[2:]] for row in rows], title)
    if rows or form is not None:
        show(grid, form)
    else:
        click.echo(title)


def _side(word: str) -> tuple[Side, Code | None]:
    """What `word` names, with its code if it was pushed with one: a directory or file, else what selectors name.

    Raises NotFound, InputError.
    """
    if is_path(word):
        return _of_path(word), None
    try:
        return _of_queue(word)
    except (NotFound, RedisUnreachable):
        if not os.path.exists(word):
            raise
        return _of_path(word), None


def _of_path(word: str) -> Side:
    from exs.api.reader import Reader
    from exs.reader import archivefile
    from exs.reader.compare import side

    if os.path.isdir(word):
        return side(word, list(Reader(word)))
    archive = archivefile.read(word)
    return _of_jobs(word, list(archive.jobs()), archive.specs)


def _of_queue(word: str) -> tuple[Side, Code | None]:
    from exs.cli.session import open_store

    store = open_store()
    rows = store.find(word)
    series = store.metrics([row.id for row in rows if row.metrics], points=False)
    for row in rows:
        row.series = series.get(row.id, {})
    known = store.specs(rows[0].experiment) if rows else {}
    made = _of_jobs(word, rows, known)
    specs = _specs(rows, known)
    return made, _code(made, store, rows[0], specs[-1]) if specs else None


def _of_jobs(word: str, rows: Sequence[JobRow], known: Mapping[str, Spec]) -> Side:
    """Jobs with what was pushed: `known` has it by its digest."""
    from exs.reader.compare import CODE, side
    from exs.reader.queued import JobRun
    from exs.view.commands import templates, typed

    specs = _specs(rows, known)
    commands = {}
    if specs:
        commands = typed(rows[0], specs[-1]) if len(rows) == 1 else dict(templates(specs[-1]))
    made = side(word, [JobRun(row) for row in rows], specs, commands)
    if specs and specs[-1].capsule:
        made.put(CODE, _DIGEST, specs[-1].capsule[:12])
    return made


def _specs(rows: Sequence[JobRow], known: Mapping[str, Spec]) -> list[Spec]:
    return [known[digest] for digest in dict.fromkeys(row.spec for row in rows) if digest in known]


def _code(made: Side, store: Store, row: JobRow, spec: Spec) -> Code | None:
    """The code that was pushed; what git knew of it goes to `made`. None where none was sent, or it is gone."""
    from exs.api.checkout import code_of
    from exs.reader.compare import CODE

    try:
        code = code_of(store, row, spec)
    except (NotFound, BrokenRecord):
        return None
    if "commit" in code.record:
        made.put(CODE, "commit", str(code.record["commit"])[:12])
        made.put(CODE, "branch", code.record.get("branch"))
    made.put(CODE, "changes beside the commit", len(str(code.record.get("diff", "")).splitlines()) or None)
    return code


def _tell_files(made: Side, code: Code, other: Code) -> None:
    """Which files there are, in place of the digest of them all; none where the others are the same."""
    from exs.api.checkout import contents
    from exs.reader.compare import CODE

    made.sections[CODE].pop(_DIGEST, None)
    if code.manifest.tree != other.manifest.tree:
        for path, digest in contents(code).items():
            made.put_file(path, digest)
