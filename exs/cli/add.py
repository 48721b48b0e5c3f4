"""`exs add NAME manual`, `exs add NAME random X normal '{"mean": 0, "std": 5}'`: experiments for jobs by hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from exs.cli.output import forms, show_json
from exs.cli.session import settings
from exs.errors import InputError, Refused, ResourceExistsError
from exs.model import Json
from exs.view.text import safe

if TYPE_CHECKING:
    from exs.compat.schedy.experiments import Experiment

_STATUSES = ("RUNNING", "DONE")


@click.command("add", context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("scheduler", type=click.Choice(["manual", "random"], case_sensitive=False))
@click.argument("words", nargs=-1, metavar="[PARAMETER DISTRIBUTION JSON ...]")
@click.option(
    "-s",
    "--status",
    type=click.Choice(_STATUSES, case_sensitive=False),
    default="RUNNING",
    help="DONE: it gives out no job before exs activate NAME.",
)
@forms(json="Print what was made as JSON.", quiet="Print the name only.")
def command(name: str, scheduler: str, words: tuple[str, ...], status: str, form: str | None) -> None:
    """Make an experiment for jobs that are added one by one, and taken by processes of yours.

    Those are Python's next_job() and `exs pull`; `exs worker` does not touch them. manual: jobs come from
    exs push NAME -p. random: where none waits, one is drawn; DISTRIBUTION is uniform, loguniform, normal, choice or
    const, JSON its arguments: exs add Search random lr loguniform '{"low": 1e-5, "high": 0.1}'
    """
    experiment = _experiment(name, scheduler.lower(), words, status.upper())
    from exs.compat.schedy import SchedyDB

    try:
        SchedyDB().add_experiment(experiment)
    except ResourceExistsError:
        raise Refused(f"experiment {name} exists already.", f"Choose another name, or: exs rm {name}") from None
    if form == "json":
        show_json({"name": name, "status": status.upper(), "scheduler": experiment.definition() or {"Manual": None}})
    elif form == "ids":
        click.echo(safe(name))
    else:
        push = f"exs push {safe(name)} -p x 1 y 2   " if scheduler.lower() == "manual" else ""
        click.echo(f"added {safe(name)}: {push}exs pull {safe(name)} -- COMMAND %h")


def _experiment(name: str, scheduler: str, words: tuple[str, ...], status: str) -> Experiment:
    from exs.compat.schedy import ManualSearch, RandomSearch
    from exs.compat.schedy.random import distribution
    from exs.sweep.space import check_param_name

    if scheduler == "manual":
        if words:
            raise InputError(f"manual takes nothing behind it, not {words[0]!r}.", "exs add NAME random draws jobs.")
        return ManualSearch(name, status)
    if not words or len(words) % 3:
        raise InputError(
            "random takes a parameter, a distribution and its arguments, three words for each parameter.",
            """exs add NAME random x normal '{"mean": 0, "std": 5}'""",
        )
    found = {}
    for parameter, kind, text in zip(words[::3], words[1::3], words[2::3], strict=True):
        if parameter in found:
            raise InputError(f"random: {parameter!r} is given twice.")
        check_param_name(parameter, "random")
        found[parameter] = distribution(kind, _json(text, parameter), f"random: {parameter}")
    return RandomSearch(name, found, status)


def _json(text: str, parameter: str) -> Json:
    if len(text) > settings().limits.params_bytes:
        raise InputError(f"random: {parameter}: its arguments are longer than {settings().limits.params_bytes} bytes.")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"random: {parameter}: {text[:60]!r} is not JSON: {error}.") from None
