"""`exs push NAME -p x 1 y 2`: one job more, written by hand, for an experiment that is there.

In an experiment of `exs add` it is for next_job() and `exs pull`; else it is run as the jobs that were pushed last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from exs.answers import Pushed
from exs.cli.output import show
from exs.cli.session import host, settings, user
from exs.cli.sweep_options import SweepCommand
from exs.command import render
from exs.errors import ExsError, InputError, NotFound
from exs.model import Json, NewJob, Spec
from exs.rows import ExperimentRow, JobRow
from exs.sweep.naming import directory_name, longest_name
from exs.sweep.space import check_param_name
from exs.sweep.template import RESERVED, placeholders
from exs.sweep.words import value

if TYPE_CHECKING:
    from exs.store.store import Store

#: Options with names and values behind them, and how they are spelled.
_PAIRS = {"-p": ("-p", "--param"), "-r": ("-r", "--result")}
#: States of a job that is added by hand, as Schedy named them.
STATUSES = ("QUEUED", "RUNNING", "DONE", "CRASHED", "PRUNED")


class PushCommand(SweepCommand):
    """Takes `-p NAME VALUE [NAME VALUE ...]` and `-r NAME VALUE ...` out of the words: click has no option with as many
    values as one likes."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        for option, words in _PAIRS.items():
            args = _without_pairs(ctx, args, option, words)
        return super().parse_args(ctx, args)


def _without_pairs(ctx: click.Context, args: list[str], option: str, words: Sequence[str]) -> list[str]:
    """`args` without the option, whose names and values are kept for `given_pairs`."""
    end = args.index("--") if "--" in args else len(args)
    at = next((place for place in range(end) if args[place] in words), end)
    if at == end:
        return args
    stop = at + 1
    while stop + 1 < end and not args[stop].startswith("-"):
        stop += 2  # a value may begin with a minus, a name may not
    ctx.meta[option] = args[at + 1 : stop]
    if stop < end and not args[stop].startswith("-"):
        raise click.UsageError(f"{option} takes names with values: {args[stop]!r} has no value.", ctx)
    return args[:at] + args[stop:]


def given_pairs(option: str = "-p") -> list[str] | None:
    """What followed -p, or -r: names and values in turn; None without the option."""
    return click.get_current_context().meta.get(option)


def push_one(store: Store, experiment: ExperimentRow, pairs: Sequence[str]) -> Pushed:
    """Add one job with these parameters to an experiment, run as those pushed last.

    It has no point: the same again gives a second job. Raises NotFound, InputError.
    """
    if not experiment.spec:
        raise NotFound(f"experiment {experiment.name} has no command yet.", "Push a sweep to it first.")
    spec = store.spec(experiment.name, experiment.spec)
    params = params_of(pairs, "-p")
    _check(experiment, spec, params)
    from exs.store.push import Origin

    called = directory_name(params)[: longest_name(spec, settings().limits.directory_chars)]
    job = NewJob(params, called, point="")
    origin = Origin(user(), host(), experiment.source, into=True)
    pushed = store.push(experiment.name, spec, [job], origin, kind=experiment.kind, add=True)
    return replace(pushed, gone=0)  # nothing was compared with a file


def add_one(
    store: Store, experiment: ExperimentRow, pairs: Sequence[str], results: Sequence[str] | None, status: str | None
) -> JobRow:
    """Add one job to a pull experiment, with results and in a final state where it was run elsewhere.

    Raises InputError, Refused.
    """
    from exs.compat.schedy.experiments import from_record

    name = experiment.name
    search = from_record(name, store.scheduler(name), "RUNNING", store)
    found = params_of(results, "-r") if results is not None else {}
    job = search.add_job(params_of(pairs, "-p"), status or "QUEUED", found)
    return store.job(job.job_id)


def show_added(store: Store, experiment: ExperimentRow, row: JobRow, form: str | None) -> None:
    """Print a job that was added by hand, as Schedy did: id, status, parameters and results, a line each."""
    from exs.view.fields import Paragraphs
    from exs.view.jobs import JobTable

    table = JobTable(experiment, [row], store.now())
    show(Paragraphs(table, [row]), form)


def params_of(pairs: Sequence[str], option: str) -> dict[str, Json]:
    """The names and values behind an option. Raises InputError that begins with it."""
    params: dict[str, Json] = {}
    for name, text in zip(pairs[::2], pairs[1::2], strict=True):
        if name in params:
            raise InputError(f"{option} gives {name!r} twice.")
        check_param_name(name, option)
        params[name] = value(text, f"{option} {name}", settings().limits)
    if not params:
        what = "parameters" if option == "-p" else "results"
        raise InputError(f"{option} has no {what}.", f"exs push NAME {option} lr 0.1 seed 3")
    return params


def _check(experiment: ExperimentRow, spec: Spec, params: dict[str, Json]) -> None:
    wanted = sorted({name for compiled in spec.commands.values() for name in placeholders(compiled)})
    missing = [name for name in wanted if name not in params and not name.startswith("_")]
    if missing:
        raise InputError(
            f"the command of {experiment.name} needs {', '.join(missing)}, which -p does not give.",
            f"It takes: {', '.join(wanted)}.",
        )
    try:
        for compiled in spec.commands.values():
            render(compiled, params, dict.fromkeys(RESERVED, ""))
    except ExsError as error:
        raise InputError(f"-p: {error.message}", error.hint) from None
