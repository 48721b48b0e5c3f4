"""`exs activate`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from exs.cli.output import forms, jobs_of, say
from exs.cli.selectors import Statuses, selected, selectors_argument, status_option, whole_and_rest
from exs.cli.session import note, open_store
from exs.errors import NotFound, Refused
from exs.rows import JobRow
from exs.view.experiments import paused
from exs.view.text import safe

if TYPE_CHECKING:
    from exs.store.store import Store


@click.command("activate")
@selectors_argument
@status_option
@forms(json="Print what became of it as JSON.", quiet="Print the ids of the jobs that are queued again only.")
def command(selectors: tuple[str, ...], states: Statuses, form: str | None) -> None:
    """Let paused experiments and jobs run again, each from its old place in the queue.

    NAME activates the experiment and every job of it that is paused. A job goes on from its latest checkpoint, whose
    directory it finds in EXS_CHECKPOINT. One that is still stopping is queued when it has stopped.
    """
    store = open_store()
    names, rest = whole_and_rest(store, selectors, states)
    rows = [row for row in selected(store, rest, states) if row.experiment not in names]
    ids = [row.id for row in rows]
    counts = Counter(store.activate(ids))
    lines = [_of_jobs(counts)] if rest else []
    became: dict[str, str] = {}
    for name in names:
        waiting = store.paused(name) + store.held(name)
        found = store.activate(waiting)  # before their experiment, so that it begins with the first
        became[name], _ = store.activate_experiment(name)
        if became[name] == "missing":
            raise NotFound(f"no experiment {name!r}.", "exs list shows them.")
        counts.update(found)
        ids += waiting
        lines.append(_of_experiment(name, became[name], found))
    say(form, {"experiments": became, **counts}, ids, lines)
    _remind(store, rows)


def _of_experiment(name: str, became: str, counts: Mapping[str, int]) -> str:
    if became == "archived":
        raise Refused(f"{name} is archived.", f"Bring it back first: exs unarchive {name}")
    moved = counts["queued"] or counts["resuming"]
    if became == "already" and not moved:
        return f"{safe(name)} is not paused"
    line = f"activated {safe(name)}"
    return f"{line}, {_moved(counts)}" if moved else line


def _of_jobs(counts: Mapping[str, int]) -> str:
    line = f"activated {_moved(counts)}"
    if counts["already"]:
        line += f"; {counts['already']} {'was' if counts['already'] == 1 else 'were'} not paused"
    over = counts["over"] + counts["missing"]
    return line + (f"; {over} {'was' if over == 1 else 'were'} over already" if over else "")


def _moved(counts: Mapping[str, int]) -> str:
    line = jobs_of(counts["queued"])
    return line + (f", {counts['resuming']} more when stopped" if counts["resuming"] else "")


def _remind(store: Store, rows: Sequence[JobRow]) -> None:
    """Jobs of an experiment that is paused as a whole wait all the same."""
    for name in dict.fromkeys(row.experiment for row in rows):
        experiment = store.experiment(name)
        if experiment.paused:
            note(f"{name} as a whole is {paused(experiment)}: exs activate {name}")
