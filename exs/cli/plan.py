"""`exs plan`."""

from __future__ import annotations

import click

from exs.api.queue import again_of
from exs.cli.code import CodeRequest, code_options, travels, with_code
from exs.cli.output import show_json
from exs.cli.pushing import compared
from exs.cli.session import note, open_store, out_screen, put
from exs.cli.sweep_options import Request, SweepCommand, origin_of, read_sweep, sweep_options
from exs.view.pushed import record, summary


@click.command("plan", cls=SweepCommand)
@sweep_options
@code_options
@click.option("--into", is_flag=True, help="As if pushed into an experiment of another file or user.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
def command(request: Request, code: CodeRequest, into: bool, as_json: bool) -> None:
    """Say what a push of FILE would do: what is new, done, crashed or no longer in the file. Changes nothing.

    Where code would travel along, that in CONTEXT or as exs push sends it by itself, it says how many have older code.
    """
    sweep = read_sweep(request)
    store = open_store()
    if travels(store.url, sweep, code):
        sweep = with_code(sweep, code.wish)
    planned = store.plan(
        sweep.name,
        sweep.jobs(),
        origin_of(sweep, into),
        spec=sweep.spec,
        code=sweep.code,
        again=again_of(request.force, code.if_changed),
    )
    planned = compared(planned, sweep, request)
    for line in sweep.notes:
        note(line)
    if as_json:
        show_json(record(planned) | {"points": sweep.count, "dialect": sweep.dialect, "notes": sweep.notes})
    else:
        put([summary("plan for", planned, out_screen())])
