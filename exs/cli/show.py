"""`exs show`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from exs.cli.output import forms, show
from exs.cli.runfiles import run_files
from exs.cli.selectors import (
    Statuses,
    experiment_or_none,
    nothing_there,
    schedys,
    selected,
    selectors_argument,
    status_option,
)
from exs.cli.session import open_store
from exs.errors import BrokenRecord
from exs.model import Spec
from exs.view.render import Listing

if TYPE_CHECKING:
    from exs.store.store import Store

#: Jobs that one call shows in full; more are better looked at in a table.
_MOST = 100


@click.command("show")
@selectors_argument
@status_option
@forms()
def command(selectors: tuple[str, ...], states: Statuses, form: str | None) -> None:
    """Everything about an experiment (NAME) or jobs: parameters, results, metrics, where, why, attempts, files."""
    store = open_store()
    pages: list[Listing] = []
    for selector in schedys(store, selectors):
        pages += _pages(store, selector, states)
    if not pages and form is None:
        raise nothing_there(selectors, states)
    for number, page in enumerate(pages):
        if number and form is None:
            click.echo()
        show(page, form)


def _pages(store: Store, selector: str, states: Statuses) -> list[Listing]:
    from exs.view.detail import ExperimentPage, JobPage

    experiment = None if states else experiment_or_none(store, selector)
    if experiment is not None:
        specs = store.specs(experiment.name)
        store.note_pace([experiment])
        drawn = store.scheduler(experiment.name) if experiment.kind == "pull" else {}
        return [ExperimentPage(experiment, specs, store.now(), drawn)]
    rows = selected(store, [selector], states)
    if len(rows) > _MOST:
        raise click.UsageError(
            f"{selector} is {len(rows)} jobs; show takes {_MOST}. See them in one table: exs list -t"
        )
    ways = {digest: _spec(store, name, digest) for name, digest in {(row.experiment, row.spec) for row in rows}}
    metrics = store.metrics([row.id for row in rows if row.metrics])
    jobs = [store.job(row.id) for row in rows]
    files = run_files(store, jobs)
    return [
        JobPage(row, store.now(), ways[row.spec], metrics.get(row.id, {}), *files.get(row.id, (None, "")))
        for row in jobs
    ]


def _spec(store: Store, experiment: str, digest: str) -> Spec | None:
    """How jobs of that digest are run; None for those that nobody runs, and where the record is broken."""
    try:
        return store.spec(experiment, digest) if digest else None
    except BrokenRecord:
        return None
