"""`exs experiment create`: Determined's spelling of push, and of the local test."""

from __future__ import annotations

import os
import re

import click

from exs.api.context import Wish
from exs.cli import session
from exs.cli.code import send_code
from exs.cli.pushing import push
from exs.cli.sweep_options import Request, read_sweep
from exs.errors import InputError
from exs.sweep.model import Options
from exs.view.pushed import summary
from exs.view.text import safe


@click.group("experiment")
def command() -> None:
    """Experiments, in Determined's words. exs list, show, pause, activate, cancel and kill are the other verbs."""


@command.command(short_help="Queue what a file describes, with its code.")
@click.argument("config")
@click.argument("context", metavar="[CONTEXT_DIR]", required=False)
@click.option("-i", "--include", "includes", multiple=True, metavar="PATH", help="Send this file or directory too.")
@click.option("--config", "overrides", multiple=True, metavar="KEY=VALUE", help="Another value for a key of the file.")
@click.option("--name", metavar="NAME", help="Name of the experiment.")
@click.option("-f", "--follow-first-trial", "follow", is_flag=True, help="Then show what its first job prints.")
@click.option("--paused", is_flag=True, help="Queue it paused: nothing runs before exs activate.")
@click.option("-t", "--test-mode", "test", is_flag=True, help="With --local: try the first job here, without a queue.")
@click.option("--local", is_flag=True, help="Nothing is queued; goes with --test-mode.")
@click.pass_context
def create(
    ctx: click.Context,
    config: str,
    context: str | None,
    includes: tuple[str, ...],
    overrides: tuple[str, ...],
    name: str | None,
    follow: bool,
    paused: bool,
    test: bool,
    local: bool,
) -> None:
    """Queue what CONFIG describes, with the code in CONTEXT_DIR, of which each job runs in a copy of its own."""
    if follow + paused + test > 1:
        raise InputError("-f, --paused and --test-mode exclude each other.", "Give one of them.")
    if test is not local:
        raise InputError("--local and --test-mode go together: a test is run here.", "Give both, or leave both out.")
    if context is not None and not os.path.isdir(context):
        what = "must be a directory, maybe use --include instead" if os.path.exists(context) else "does not exist"
        raise InputError(f"the context {context} {what}.")
    request = Request(config, None, Options(name=name, overrides=overrides))
    try:
        sweep = read_sweep(request)
    except InputError as error:  # the option is -o everywhere else
        raise InputError(re.sub("^-o ", "--config ", error.message), error.hint) from None
    wish = Wish(context or "", False, includes)
    code = bool(context or includes)
    for line in sweep.notes:
        session.note(line)
    if test:
        from exs.cli.localtest import run_test
        from exs.cli.run import plans_for

        ctx.exit(run_test(sweep, plans_for(sweep, None, (), 1, None)[0], wish=wish if code else None))
    store = session.open_store()
    if code:
        sweep = send_code(store, sweep, wish)
    pushed = push(store, sweep, request, paused=paused)
    if any((pushed.queued, pushed.done, pushed.crashed, pushed.canceled, pushed.gone)):
        there = f"Experiment {safe(pushed.experiment)} was there already; --name NAME makes another one."
        session.put([summary("pushed", pushed, session.out_screen()), there])
    else:
        session.put([f"Created experiment {safe(pushed.experiment)}"])
    if follow:
        from exs.cli import logs

        ids = store.ids(pushed.experiment)
        session.put(["Waiting for first trial to begin..."])
        ctx.exit(logs.command.main(["-f", ids[0]], prog_name="exs logs", standalone_mode=False) or 0)
