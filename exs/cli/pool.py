"""`exs pool list`, `exs pool show`, `exs pool set`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from exs.cli.output import forms, show
from exs.cli.session import check_pool, open_store, put
from exs.errors import NotFound
from exs.model import Scheduler
from exs.view.text import safe

if TYPE_CHECKING:
    from exs.view.pools import Pool

_SWITCH = click.Choice(["on", "off"])


@click.group(invoke_without_command=True, name="pool")
@click.pass_context
def command(context: click.Context) -> None:
    """Pools of slots (`exs worker --pool a100`), and how the jobs of each are scheduled.

    Without a verb: list.
    """
    if context.invoked_subcommand is None:
        context.invoke(list_pools)


@command.command("list", short_help="Every pool with its slots and experiments.")
@forms(csv=True, quiet="Names only, one per line.")
def list_pools(form: str | None = None) -> None:
    """Every pool: its slots, how many are busy, its scheduler, the experiments that are active in it."""
    from exs.view.pools import PoolTable

    show(PoolTable(_pools()), form)


@command.command("show")
@click.argument("pool")
@forms(quiet="Names of its active experiments only, one per line.")
def show_pool(pool: str, form: str | None) -> None:
    """One pool, with its active experiments."""
    from exs.view.pools import PoolPage

    found = {row.name: row for row in _pools()}
    if pool not in found:
        raise NotFound(f"no pool {pool!r}: no slot serves it and no experiment is in it.", "exs pool list shows them.")
    show(PoolPage(found[pool]), form)


@command.command("set", short_help="How the jobs of a pool are scheduled.")
@click.argument("pool")
@click.option(
    "--scheduler",
    type=click.Choice([kind.value for kind in Scheduler]),
    help="priority: by priority and place in the queue. fair_share: slots in proportion to demand and weight.",
)
@click.option("--preemption", type=_SWITCH, help="May a job that runs be stopped for one that is better placed?")
@click.option("--backfill", type=_SWITCH, help="May worse placed jobs pass one that waits for slots to come free?")
def set_pool(pool: str, scheduler: str | None, preemption: str | None, backfill: str | None) -> None:
    """Choose how the jobs of POOL are scheduled; what is not named stays. Works while jobs wait and run."""
    from exs.view.pools import scheduler as described

    if scheduler is None and preemption is None and backfill is None:
        raise click.UsageError("nothing to set: give --scheduler, --preemption or --backfill.")
    check_pool(pool, "POOL")
    store = open_store()
    changed = store.set_pool(
        pool,
        scheduler=Scheduler(scheduler) if scheduler else None,
        preemption=preemption == "on" if preemption else None,
        backfill=backfill == "on" if backfill else None,
    )
    put([f"pool {safe(pool)}: {described(store.pools()[pool])}{'' if changed else '  (as before)'}"])


def _pools() -> list[Pool]:
    from exs.view.pools import pools

    store = open_store()
    return pools(store.pools(), store.workers(), store.experiments())
