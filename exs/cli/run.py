"""`exs run`: push a sweep and work on it on this machine, until it is done."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from exs.cli import session
from exs.cli.sweep_options import Request, SweepCommand, origin_of, read_sweep, sweep_options
from exs.errors import EXIT_JOB_FAILED
from exs.model import FINAL, JobState, NewJob, Resources
from exs.sweep.model import Sweep
from exs.view.pushed import summary

if TYPE_CHECKING:
    from exs_worker.slotplan import SlotPlan

#: Points whose needs are looked at before anything is pushed; a larger sweep has no other needs than its beginning.
_LOOKED_AT = 2000


@click.command("run", cls=SweepCommand)
@sweep_options
@click.option("--gpus", default="", metavar="0,1|all", help="One slot for each of these GPUs.")
@click.option("--slot", "slots", multiple=True, metavar="0,1", help="One slot with this set of GPUs; repeatable.")
@click.option("--per-gpu", default=1, metavar="N", help="N slots on each GPU of --gpus.")
@click.option("--cpus", default=0, metavar="N", help="N slots without a GPU.")
@click.option("-d", "--debug", is_flag=True, help="Run the first job alone, here, and show what it prints.")
@click.option("--into", is_flag=True, help="Add to an experiment that came from another file or user.")
@click.pass_context
def command(
    context: click.Context,
    request: Request,
    gpus: str,
    slots: tuple[str, ...],
    per_gpu: int,
    cpus: int,
    debug: bool,
    into: bool,
) -> None:
    """Push a sweep and run it here: one slot per GPU, or the file's `resource`, or one per core.

    What is done already is kept, what crashed or was canceled runs again. Ends with the table of results;
    exit code 1 if a job crashed. Ctrl-C asks once, then stops; the same command goes on later.
    """
    from exs_worker import local
    from exs_worker.devices import discover
    from exs_worker.slotplan import index_note, plan_slots

    sweep = read_sweep(request)
    found, visible = discover(), os.environ.get("CUDA_VISIBLE_DEVICES")
    if gpus or slots or cpus:
        plans = plan_slots(found, gpus, slots, per_gpu, cpus, visible)
    elif sweep.local_slots:
        plans = local.local_plans(found, sweep.local_slots, visible)
    else:
        plans = local.default_plans(found, sweep.count, visible)
    for line in (*sweep.notes, index_note(found, plans)):
        if line:
            session.note(line)
    if debug:
        from exs.cli.debug import run_first

        context.exit(run_first(sweep, plans[0]))
    local.check(plans, _needs(sweep))
    context.exit(_run(sweep, request, into, plans))


def _needs(sweep: Sweep) -> list[Resources]:
    found: dict[Resources, None] = {}
    for number, job in enumerate(_unrestricted(sweep)):
        if number == _LOOKED_AT:
            break
        found[job.resources] = None
    return list(found)


def _run(sweep: Sweep, request: Request, into: bool, plans: Sequence[SlotPlan]) -> int:
    from exs.cli.list import show_jobs
    from exs.cli.progress import Run
    from exs_worker.local import LocalNode

    store = session.open_store()
    again = {JobState.CRASHED, JobState.CANCELED}
    if request.force:
        again |= {JobState.DONE, JobState.PRUNED}
    pushed = store.push(
        sweep.name,
        sweep.spec,
        _unrestricted(sweep),
        origin_of(sweep, into),
        pool=sweep.pool,
        priority=sweep.priority,
        retries=sweep.retries,
        max_running=sweep.max_running,
        lost_after=sweep.lost_after,
        again=tuple(again),
    )
    session.put([summary("run", replace(pushed, duplicates=sweep.duplicates), session.out_screen())])
    counts = store.counts(pushed.experiment)
    if any(n for state, n in counts.items() if state not in FINAL):
        node = LocalNode.start(session.connected_settings(), plans, sweep.pool, pushed.experiment)
        final, finished = Run(store, pushed.experiment, node).to_the_end()
        counts = dict(final)
        if not finished:
            session.put([f"stopped. To go on: exs run {_again(request)}"])
            return 130
    show_jobs(pushed.experiment)
    return EXIT_JOB_FAILED if counts.get(JobState.CRASHED) else 0


def _unrestricted(sweep: Sweep) -> Iterator[NewJob]:
    """The jobs as the slots here can take them: a file that lists its slots means those, which are these.

    runner's `resource` also says how many GPUs a job has; whoever gives other slots on the command line means them.
    """
    for job in sweep.jobs():
        if sweep.local_slots:
            job = replace(job, resources=Resources(gpus=None if sweep.dialect == "runner" else job.resources.gpus))
        yield job


def _again(request: Request) -> str:
    return shlex.join(["--", *request.words]) if request.words else shlex.quote(request.file or "")
