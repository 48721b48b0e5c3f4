"""`exs fetch`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from exs.cli.localfiles import LocalFiles
from exs.cli.output import forms, show
from exs.cli.selectors import Statuses, nothing_there, selected, status_option
from exs.cli.session import host, note, open_store, settings
from exs.errors import EXIT_JOB_FAILED, ExsError, NotFound, RedisUnreachable
from exs.rows import JobRow
from exs.view.fetched import FetchedTable
from exs.view.jobs import selector
from exs.view.text import cut, safe

if TYPE_CHECKING:
    from exs.fetch.fetcher import Fetched, Fetcher
    from exs.fetch.source import Source
    from exs.store.store import Store


@click.command("fetch")
@click.argument("selectors", nargs=-1, metavar="NAME|ID|NAME/17|NAME/20-25|last ...")
@click.argument("into", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@status_option
@click.option("--max-size", metavar="SIZE", help="The largest file that comes through Redis; 256MiB if not given.")
@forms(quiet="The directories only, one per line.")
@click.pass_context
def command(
    ctx: click.Context,
    selectors: tuple[str, ...],
    into: Path,
    states: Statuses,
    max_size: str | None,
    form: str | None,
) -> None:
    """Bring the run directories of jobs to DIR, each as DIR/NAME-OF-ITS-PARAMETERS, from whatever machines have them.

    No shared file system is needed: files come through Redis and are checked. The same command again goes on where it
    stopped and brings what has changed. Files that are too large are named, with the command that copies them. Exit
    code 1 if files of a job could not be had.
    """
    if not selectors:
        raise click.UsageError(f"There is no DIR behind {str(into)!r}: where are its run directories to go?")
    from exs.fetch.fetcher import Fetcher
    from exs.sweep.units import size

    most = settings().limits.fetch_bytes if max_size is None else size(max_size, "--max-size")
    store = open_store()
    named = selected(store, selectors, states)
    if not named:
        raise nothing_there(selectors, states)
    rows = [row for row in named if row.node]
    if not rows:
        raise NotFound("none of these jobs has started: there are no files.", "exs list -t NAME shows them.")
    line = _Line()
    with Fetcher(into, most, line.show) as fetcher, line:
        found, failed = _each(store, rows, fetcher, line)
    if found:
        show(FetchedTable(found), form)
    for error in failed if found else failed[:-1]:
        note(error.message)
    if not found:
        raise failed[-1]
    if failed or any(one.problem for one in found):
        ctx.exit(EXIT_JOB_FAILED)


def _each(store: Store, rows: list[JobRow], fetcher: Fetcher, line: _Line) -> tuple[list[Fetched], list[ExsError]]:
    """What came of every job, and what kept others from coming. A node that does not answer is asked once."""
    from exs.fetch.source import Silent

    found: list[Fetched] = []
    failed: list[ExsError] = []
    silent: set[str] = set()
    for row in rows:
        if row.node in silent:
            failed.append(NotFound(f"{selector(row)}: {safe(row.node)} does not answer."))
            continue
        try:
            found.append(fetcher.fetch(row, _source(store, row)))
        except RedisUnreachable:
            raise
        except ExsError as error:
            failed.append(error)
            if isinstance(error, Silent):
                silent.add(row.node)
    return found, failed


def _source(store: Store, row: JobRow) -> Source:
    """The files themselves if this machine has them, else its node."""
    from exs.fetch.source import NodeFiles

    here = LocalFiles.of(row, settings().limits.fetch_files) if row.node == host() else None
    return here or NodeFiles(store, row)


class _Line:
    """One line on a terminal that says what comes, rewritten in place."""

    def __init__(self) -> None:
        self._there = sys.stderr.isatty()
        self._shown = ""

    def __enter__(self) -> _Line:
        return self

    def __exit__(self, *error: object) -> None:
        self._draw("")

    def show(self, row: JobRow, path: str, done: int, size: int) -> None:
        share = done / size if size else 1.0
        self._draw(cut(f"{selector(row)}  {safe(path)}  {share:.0%}", 78))

    def _draw(self, text: str) -> None:
        if self._there and text != self._shown:
            sys.stderr.write(f"\r{text}\x1b[K")
            sys.stderr.flush()
            self._shown = text
