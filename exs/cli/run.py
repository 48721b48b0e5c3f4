"""`exs run`: push a sweep and work on it on this machine, until it is done."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import click

from exs.api.context import Wish
from exs.api.environment import with_environment
from exs.cli import session
from exs.cli.code import CodeRequest, needs_copy, send_code, travels
from exs.cli.pushing import push
from exs.cli.sweep_options import Request, SweepCommand, read_sweep, sweep_options
from exs.errors import EXIT_INTERRUPTED, EXIT_JOB_FAILED, EXIT_OK, InputError
from exs.model import FINAL, SUCCEEDED, Again, JobState, NewJob, Resources
from exs.sweep.model import Sweep
from exs.view.counts import counted
from exs.view.pushed import summary
from exs.view.text import safe

if TYPE_CHECKING:
    from exs.store.store import Store
    from exs_worker.slotplan import SlotPlan

#: Points whose needs are looked at before anything is pushed: only a list of tasks, which is short, has several.
_LOOKED_AT = 2000
#: Slots that are named one by one.
_NAMED = 8


@click.command("run", cls=SweepCommand)
@sweep_options
@click.option("--gpus", metavar="0,1|all", help="One slot for each of these GPUs.")
@click.option("--slot", "slots", multiple=True, metavar="0,1", help="One slot with this set of GPUs; repeatable.")
@click.option("--per-gpu", default=1, metavar="N", help="N slots on each GPU of --gpus.")
@click.option("--cpus", type=int, metavar="N", help="N slots without a GPU.")
@click.option("-d", "--debug", is_flag=True, help="Run the first job alone, here, and show what it prints.")
@click.option("--test", is_flag=True, help="Test the first job (or --sample 1) here, stage by stage, without a queue.")
@click.option("--local", is_flag=True, help="With --test, as Determined spells it; exs run is local in any case.")
@click.option("--test-time", default="60s", metavar="60s", help="With --test: ask it to stop when it runs longer.")
@click.option("--into", is_flag=True, help="Add to an experiment that came from another file or user.")
@click.option("--insecure", is_flag=True, help="Use a Redis that anybody on the network can write to.")
@click.option("--json", "as_json", is_flag=True, help="End with the jobs as JSON; all remarks go to standard error.")
@click.pass_context
def command(
    context: click.Context,
    request: Request,
    gpus: str | None,
    slots: tuple[str, ...],
    per_gpu: int,
    cpus: int | None,
    debug: bool,
    test: bool,
    local: bool,
    test_time: str,
    into: bool,
    insecure: bool,
    as_json: bool,
) -> None:
    """Push a sweep and run it here: one slot per GPU, or the file's `resource`, or one per core.

    What is done already is kept, what crashed or was canceled runs again. Ends with the table of results;
    exit code 1 if a job crashed. Ctrl-C asks once, then stops; the same command goes on later.
    """
    from exs_worker import local as here
    from exs_worker import serve

    if (local or test_time != "60s") and not test:
        raise InputError(f"{'--local' if local else '--test-time'} goes with --test.", "Add it, or leave both out.")
    if debug and test:
        raise InputError("-d and --test contradict each other.", "Leave one of them out.")
    if (debug or test) and as_json:
        raise InputError("--json is the table of results, and -d and --test end without one.", "Leave it out.")
    sweep = with_environment(read_sweep(request), (), ())
    plans = plans_for(sweep, gpus, slots, per_gpu, cpus)
    for line in sweep.notes:
        if line not in sweep.when_pushed:
            session.note(line)
    if debug:
        from exs.cli.debug import run_first

        _keep_copy(sweep, request)
        context.exit(run_first(sweep, plans[0]))
    if test:
        from exs.cli.localtest import run_test
        from exs.sweep.units import duration

        wish = Wish() if travels(session.settings().redis_url, sweep, CodeRequest()) else None  # as a push from here
        context.exit(run_test(sweep, plans[0], duration(test_time, "--test-time"), wish))
    needs = dict.fromkeys(job.resources for job in islice(_for_here(sweep), _LOOKED_AT))
    here.check(plans, needs, sweep.pool, session.host())
    store = session.open_store()
    serve.refuse_unsafe_redis(store, insecure)
    if needs_copy(sweep, Wish()) and travels(store.url, sweep, CodeRequest()):
        sweep = send_code(store, sweep, Wish(), into)
    form = "json" if as_json else None
    name = _push(store, sweep, request, into, plans, form)
    _keep_copy(sweep, request)
    row = store.experiment(name)
    counts = row.counts
    if row.paused:
        store.activate_experiment(name)
        session.note(f"{safe(name)} was paused ({safe(row.paused_by)}); it goes on")
    if any(number for state, number in counts.items() if state not in FINAL):
        code = _work(store, name, sweep, plans, form)
    else:
        code = _ended(store, name, sweep, counts, form)
    context.exit(code)


def plans_for(sweep: Sweep, gpus: str | None, slots: Sequence[str], per_gpu: int, cpus: int | None) -> list[SlotPlan]:
    """The slots that the options ask for, else the file, else all GPUs or cores; says which GPUs are unchecked."""
    from exs_worker import local
    from exs_worker.devices import discover
    from exs_worker.slotplan import index_note, plan_slots

    found, visible = discover(), os.environ.get("CUDA_VISIBLE_DEVICES")
    if gpus is not None or slots or cpus is not None or per_gpu != 1:
        plans = plan_slots(found, gpus, slots, per_gpu, cpus, visible)
    elif sweep.local_slots:
        plans = local.local_plans(found, sweep.local_slots, visible)
    else:
        plans = local.default_plans(found, sweep.count, visible)
    note = index_note(found, plans)
    if note:
        session.note(note)
    return plans


def _for_here(sweep: Sweep) -> Iterator[NewJob]:
    """The jobs as the slots here can take them: a file that lists its slots means those, which are these.

    runner's `resource` also says how many GPUs a job has; whoever gives other slots on the command line means them.
    """
    for job in sweep.jobs():
        if sweep.local_slots:
            job = replace(job, resources=Resources(gpus=None if sweep.dialect == "runner" else job.resources.gpus))
        yield job


def _say(lines: Sequence[str], form: str | None) -> None:
    for line in lines:
        session.note(line) if form else session.put([line])


def _push(store: Store, sweep: Sweep, request: Request, into: bool, plans: Sequence[SlotPlan], form: str | None) -> str:
    """Push what is new or did not succeed, say so; returns the name of the experiment."""
    again = Again(of=FINAL if request.force else FINAL - SUCCEEDED)
    pushed = push(store, sweep, request, into=into, again=again, jobs=_for_here(sweep))
    line = summary("run", pushed, session.out_screen())
    _say([f"{line}  on {_slots(plans)}"], form)
    return pushed.experiment


def _keep_copy(sweep: Sweep, request: Request) -> None:
    """As runner did, leave its file beside what it made, so that a result can be told from the file as it was then."""
    if sweep.dialect != "runner":
        return
    from exs.paths import sweep_copy
    from exs_worker import local

    copy = sweep_copy(os.path.join(sweep.spec.cwd, sweep.spec.output), sweep.source, request.options.title)
    try:
        local.keep_copy(sweep.source, copy)
    except OSError as error:
        session.note(f"no copy of the sweep file was kept: {error.strerror}: {copy}")


def _slots(plans: Sequence[SlotPlan]) -> str:
    if len(plans) > _NAMED:
        return f"{len(plans)} slots, {plans[0].suffix} to {plans[-1].suffix}"
    return ", ".join(plan.suffix for plan in plans)


def _work(store: Store, name: str, sweep: Sweep, plans: Sequence[SlotPlan], form: str | None) -> int:
    """Work on the experiment until it is done or a person stops it; returns the exit code."""
    from exs.cli.attend import Attendance
    from exs_worker.local import LocalNode

    node = LocalNode.start(session.connected_settings(), plans, sweep.pool, name)
    ending = Attendance(store, name, node).to_the_end()
    if ending.finished:
        return _ended(store, name, sweep, ending.counts, form)
    _say([f"stopped: {counted(ending.counts, session.out_screen())}", f"  go on  {_same_again()}"], form)
    return EXIT_INTERRUPTED if ending.interrupted else EXIT_JOB_FAILED


def _same_again() -> str:
    return shlex.join(["exs", *sys.argv[1:]])


def _ended(store: Store, name: str, sweep: Sweep, counts: Mapping[JobState, int], form: str | None) -> int:
    """Show the table. What crashed earlier and is not of this file, or of its other commands, is no failure now."""
    from exs.cli.list import show_jobs

    show_jobs(name, form)
    if not counts.get(JobState.CRASHED):
        return EXIT_OK
    crashed = {row.point for row in store.jobs(name, states=(JobState.CRASHED,))}
    return EXIT_JOB_FAILED if any(job.point in crashed for job in sweep.jobs()) else EXIT_OK
