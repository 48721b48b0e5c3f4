"""`exs rm`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from exs.cli.output import jobs_of, show_json
from exs.cli.selectors import Statuses, experiment_or_none, schedys, selected, selectors_argument, status_option
from exs.cli.session import open_store
from exs.errors import Refused
from exs.model import HELD
from exs.view.text import safe

if TYPE_CHECKING:
    from exs.store.store import Store


@click.command("rm")
@selectors_argument
@status_option
@click.option("-y", "-f", "--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
def command(selectors: tuple[str, ...], states: Statuses, yes: bool, as_json: bool) -> None:
    """Remove jobs, or experiments with all their jobs, from the queue's records. Files stay where they are.

    NAME JOB, with the id of a job, is that job alone. Running jobs are not removed: cancel them first.
    """
    store = open_store()
    names, ids = _wanted(store, schedys(store, selectors), states)
    what = _described(store, names, ids)
    if not yes and (names or ids) and not _sure(what):
        click.echo("Nothing was removed.")
        return
    ids += [job for name in names for job in store.ids(name)]
    counts, gone = store.forget(names, ids)
    if as_json:
        show_json({"removed": counts["removed"], "running": counts["running"], "experiments": gone})
    else:
        click.echo(f"removed {jobs_of(counts['removed'])}" + (f" and {_named(gone)}" if gone else ""))
    if counts["running"]:
        raise Refused(
            f"{jobs_of(counts['running'], 'running ')} not removed.",
            f"End them first: exs cancel {' '.join(selectors)}",
        )


def _wanted(store: Store, selectors: Sequence[str], states: Statuses) -> tuple[list[str], list[str]]:
    """Experiments to remove whole, and ids of further jobs. Refuses an experiment that has running jobs."""
    names: list[str] = []
    rest: list[str] = []
    for selector in selectors:
        experiment = None if states else experiment_or_none(store, selector)
        if experiment is None:
            rest.append(selector)
            continue
        running = sum(experiment.counts.get(state, 0) for state in HELD)
        if running:
            raise Refused(
                f"{experiment.name} has {jobs_of(running, 'running ')}; nothing was removed.",
                f"End them first: exs cancel {experiment.name}",
            )
        names.append(experiment.name)
    rows = selected(store, rest, states)
    return names, [row.id for row in rows if row.experiment not in names]


def _described(store: Store, names: Sequence[str], ids: Sequence[str]) -> str:
    parts = [f"{safe(name)} with its {jobs_of(store.experiment(name).jobs)}" for name in names]
    if ids:
        parts.append(jobs_of(len(ids)))
    return ", ".join(parts) or "nothing"


def _named(names: Sequence[str]) -> str:
    return f"{len(names)} experiments" if len(names) > 1 else safe(names[0])


def _sure(what: str) -> bool:
    if not sys.stdin.isatty():
        raise Refused(f"rm asks before it removes {what}, and nobody is there to answer.", "Say -y.")
    return click.confirm(f"Remove {what}?", default=False)
