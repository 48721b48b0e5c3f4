"""`exs drain`."""

from __future__ import annotations

import click

from exs.cli.nodes import found, names_argument
from exs.cli.output import forms, jobs_of, show_json
from exs.cli.session import open_store, put, user
from exs.rows import Drain
from exs.view import records
from exs.view.text import safe
from exs.view.when import until


@click.command("drain")
@names_argument
@click.option("--after-current", is_flag=True, help="Let running jobs end by themselves. [the default]")
@click.option("--grace", metavar="10m", help="Ask what still runs after this time to stop; it goes back to its place.")
@click.option("--why", default="", metavar="TEXT", help="The reason, for lists.")
@forms(json="Print what is drained as JSON.", quiet="Print the names only.")
def command(names: tuple[str, ...], after_current: bool, grace: str | None, why: str, form: str | None) -> None:
    """Give nodes (NODE) or slots (NODE:gpu0) no more jobs, until `exs enable`.

    The jobs in hand end by themselves, unless --grace says for how long they may. It outlives restarts of the
    worker. Said again, it changes what is said anew.
    """
    from exs.sweep.units import duration

    if after_current and grace is not None:
        raise click.UsageError("--after-current waits as long as a job takes, --grace does not: give one of them.")
    seconds = None if grace is None else 0.0 if grace.strip() in ("0", "0s") else duration(grace, "--grace")
    store = open_store()
    slots = store.workers()
    places = found(store, names, slots)
    drains = store.drain(places, user(), why=why, grace=seconds, after_current=after_current)
    if form == "ids":
        put(map(safe, places))
    elif form == "json":
        show_json({"drained": [records.drain(drain) | {"change": what} for drain, what in drains]})
    else:
        now = store.now()
        for drain, what in drains:
            running = sum(bool(slot.job) and drain.place in (slot.node, slot.lasting) for slot in slots)
            click.echo(_line(drain, what, running, now))


_SAID = {"new": "drained", "changed": "drained already, changed", "same": "drained already"}


def _line(drain: Drain, what: str, running: int, now: float) -> str:
    line, one = f"{safe(drain.place)}: {_SAID[what]}", running == 1
    if not running:
        return line
    jobs = jobs_of(running, "running ")
    if not drain.stop_at:
        return f"{line}; {jobs} {'ends by itself' if one else 'end by themselves'}"
    left = until(drain.stop_at, now)
    return f"{line}; {jobs} {'is' if one else 'are'} asked to stop {left if left == 'now' else f'in {left}'}"
