"""`exs push`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import click

from exs.answers import Pushed
from exs.api.environment import with_environment
from exs.api.queue import again_of
from exs.cli.byhand import STATUSES, PushCommand, add_one, given_pairs, push_one, show_added
from exs.cli.code import CodeRequest, code_options, send_code, travels
from exs.cli.fit import Needs
from exs.cli.fork import check_fork, keep_code, read_fork
from exs.cli.output import forms, show_json
from exs.cli.pushing import push
from exs.cli.session import check_pool, note, open_store, out_screen, put
from exs.cli.sweep_options import Request, read_sweep, sweep_options
from exs.errors import InputError, Refused
from exs.model import DEFAULT_POOL, DEFAULT_PRIORITY, Json, Resources
from exs.rows import ExperimentRow
from exs.sweep.model import Options, Sweep
from exs.view.experiments import paused
from exs.view.pushed import kept_resources, record, summary
from exs.view.text import safe

if TYPE_CHECKING:
    from exs.store.store import Store


@click.command("push", cls=PushCommand)
@sweep_options
@code_options
@click.option("--env", "env", multiple=True, metavar="NAME[=VALUE]", help="A variable for the jobs; repeatable.")
@click.option("--secret", "secrets", multiple=True, metavar="NAME[=VALUE]", help="The same, its value never shown.")
@click.option(
    "--priority", type=click.IntRange(1, 99), help=f"Lower runs first; {DEFAULT_PRIORITY} if nothing is said."
)
@click.option("--pool", metavar="POOL", help="Only workers of this pool run it.")
@click.option(
    "--canary", type=click.IntRange(min=0), metavar="N", help="N jobs run first; the others when these are done."
)
@click.option("--paused", "keep", is_flag=True, help="Queue it paused: nothing runs before exs activate.")
@click.option("--strict", is_flag=True, help="Refuse what no slot that is there could ever run.")
@click.option("--from", "source", metavar="EXPERIMENT", help="The jobs of this one anew; -o lr=0.3,0.5 for others.")
@click.option("--into", is_flag=True, help="Add to an experiment that came from another file or user.")
@click.option(
    "-s",
    "--status",
    type=click.Choice(STATUSES, case_sensitive=False),
    help="With -p, for an experiment of exs add: the job was run elsewhere, with the results -r NAME VALUE ...",
)
@forms(json="Print the counts as JSON.", quiet="Print the ids of the new jobs only.")
def command(
    request: Request,
    code: CodeRequest,
    env: tuple[str, ...],
    secrets: tuple[str, ...],
    priority: int | None,
    pool: str | None,
    canary: int | None,
    keep: bool,
    strict: bool,
    source: str | None,
    into: bool,
    status: str | None,
    form: str | None,
) -> None:
    """Queue a sweep: a FILE, or a command whose key=v1,v2 words are swept over.

    Whole or not at all. Pushing an edited file again adds what is new and keeps what is there; --force runs
    again what succeeded, --if-code-changed what succeeded or crashed with other code, each with the code of
    this push. The code in CONTEXT travels along, and each job runs in a copy of it; by default this directory,
    where other machines reach the queue (EXS_CAPSULE).

    With -p NAME VALUE ... it adds one job by hand to the experiment that is named
    instead of a file: exs push resnet -p lr 0.3 seed 1

    With --from EXPERIMENT it makes a new one, --name or EXPERIMENT-2, of jobs that are in the queue: with the
    same code, commands and settings, and all their parameters but for what -o lr=0.3,0.5 says.
    """
    asked = _Asked(request, code, env, secrets, priority, pool, canary, keep, strict, source, into)
    pairs, results = given_pairs(), given_pairs("-r")
    described = results is not None or status is not None
    if source is not None:
        check_fork(request, alone=code == CodeRequest() and not into and not described and not pairs)
    if pairs is None:
        if described:
            raise InputError("-r and -s describe the job that -p adds.", "exs push NAME -p lr 0.1 -r loss 0.3 -s DONE")
        _say(_push_sweep(asked), form, strict)
        return
    asked.refuse_for_one()
    store = open_store()
    experiment = store.experiment(request.file or "")
    if experiment.kind == "pull":
        if strict:
            raise InputError("--strict asks for slots, and no slot runs the jobs of exs add.", "Leave it out.")
        show_added(store, experiment, add_one(store, experiment, pairs, results, status), form)
        return
    if described:
        raise Refused(
            f"the jobs of {experiment.name} are run by workers: a result is theirs to give, not for -r and -s.",
            "exs add makes an experiment for jobs by hand.",
        )
    _say(_push_one(store, experiment, pairs, strict), form, strict)


@dataclass(frozen=True)
class _Asked:
    """The options of a command line."""

    request: Request
    code: CodeRequest = field(default_factory=CodeRequest)
    env: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    priority: int | None = None
    pool: str | None = None
    canary: int | None = None
    paused: bool = False
    strict: bool = False
    source: str | None = None
    into: bool = False

    def refuse_for_one(self) -> None:
        """Raises InputError for what -p cannot take: its job runs as those of its experiment that were pushed last."""
        if self.request.file is None:
            raise InputError("-p adds a job to an experiment, but none is named.", "exs push NAME -p lr 0.1 seed 3")
        alone = _Asked(Request(self.request.file, None, Options()), strict=self.strict)
        if self != alone:
            raise InputError(
                "-p adds a job that runs as those pushed last: with their code, environment and settings.",
                "It goes with --strict, -r and -s; exs update changes the settings of an experiment.",
            )


@dataclass(frozen=True)
class _Done:
    """A push that is in. `pool`: where its jobs wait. `serving`: the pool whose workers are named, or None."""

    store: Store
    pushed: Pushed
    needs: Needs
    pool: str
    serving: str | None
    facts: dict[str, Json] = field(default_factory=dict)


def _push_one(store: Store, experiment: ExperimentRow, pairs: Sequence[str], strict: bool) -> _Done:
    needs = Needs({Resources(): 1})
    if strict:
        needs.refuse_unfit(store, experiment.name, experiment.pool)
    return _Done(store, push_one(store, experiment, pairs), needs, experiment.pool, None)


def _push_sweep(asked: _Asked) -> _Done:
    sweep = _sweep(asked)  # a file that is wrong is told so without a Redis
    store = open_store()
    pool = store.experiment(sweep.name).pool if asked.into else sweep.pool
    if asked.strict:
        wanted_by_all = Needs()
        for _ in wanted_by_all.noted(sweep.jobs()):
            pass
        wanted_by_all.refuse_unfit(store, sweep.name, pool)
    if asked.source is not None:
        keep_code(store, sweep)
    elif travels(store.url, sweep, asked.code):
        sweep = send_code(store, sweep, asked.code.wish, asked.into)
    needs = Needs()
    jobs = needs.noted(sweep.jobs())
    again = again_of(asked.request.force, asked.code.if_changed)
    pushed = push(store, sweep, asked.request, into=asked.into, again=again, jobs=jobs, paused=asked.paused)
    for line in sweep.notes:
        note(line)
    facts: dict[str, Json] = {
        "points": sweep.count,
        "dialect": sweep.dialect,
        "notes": sweep.notes,
        "capsule": sweep.spec.capsule or None,
    }
    return _Done(store, pushed, needs, pool, None if asked.into else sweep.pool, facts)


def _sweep(asked: _Asked) -> Sweep:
    """What is pushed, with what the options say of it. Raises InputError, NotFound, Refused."""
    sweep = read_sweep(asked.request) if asked.source is None else read_fork(open_store(), asked.source, asked.request)
    sweep = with_environment(replace(sweep, priority=asked.priority or sweep.priority), asked.env, asked.secrets)
    sweep.canary = sweep.canary if asked.canary is None else asked.canary
    sweep.pool = sweep.pool if asked.pool is None else check_pool(asked.pool, "--pool")
    return sweep


def _say(done: _Done, form: str | None, strict: bool) -> None:
    store, pushed = done.store, done.pushed
    if form == "json":
        show_json(record(pushed) | done.facts)
    elif form == "ids":
        ids = store.ids(pushed.experiment)
        put(map(safe, ids[len(ids) - pushed.new :]))
    else:
        put([summary("pushed", pushed, out_screen()), *_next(store, pushed, done.serving)])
    if kept := kept_resources(pushed):
        note(kept)
    queued = pushed.new or pushed.forced
    if queued and not strict and (why := done.needs.hindrance(store, pushed.experiment, done.pool)):
        note(f"{why} It waits for such a slot: exs why {pushed.experiment}")
    sys.stdout.flush()  # it is pushed, and said so; this is about a power cut alone
    if queued and store.on_disk() is False:
        note("pushed, but not yet on the disk of Redis: a power cut of its machine could still lose it")


def _next(store: Store, pushed: Pushed, pool: str | None) -> Iterator[str]:
    """What one types after a push; `pool` is where it waits, if that is known."""
    name = safe(pushed.experiment)
    yield f"  look  exs list -t {name}"
    if pushed.new or pushed.queued or pushed.forced:
        yield f"  wait  exs wait {name}"
        experiment = store.experiment(pushed.experiment)
        if experiment.paused:
            yield f"  start exs activate {name}        ({paused(experiment)})"
        workers = [row for row in store.workers() if row.state in ("busy", "idle")]
        option = f" --pool {safe(pool)}" if pool not in (None, DEFAULT_POOL) else ""
        if not workers:
            yield f"  work  exs worker{option}        (no worker is running yet)"
        elif pool is not None and not any(pool in row.pools for row in workers):
            yield f"  work  exs worker{option}        (no worker serves the pool {safe(pool)})"
