"""Experiments to files: a copy, or out of Redis for good."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from exs.errors import InputError, NotFound, Refused
from exs.paths import exported
from exs.reader import archivefile
from exs.rows import JobRow
from exs.view.commands import without_hidden
from exs.view.text import masked_all

if TYPE_CHECKING:
    from exs.store.store import Store


def export(store: Store, name: str, path: str) -> tuple[str, int]:
    """Write an experiment to a file, or to NAME.jsonl in a directory: where, and how many jobs.

    Jobs that wait or run are written as they are; values of secret variables are not, for files are passed on.
    Raises NotFound, Refused if there is such a file, InputError.
    """
    row = store.experiment(name)
    if os.path.isdir(path):
        path = exported(path, row.name)
    specs = {
        digest: replace(spec, env=masked_all(without_hidden(spec))) for digest, spec in store.specs(row.name).items()
    }
    return path, archivefile.write(path, row, _jobs(store, row.name), specs, store.now())


def move(store: Store, name: str, path: str) -> tuple[str, int]:
    """Write an experiment that is over as `export` does, and then take it out of Redis.

    It is archived first, so that nobody adds to it meanwhile, and removed when the file is on disk and was read again;
    where anything fails before, it is as it was. Raises NotFound, Refused, InputError.
    """
    store.may_forget([name])
    became = store.archive(name)
    if became == "unfinished":
        raise Refused(
            f"{name} has jobs that are not over; it was not archived.",
            f"Wait for it (exs wait {name}), or end it: exs cancel {name}",
        )
    if became == "missing":
        raise NotFound(f"no experiment {name!r}.", "exs list -a shows them.")
    done = False
    try:
        path, count = export(store, name, path)
        ids = store.ids(name)
        kept = archivefile.read(path).experiment.jobs
        if not kept == count == len(ids) or not store.experiment(name).archived:
            raise InputError(f"{name} was changed while it was written to {path}; it stays in Redis.", "Try again.")
        done = True
    finally:
        if not done and became == "archived":
            store.unarchive(name)
    store.forget([name], ids)
    return path, count


def _jobs(store: Store, name: str) -> Iterator[JobRow]:
    """The jobs with the points of their metrics and their earlier attempts."""
    for page in store.pages(name):
        series = store.metrics([row.id for row in page if row.metrics])
        for row in page:
            row.series = series.get(row.id, {})
            if row.attempts > 1:
                row.history = store.job(row.id).history
            yield row
