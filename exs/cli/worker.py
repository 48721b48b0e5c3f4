"""`exs worker`: serve this machine's GPUs; `exs worker stop`: leave."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from exs.cli import session
from exs.errors import InputError, Refused
from exs.model import DEFAULT_POOL

if TYPE_CHECKING:
    from exs.tools.batch.allocation import Allocation
    from exs_worker.terms import Terms

#: Seconds kept free at the end of an allocation to deliver what became of the jobs that it interrupts.
_DELIVERY = 30.0


@click.group(invoke_without_command=True, context_settings={"max_content_width": 100})
@click.option("--gpus", metavar="0,1|all", help="One slot for each of these GPUs (indices or UUIDs).")
@click.option("--slot", "slots", multiple=True, metavar="0,1", help="One slot with this set of GPUs; repeatable.")
@click.option("--per-gpu", default=1, metavar="N", help="N slots on each GPU of --gpus.")
@click.option("--cpus", type=int, metavar="N", help="N slots without a GPU.")
@click.option(
    "--pool", "pools", multiple=True, metavar="P", help="Take jobs of this pool; repeatable. [default: default]"
)
@click.option("--only", metavar="NAME", help="Take jobs of this experiment alone.")
@click.option("--workdir", default="", metavar="DIR", help="Run every job in DIR instead of where it was pushed from.")
@click.option("--node", metavar="NAME", help="Name of this machine in lists. [default: its host name]")
@click.option(
    "--allow-module",
    "modules",
    multiple=True,
    metavar="MODULE",
    help="Let jobs call the tasks of this Python module (pkg.* for all below pkg); repeatable.",
)
@click.option("--share-gpus", is_flag=True, help="Use a GPU though processes of others compute on it.")
@click.option("--until", default="", metavar="08:00", help="Take no job after this local time, and leave.")
@click.option("--grace", metavar="10m", help="With --until: what still runs that much later goes back to its place.")
@click.option("--idle-exit", metavar="10m", help="Leave when no slot has had a job for so long.")
@click.option("--max-jobs", type=click.IntRange(min=1), metavar="N", help="Begin N jobs in all, never more, and leave.")
@click.option("--insecure", is_flag=True, help="Serve a Redis that anybody on the network can write to.")
@click.pass_context
def command(
    context: click.Context,
    gpus: str | None,
    slots: tuple[str, ...],
    per_gpu: int,
    cpus: int | None,
    pools: tuple[str, ...],
    only: str | None,
    workdir: str,
    node: str | None,
    modules: tuple[str, ...],
    share_gpus: bool,
    until: str,
    grace: str | None,
    idle_exit: str | None,
    max_jobs: int | None,
    insecure: bool,
) -> None:
    """Run jobs on this machine: one slot per GPU, until told to stop.

    The first Ctrl-C or SIGTERM finishes running jobs and takes no more; a second one hands them back to the queue.
    --until, --idle-exit and --max-jobs end it in the same way, whichever comes first, with exit code 0.
    Without an option: every GPU of the machine, or one slot without a GPU where there is none. Inside a job of SLURM,
    OAR, PBS, SGE or LSF: its GPUs alone; what still runs goes back to the queue before it ends, or when the scheduler
    warns (SIGUSR1, SIGTERM). There, and with --grace, no job is taken that is likely to take longer than what is left,
    by its timeout or by what jobs of its experiment took, unless it saves checkpoints: exs why tells.
    """
    if context.invoked_subcommand is not None:
        return
    from exs.tools.batch.allocation import find

    allocation = find(os.environ)
    terms = _terms(until, grace, idle_exit, max_jobs)
    _check_names(node, pools, only, modules)
    from exs.store.store import open_store
    from exs_worker import serve
    from exs_worker.devices import discover
    from exs_worker.slotplan import index_note, plan_slots

    found = discover()
    plans = plan_slots(found, gpus, slots, per_gpu, cpus, _visible(allocation))
    if workdir and not os.path.isdir(workdir):
        raise InputError(f"--workdir {workdir} is not a directory.")
    if workdir and not os.access(workdir, os.X_OK):
        raise InputError(f"--workdir {workdir} cannot be entered: {os.strerror(errno.EACCES)}.")
    note = index_note(found, plans)
    if note:
        session.note(note)
    settings = session.connected_settings()
    if allocation is not None:
        session.note(f"inside {allocation}")
        terms = _within(terms, allocation, settings.timing.grace)
    serve.refuse_unsafe_redis(open_store(settings.redis_url, settings), insecure)
    if node is not None:
        settings = replace(settings, node=node)
    allowed = ",".join(filter(None, (settings.allow_modules, *modules)))
    os.environ["EXS_ALLOW_MODULES"] = allowed  # of the slots, and so of their jobs
    context.exit(
        serve.serve(
            settings,
            plans,
            pools or (DEFAULT_POOL,),
            only=only or "",
            workdir=workdir,
            share_gpus=share_gpus,
            terms=terms,
        )
    )


def _check_names(node: str | None, pools: tuple[str, ...], only: str | None, modules: tuple[str, ...]) -> None:
    """Raise InputError for a name that nothing can have: the worker would wait for ever."""
    if node is not None:
        session.check_node(node, "--node")
    for pool in pools:
        session.check_pool(pool, "--pool")
    if only is not None:
        from exs.sweep.context import check_name

        check_name(only, "--only", session.settings().limits)
    for module in filter(None, map(str.strip, ",".join(modules).split(","))):
        if not all(part.isidentifier() for part in module.removesuffix(".*").split(".")):
            raise InputError(f"--allow-module {module!r} is no module of Python.", "Write pkg.module, or pkg.*")


def _visible(allocation: Allocation | None) -> str | None:
    """Which GPUs may be used: CUDA_VISIBLE_DEVICES, or what the batch scheduler says in words of its own."""
    return os.environ.get("CUDA_VISIBLE_DEVICES") if allocation is None else allocation.gpus


def _within(terms: Terms, allocation: Allocation, grace: float) -> Terms:
    """The same, ending before the allocation: what is stopped then has its grace, and its outcome half a minute."""
    import time

    stop_by = 0.0
    if allocation.ends:
        rest = max(0.0, allocation.ends - time.time())
        stop_by = allocation.ends - min(grace + _DELIVERY, rest / 4)
    return replace(terms, stop_by=stop_by, last_words=allocation.last_words)


def _terms(until: str, grace: str | None, idle_exit: str | None, max_jobs: int | None) -> Terms:
    from exs.cli.moment import moment
    from exs.sweep.units import duration
    from exs_worker.terms import Terms

    if grace is not None and not until:
        raise click.UsageError("--grace says how long after --until a job may run: give --until too.")
    return Terms(
        until=moment(until, "--until") if until else 0.0,
        grace=None if grace is None else duration(grace, "--grace"),
        idle_exit=0.0 if idle_exit is None else duration(idle_exit, "--idle-exit"),
        max_jobs=max_jobs or 0,
    )


@command.command(short_help="Stop the workers of this user on this machine.")
@click.option("--now", is_flag=True, help="Hand running jobs back to the queue instead of finishing them.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=86400.0,
    metavar="SECONDS",
    help="Wait at most this long. [default: a day]",
)
def stop(now: bool, timeout: float) -> None:
    """Stop every worker of this user on this machine: jobs in hand are finished, or handed back with --now."""
    from exs_worker import serve

    told, left = serve.agents(session.settings()).stop(now, timeout)
    if not told:
        click.echo("no worker runs on this machine.")
        return
    if left:
        raise Refused(f"{len(left)} of {told} workers still run.", "exs worker stop --now hands their jobs back.")
    click.echo(f"stopped {told} worker{'s' if told > 1 else ''}.")
