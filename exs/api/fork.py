"""A new experiment made of one that is there: the same jobs, or the same with other parameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from exs.errors import InputError, Refused
from exs.model import NewJob, Resources, Spec
from exs.rows import ExperimentRow, JobRow
from exs.settings import Limits
from exs.sweep.context import check_name
from exs.sweep.edit import Before, Change, edited
from exs.sweep.fork import changes
from exs.sweep.load import now
from exs.sweep.model import Options, Sweep
from exs.sweep.naming import longest_name, unique
from exs.sweep.template import RESERVED, placeholders

if TYPE_CHECKING:
    from exs.store.store import Store


def forked(store: Store, selector: str, options: Options, limits: Limits) -> Sweep:
    """The jobs that `selector` names, in their order, as a sweep under `options.name` or NAME-2, NAME-3 ...

    Whatever state they are in, each is queued anew, with what `options.overrides` say. Pool, priority and the like are
    what the experiment has today. Raises NotFound, InputError; Refused for what no single push can express.
    """
    rows = store.find(selector)
    experiment = store.experiment(rows[0].experiment if rows else selector)
    _check_rows(experiment, rows)
    spec = replace(store.spec(experiment.name, rows[0].spec), datetime=now())
    name = _free_name(store, experiment.name, options.name, limits)
    jobs, duplicates = _jobs(experiment, rows, spec, name, options.overrides, limits)

    def build(sweep: Sweep) -> Iterator[NewJob]:
        sweep.duplicates = duplicates
        return iter(jobs)

    return Sweep(
        name=name,
        source=experiment.source,
        dialect="exs",
        spec=spec,
        count=len(jobs) + duplicates,
        build=build,
        pool=experiment.pool,
        priority=experiment.priority,
        retries=experiment.retries,
        max_running=experiment.max_running,
        lost_after=experiment.lost_after,
        weight=experiment.weight,
        preemptible=experiment.preemptible,
        canary=experiment.canary,
        breaker=experiment.breaker,
        code=store.code(experiment.name, rows[0].spec),
    )


def keep_code(store: Store, sweep: Sweep) -> None:
    """Keep the capsule of a fork when the experiment that it was pushed with is removed.

    To be called before the push. Raises NotFound, BrokenRecord.
    """
    from exs.capsule.chunks import manifest_from

    capsule = sweep.spec.capsule
    if capsule:
        manifest = manifest_from(store.capsule(capsule), capsule)
        store.keep_capsule(capsule, manifest.text(), manifest.parts, sweep.name)


def _check_rows(experiment: ExperimentRow, rows: Sequence[JobRow]) -> None:
    name = experiment.name
    if experiment.kind == "pull":
        raise Refused(
            f"the jobs of {name} are jobs by hand, which no worker runs: nothing can be pushed of them.",
            "exs add makes another experiment for jobs by hand.",
        )
    if not rows:
        raise Refused(f"experiment {name} has no job.", "exs list shows those that have.")
    for row in rows:
        if not row.spec or row.detail.startswith("broken record: "):
            raise Refused(f"{name}/{row.index} cannot be read, so nothing was pushed.", f"exs show {name}/{row.index}")
    ways = {row.spec for row in rows}
    if len(ways) > 1:
        end = next(at for at, row in enumerate(rows) if row.spec != rows[0].spec)
        part = f"{name}/{rows[0].index}" + (f"-{rows[end - 1].index}" if end > 1 else "")
        raise Refused(
            f"the jobs of {name} were pushed or edited to run in {len(ways)} ways, and a push has one.",
            f"Take those of one way at a time: exs push --from {part}",
        )


def _free_name(store: Store, before: str, wanted: str | None, limits: Limits) -> str:
    """What the new experiment is called: a name that no other one has."""
    taken = {row.name for row in store.experiments()}
    if wanted is not None:
        if check_name(wanted, "--name", limits) in taken:
            raise Refused(f"experiment {wanted} is there already, and --from makes a new one.", "Choose another name.")
        return wanted
    number = 2
    while (name := f"{before[: limits.name_chars - len(str(number)) - 1]}-{number}") in taken:
        number += 1
    return check_name(name, "--from", limits)


def _jobs(
    experiment: ExperimentRow, rows: Sequence[JobRow], spec: Spec, name: str, given: Sequence[str], limits: Limits
) -> tuple[list[NewJob], int]:
    """The jobs of the new experiment, each point once, and how many were the same as one before."""
    label = f"experiment {experiment.name}"
    used = {word for compiled in spec.commands.values() for word in placeholders(compiled)} - set(RESERVED)
    known = dict.fromkeys([*(param for row in rows for param in row.params), *sorted(used)])
    wanted = changes(given, list(known), label, limits)
    if len(rows) * len(wanted) > limits.sweep_jobs:
        raise InputError(
            f"{label}: has {len(rows) * len(wanted):,} jobs then, more than the limit of {limits.sweep_jobs:,}.",
            "Give fewer values, or set EXS_SWEEP_JOBS.",
        )
    found: list[NewJob] = []
    points: set[str] = set()
    names: set[str] = set()
    for row in rows:
        needs = _needs(experiment, row)
        before = Before(
            f"{row.experiment}/{row.index}", row.experiment, row.params, row.name, row.point, row.commands, spec
        )
        for params in wanted:
            job = edited(before, Change(params, experiment=name), limits)
            if job.point and job.point in points:
                continue
            called = job.name
            if called in names and job.point:
                called = unique(called, job.point, longest_name(spec, limits.directory_chars))
            points.add(job.point)
            names.add(called)
            found.append(NewJob(job.params, called, job.point, row.commands, resources=needs))
    return found, len(rows) * len(wanted) - len(found)


def _needs(experiment: ExperimentRow, row: JobRow) -> Resources:
    """What the job was pushed with, not what its failures made of it."""
    needs = experiment.needs.get(row.first_queue or row.queue)
    if needs is None:
        raise Refused(
            f"what {row.experiment}/{row.index} needs of a slot cannot be read: a newer exs pushed it.",
            "Use that version here too.",
        )
    return needs
