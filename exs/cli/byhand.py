"""`exs push NAME -p x 1 y 2`: one job more, written by hand, for an experiment that is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from exs.cli.session import host, settings, user
from exs.cli.sweep_options import SweepCommand
from exs.command import render
from exs.errors import ExsError, InputError, NotFound
from exs.model import Json, NewJob, Spec
from exs.rows import ExperimentRow, Pushed
from exs.sweep.naming import directory_name, longest_name
from exs.sweep.space import check_param_name
from exs.sweep.template import RESERVED, placeholders
from exs.sweep.words import value

if TYPE_CHECKING:
    from exs.store.store import Store

_PAIRS = "exs.pairs"


class PushCommand(SweepCommand):
    """Takes `-p NAME VALUE [NAME VALUE ...]` out of the words: click has no option with as many values as one likes."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        at = next((place for place in range(end) if args[place] in ("-p", "--param")), end)
        stop = at + 1
        while stop + 1 < end and not args[stop].startswith("-"):
            stop += 2  # a value may begin with a minus, a name may not
        if at < end:
            ctx.meta[_PAIRS] = args[at + 1 : stop]
            if stop < end and not args[stop].startswith("-"):
                raise click.UsageError(f"-p takes names with values: {args[stop]!r} has no value.", ctx)
            args = args[:at] + args[stop:]
        return super().parse_args(ctx, args)


def given_pairs() -> list[str] | None:
    """What followed -p: names and values in turn; None without the option."""
    return click.get_current_context().meta.get(_PAIRS)


def push_one(store: Store, name: str, pairs: Sequence[str]) -> Pushed:
    """Add one job with these parameters to experiment `name`, run as those pushed last.

    It has no point: the same again gives a second job. Raises NotFound, InputError.
    """
    experiment = store.experiment(name)
    if not experiment.spec:
        raise NotFound(f"experiment {experiment.name} has no command yet.", "Push a sweep to it first.")
    spec = store.spec(experiment.name, experiment.spec)
    params = _params(pairs)
    _check(experiment, spec, params)
    from exs.store.push import Origin

    called = directory_name(params)[: longest_name(spec, settings().limits.directory_chars)]
    job = NewJob(params, called, point="")
    origin = Origin(user(), host(), experiment.source, into=True)
    pushed = store.push(experiment.name, spec, [job], origin, kind=experiment.kind, add=True)
    return replace(pushed, gone=0)  # nothing was compared with a file


def _params(pairs: Sequence[str]) -> dict[str, Json]:
    params: dict[str, Json] = {}
    for name, text in zip(pairs[::2], pairs[1::2], strict=True):
        if name in params:
            raise InputError(f"-p gives {name!r} twice.")
        check_param_name(name, "-p")
        params[name] = value(text, f"-p {name}", settings().limits)
    if not params:
        raise InputError("-p has no parameters.", "exs push NAME -p lr 0.1 seed 3")
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
