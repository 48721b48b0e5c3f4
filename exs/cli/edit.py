"""`exs edit`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from exs.cli.output import forms, jobs_of, say
from exs.cli.selectors import Statuses, nothing_there, selected, selectors_argument, status_option
from exs.cli.session import open_store, settings
from exs.errors import InputError, Refused
from exs.model import FINAL, Json, Spec
from exs.rows import JobRow
from exs.sweep.edit import Before, Change, Edited, edited
from exs.sweep.space import check_param_name
from exs.sweep.words import value
from exs.view.columns import assignments
from exs.view.jobs import selector

if TYPE_CHECKING:
    from exs.store.store import Store


@click.command("edit")
@selectors_argument
@status_option
@click.option("-p", "--param", "pairs", multiple=True, metavar="NAME=VALUE", help="Another value; several times.")
@click.option("--command", "text", metavar="TEXT", help="Another command, with {name} for parameters as in a sweep.")
@click.option("-c", "which", metavar="NAME", default="", help="Which command, of a job that runs several.")
@forms(json="Print what became of each job as JSON.", quiet="Print the ids of the jobs that are changed only.")
def command(
    selectors: tuple[str, ...], states: Statuses, pairs: tuple[str, ...], text: str | None, which: str, form: str | None
) -> None:
    """Give jobs another command or other parameters. They keep their ids and places.

    A running job is asked to stop, as by exs pause, and runs anew as edited. A job that is over stays as it ran; a job
    that would become the same as another one is refused.
    """
    if not pairs and text is None:
        raise click.UsageError("Nothing to change: give -p NAME=VALUE or --command TEXT.")
    if which and text is None:
        raise click.UsageError("-c says which command --command is: give --command TEXT.")
    store = open_store()
    change = Change(_params(pairs), text, which)
    rows = selected(store, selectors, states)
    if not rows:
        raise nothing_there(selectors, states)
    todo = [row for row in rows if row.state not in FINAL]
    if not todo:
        raise _over(rows)
    made = list(zip(todo, _made(store, todo, change), strict=True))
    became = {row.id: _edit(store, row, job) for row, job in made}
    changed = (job for job, code in became.items() if code in ("edited", "asked"))
    say(form, dict(became), changed, [_said(became, made, change, len(rows) - len(todo))])


def _params(pairs: Sequence[str]) -> dict[str, Json]:
    params: dict[str, Json] = {}
    for pair in pairs:
        name, found, text = pair.partition("=")
        if not found:
            raise InputError(f"-p {pair!r} has no value.", "Write -p lr=0.2.")
        if name in params:
            raise InputError(f"-p gives {name!r} twice.")
        check_param_name(name, "-p")
        params[name] = value(text, f"-p {name}", settings().limits)
    return params


def _made(store: Store, rows: Sequence[JobRow], change: Change) -> list[Edited]:
    """What each job becomes; raises InputError if two become the same, before anything is changed."""
    specs: dict[tuple[str, str], Spec] = {}
    made: list[Edited] = []
    points: dict[tuple[str, str], JobRow] = {}
    for row in rows:
        if not row.spec:  # of exs add: it has no command, and whoever takes it knows what to do with it
            raise Refused(
                f"{selector(row)} is a job by hand, which no worker runs; nothing was changed.",
                f"In Python: get_job({row.id!r}) of its experiment, then change its hyperparameters and put() it.",
            )
        key = row.experiment, row.spec
        specs[key] = specs.get(key) or store.spec(*key)
        job = Before(selector(row), row.experiment, row.params, row.name, row.point, row.commands, specs[key])
        after = edited(job, change, settings().limits)
        twin = points.setdefault((row.experiment, after.point), row) if after.point else row
        if twin is not row:
            raise InputError(f"{selector(twin)} and {selector(row)} would be the same job; nothing was changed.")
        made.append(after)
    return made


def _edit(store: Store, row: JobRow, job: Edited) -> str:
    code, what = store.edit(row.id, (row.point, row.spec), job.params, job.name, job.point, job.spec)
    name = selector(row)
    if code == "duplicate":
        raise InputError(
            f"{name} would be the same job as {row.experiment}/{what}; it was not changed.", f"exs cancel {name}"
        )
    if code in ("pending", "changed"):
        raise Refused(
            f"{name} was edited by somebody else meanwhile.", f"Look at it, and edit it again: exs show {name}"
        )
    return code


def _over(rows: Sequence[JobRow]) -> Refused:
    name = selector(rows[0])
    what = f"{name} is {rows[0].state.value}" if len(rows) == 1 else f"all {len(rows)} jobs are over"
    return Refused(
        f"{what}: what ran stays as it ran.",
        f"Add a job with other values: exs push {rows[0].experiment} -p ...; or queue it again first: exs retry {name}",
    )


def _said(became: Mapping[str, str], made: Sequence[tuple[JobRow, Edited]], change: Change, left: int) -> str:
    counts = Counter(became.values())
    what = assignments(change.params)
    if change.command is not None:
        what = f"{what}, another command" if what else "another command"
    parts = []
    if counts["edited"] or not counts["asked"]:
        parts.append(f"edited {jobs_of(counts['edited'])}: {what}")
    if counts["asked"]:
        parts.append(f"asked {jobs_of(counts['asked'], 'running ')} to stop and run anew: {what}")
    line = "; ".join(parts)
    if counts["same"]:
        line += f"; {jobs_of(counts['same'])} {'is' if counts['same'] == 1 else 'are'} so already"
    over = left + counts["over"] + counts["ending"] + counts["missing"]
    return line + (f"; {over} {'was' if over == 1 else 'were'} over already" if over else "")
