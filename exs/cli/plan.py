"""`exs plan`."""

from __future__ import annotations

import click

from exs.cli.output import show_json
from exs.cli.push import compared
from exs.cli.session import note, open_store, out_screen, put
from exs.cli.sweep_options import Request, SweepCommand, origin_of, read_sweep, sweep_options
from exs.view.pushed import record, summary


@click.command("plan", cls=SweepCommand)
@sweep_options
@click.option("--into", is_flag=True, help="As if pushed into an experiment of another file or user.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
def command(request: Request, into: bool, as_json: bool) -> None:
    """Say what a push of FILE would do: what is new, done, crashed or no longer in the file. Changes nothing."""
    sweep = read_sweep(request)
    store = open_store()
    planned = compared(store.plan(sweep.name, sweep.jobs(), origin_of(sweep, into)), sweep, request)
    for line in sweep.notes:
        note(line)
    if as_json:
        show_json(record(planned) | {"points": sweep.count, "dialect": sweep.dialect, "notes": sweep.notes})
        return
    put([summary("plan for", planned, out_screen())])
    if request.force and planned.done:
        put([f"--force would run the {planned.done} done ones again"])
