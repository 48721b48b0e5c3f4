"""`exs pull NAME -- COMMAND %h`: a command of this machine for each job of a pull experiment."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import click

from exs.cli import session
from exs.errors import InputError
from exs.model import Json

_WORDS = "exs.words"
_TOKEN = re.compile(r"%(.?)", re.DOTALL)


class PullCommand(click.Command):
    """The command stands behind `--`, or, as Schedy took it, right behind the name; its words are left alone."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            ctx.meta[_WORDS] = args[at + 1 :]
            args = args[:at]
        else:
            ctx.allow_interspersed_args = False
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return ["[OPTIONS] NAME -- COMMAND [WORD|%h|%e|%j ...]"]


@click.command("pull", cls=PullCommand)
@click.argument("name")
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@click.option("--once", is_flag=True, help="One job only.")
@click.option("--wait", default=0.0, metavar="SECONDS", help="Wait so long for a job before it ends; inf for ever.")
@click.option("--ignore-errors", is_flag=True, help="Go on after a job that crashed.")
@click.option("--allow-empty-results", is_flag=True, help="A job without results is done, too.")
@click.option("-o", "--output", default="output", metavar="DIR", help="Root of the run directories. [default: output]")
@click.pass_context
def command(
    context: click.Context,
    name: str,
    words: tuple[str, ...],
    once: bool,
    wait: float,
    ignore_errors: bool,
    allow_empty_results: bool,
    output: str,
) -> None:
    """Run a command for each job of an experiment that exs add made, one after the other, until none waits.

    In its words %h becomes --name value for each parameter, %e the experiment, %j the job, %% a percent sign; it has
    the environment of any job of exs. Its results are what it prints between --- RESULTS --- and --- END RESULTS ---
    as a JSON object, or writes to $EXS_REPORT. Exit code 1 if a job crashed. Ctrl-C gives the job back.
    """
    from exs.sweep.context import check_output

    given = [*words, *context.meta.get(_WORDS, ())]
    check_words(given)
    if wait < 0 or wait != wait:
        raise InputError(f"--wait {wait:g} is no number of seconds.")
    where = check_output(output, "-o", str(Path.cwd()))
    if os.path.exists(where) and not os.path.isdir(where):
        raise InputError(f"-o {output} is not a directory.", "Run directories are made below it.")
    from exs.cli.puller import Order, run

    order = Order(name, given, where, once, wait, ignore_errors, allow_empty_results)
    context.exit(run(order, session.connected_settings()))


def check_words(words: Sequence[str]) -> None:
    """Raise InputError for a command that no job could fill in, before a job is taken."""
    if not words or not words[0]:
        raise InputError("exs pull needs a command.", "exs pull NAME -- python train.py %h")
    for word in words:
        for found in _TOKEN.finditer(word):
            if found[1] == "h" and word != "%h":
                raise InputError(f"%h must be a word of its own, not part of {word!r}.", "It becomes several words.")
            if found[1] not in ("h", "e", "j", "%"):
                raise InputError(
                    f"{word!r}: %{found[1]} stands for nothing.", "There are %h, %e and %j; %% is a percent sign."
                )


def filled(words: Sequence[str], experiment: str, job: str, params: dict[str, Json]) -> list[str]:
    """The command of one job. Raises ExsError for a parameter that no command line can carry."""
    values = {"e": experiment, "j": job, "%": "%"}
    made: list[str] = []
    for word in words:
        if word == "%h":
            made += _options(params)
        else:
            made.append(_TOKEN.sub(lambda token: values[token[1]], word))
    return made


def _options(params: dict[str, Json]) -> list[str]:
    from exs.command import text_of

    made: list[str] = []
    for name, value in params.items():
        if value is not None:
            made += [f"--{name.replace('_', '-')}", text_of(value, name)]
    return made
