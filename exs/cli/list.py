"""`exs`, `exs list`, `exs list -t NAME`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from exs.cli.output import forms, show
from exs.cli.selectors import EVERY, Statuses, experiment_or_none, status_option
from exs.cli.session import note_strangers, open_store
from exs.cli.sources import is_file
from exs.cli.watchoption import WatchCommand
from exs.errors import NotFound
from exs.model import JobState
from exs.rows import ExperimentRow, JobRow

if TYPE_CHECKING:
    from exs.store.store import Store
    from exs.view.experiments import ExperimentTable
    from exs.view.fields import Field
    from exs.view.render import Listing

#: Finished experiments that `exs list` shows without -a.
RECENT = 20


@click.command("list", cls=WatchCommand)
@click.argument("names", nargs=-1, metavar="[NAME ...]")
@click.option(
    "-t",
    "--table",
    "tables",
    multiple=True,
    metavar="NAME",
    help="The jobs of NAME: parameters, status, results.",
)
@click.option(
    "-a",
    "--all",
    "everything",
    is_flag=True,
    help="All that is finished or archived too; with -t every column.",
)
@click.option("--archived", is_flag=True, help="What is archived too.")
@status_option
@click.option("-p", "--paragraphs", is_flag=True, help="The jobs of NAME one below the other, a line per field.")
@click.option(
    "-f",
    "--field",
    "chosen",
    multiple=True,
    metavar="FIELD",
    help="Only this parameter, result, metric (loss, loss.min) or word of --json, such as status; repeatable.",
)
@click.option(
    "-s", "--sort", "fields", multiple=True, metavar="FIELD", help="With -t: sort by a parameter, result, status, ..."
)
@click.option("-d", "--decreasing", is_flag=True, help="With --sort: highest first.")
@click.option(
    "--watch",
    type=click.FloatRange(min=0.1),
    metavar="[SECONDS]",
    help="Show it anew every 2 (or so many) seconds, until Ctrl-C.",
)
@forms(csv=True)
def command(
    names: tuple[str, ...],
    tables: tuple[str, ...],
    everything: bool,
    archived: bool,
    paragraphs: bool,
    chosen: tuple[str, ...],
    states: Statuses,
    fields: tuple[str, ...],
    decreasing: bool,
    watch: float | None,
    form: str | None,
) -> None:
    """Experiments with their counts, or with -t (or a NAME) the jobs of one as a table.

    Parameters that are the same for all jobs stand in the title. A row that crashed says why, and what to
    type to see more. The last lines of a table are the lowest and highest results, and how long the rest will take.
    """
    wanted = (*tables, *names)
    if not wanted and (states or fields or decreasing or paragraphs or chosen):
        raise click.UsageError("--status, -s, -d, -p and -f are about the jobs of one experiment: give -t NAME.")
    if wanted and archived:
        raise click.UsageError("--archived is about the list of experiments; exs list -t NAME shows archived ones too.")
    if decreasing and not fields:
        raise click.UsageError("-d says in which direction --sort sorts: give --sort FIELD.")
    if watch is not None and form is not None:
        raise click.UsageError("--watch is for people: leave --json, --csv and -q out, or run the command again.")
    look = Look(everything, states, fields, decreasing, paragraphs, chosen)
    if watch is not None:
        from exs.cli.watch import Watch

        store = open_store()
        Watch(watch).show(lambda: _listings(store, wanted, look, archived))
        return
    if not wanted:
        show_experiments(form, everything, archived=archived or everything)
    for number, name in enumerate(wanted):
        if number and paragraphs and form is None:
            click.echo()
        show_jobs(name, form, look)


def show_active(form: str | None) -> None:
    """What a bare `exs` prints: the experiments with something left to run, and the workers."""
    show_experiments(form, active=True)


def show_experiments(form: str | None, everything: bool = False, active: bool = False, archived: bool = False) -> None:
    """Print one line per experiment; of those that are archived only with `archived`."""
    store = open_store()
    show(experiments(store, None if everything else 0 if active else RECENT, archived), form)
    if form is None:
        note_strangers(store)


def experiments(store: Store, finished: int | None, archived: bool) -> ExperimentTable:
    """One line per experiment, of those that are over the newest `finished`, None for all."""
    from exs.view.experiments import ExperimentTable, shown

    rows = [row for row in store.experiments() if archived or shown(row)]
    slots = store.workers()
    store.waits(slots, rows).note(rows)
    store.note_pace(rows)
    return ExperimentTable(rows, slots, store.now(), finished, store.unused_gpus())


@dataclass(frozen=True)
class Look:
    """How jobs are shown: which, in what order (by index, or `fields`), what of each (`chosen`)."""

    everything: bool = False
    states: Statuses = EVERY
    fields: Sequence[str] = ()
    decreasing: bool = False
    paragraphs: bool = False
    chosen: Sequence[str] = ()


def show_jobs(name: str, form: str | None = None, look: Look = Look()) -> None:
    """Print the jobs of one experiment, or those that NAME/20-25 or an id names. Raises NotFound, InputError."""
    show(filed(name, look) if is_file(name) else named(open_store(), name, look), form)


def named(store: Store, name: str, look: Look) -> Listing:
    """The jobs that `name` names, or those of a file of that name. Raises NotFound, InputError, BrokenRecord."""
    try:
        return jobs(store, name, look)
    except NotFound as error:
        if os.path.isfile(name):
            return filed(name, look)
        if os.path.isdir(name):
            raise NotFound(f"no experiment {name!r}; {name} is a directory.", f"exs results {name}") from None
        raise error


def filed(path: str, look: Look) -> Listing:
    """The jobs of an experiment that `exs export` or `exs archive --to` wrote. Raises NotFound, BrokenRecord."""
    from exs.reader import archivefile

    archive = archivefile.read(path)
    rows = [row for row in archive.jobs() if look.states.names(row)]
    return _arranged(archive.experiment, rows, look, archive.written_at)


def jobs(store: Store, name: str, look: Look) -> Listing:
    """The jobs of one experiment, or those that NAME/20-25 or an id names. Raises NotFound, InputError."""
    from exs.cli.fields import add_series

    experiment = experiment_or_none(store, name)
    if experiment is None:
        found = store.find(name)
        experiment = store.experiment(found[0].experiment)
    else:
        found = store.jobs(experiment.name, states=look.states.asked)
    rows = [row for row in found if look.states.names(row)] if look.states else found
    if experiment.kind != "pull":
        if any(row.state is JobState.QUEUED for row in rows):
            store.waits(store.workers(), [experiment]).note_jobs(experiment, rows)
        store.note_pace([experiment])
    add_series(store, rows, (*look.fields, *look.chosen))
    return _arranged(experiment, rows, look, store.now())


def _arranged(experiment: ExperimentRow, rows: list[JobRow], look: Look, now: float) -> Listing:
    from exs.cli.fields import fields_of
    from exs.view.fields import Paragraphs
    from exs.view.jobs import JobTable

    rows = _sorted(rows, fields_of(rows, look.fields, "cannot sort by", now), look.decreasing)
    chosen = fields_of(rows, look.chosen, "cannot show", now)
    table = JobTable(experiment, rows, now, look.everything, chosen)
    return Paragraphs(table, rows, chosen) if look.paragraphs else table


def _listings(store: Store, wanted: Sequence[str], look: Look, archived: bool) -> list[Listing]:
    """What `exs list` shows, as it is now."""
    if not wanted:
        return [experiments(store, None if look.everything else RECENT, archived or look.everything)]
    return [filed(name, look) if is_file(name) else named(store, name, look) for name in wanted]


def _sorted(rows: list[JobRow], fields: Sequence[Field], decreasing: bool) -> list[JobRow]:
    """By the first field, then the next; rows without a value stand last in both directions."""
    for field in reversed(fields):
        keyed = [(field.key(row), row) for row in rows]
        there = [pair for pair in keyed if pair[0][0] < 2]
        there.sort(key=lambda pair: pair[0], reverse=decreasing)
        rows = [row for _, row in there] + [row for (rank, _), row in keyed if rank == 2]
    return rows
