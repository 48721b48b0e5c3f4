"""Before an attempt runs: which commands, in which directory, with which words and environment."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from exs.command import Rendered, render
from exs.model import Claim, Spec
from exs.paths import safe_file_name
from exs_worker import launch, rundir
from exs_worker.checkpoints import to_go_on_from
from exs_worker.launch import SpawnError
from exs_worker.metricfiles import MetricFiles
from exs_worker.place import Place
from exs_worker.report import EVERYTHING, NOWHERE, Report
from exs_worker.series import Metrics, is_number


@dataclass(frozen=True)
class Command:
    """One command that is going to run, its words filled in. `log`: absolute path of its output, not yet created."""

    name: str
    rendered: Rendered
    log: str


@dataclass(frozen=True)
class Prepared:
    """All that running needs. `commands` is empty when everything was done before."""

    cwd: str
    env: dict[str, str]
    directory: rundir.Directory
    commands: list[Command]
    report: Report


def prepare(claim: Claim, spec: Spec, place: Place) -> Prepared:
    """Make the run directory, render the commands that run, write `param.json`. Raises what `launch.BAD_JOB` lists."""
    names = _names(claim, spec)
    cwd = rundir.working_directory(spec, place.workdir)
    for _ in range(3):  # another job may take the directory between our look and our write, once
        directory = rundir.find(cwd, spec.output, claim, spec.job_dirs)
        todo = _todo(claim, spec, directory, names)
        report = _report(claim, place, directory, skipped=len(todo) < len(names))
        if len(todo) < len(names):
            earlier = directory.before.get("_attempt")
            if isinstance(earlier, str) and safe_file_name(f".exs-report.{earlier}"):
                report.carry(directory.files.report(earlier), keep=bool(todo))
        if not todo:
            return Prepared(cwd, {}, directory, [], report)
        directory.forget(todo, claim.attempt)
        stamp = directory.stamp(todo)
        if spec.capsule:  # the job does not run where its directory is
            directory.shown = directory.files.root
        values = {"_name": directory.name, "_output": directory.shown, "_datetime": spec.datetime or stamp}
        commands = [
            Command(name, render(spec.commands[name], claim.params, values), directory.files.log(name, stamp))
            for name in todo
        ]
        if _record(claim, directory, commands, values, place.devices):
            return Prepared(cwd, _environment(claim, spec, place, directory), directory, commands, report)
    raise SpawnError(f"cannot agree with other jobs on the directory {directory.shown}.")


def _report(claim: Claim, place: Place, directory: rundir.Directory, skipped: bool) -> Report:
    """The report of this attempt; its metrics go on from its checkpoint, or from all that is there where commands that
    were done before are `skipped`."""
    files, limits = directory.files, place.limits
    go_on: float | None = None
    if directory.before.get("_job") == claim.job:
        _, step = to_go_on_from(claim.checkpoint, files.root)
        go_on = EVERYTHING if skipped else step if is_number(step) else NOWHERE
    metrics = Metrics(MetricFiles(files, claim.attempt), limits.metric_points, limits.metric_names)
    return Report(files.report(claim.attempt), files.root, limits.result_bytes, metrics, go_on)


def _names(claim: Claim, spec: Spec) -> Sequence[str]:
    names = claim.commands or tuple(spec.commands)
    if not names:
        raise SpawnError("the job has no command.")
    for name in names:
        if name not in spec.commands:
            raise SpawnError(f"the experiment has no command named {name!r}.")
        if not safe_file_name(f"log.{name}"):
            raise SpawnError(f"{name!r} cannot be part of the name of a log.")
    return names


def _todo(claim: Claim, spec: Spec, directory: rundir.Directory, names: Sequence[str]) -> list[str]:
    before = directory.before
    ours = before.get("_job") == claim.job and before.get("_point") == claim.point
    if claim.force or not (ours or spec.skip_done):
        return list(names)
    return [name for name in names if not directory.succeeded(name)]


def _record(
    claim: Claim,
    directory: rundir.Directory,
    commands: Sequence[Command],
    values: dict[str, str],
    devices: Sequence[str],
) -> bool:
    before = directory.before.get("_commands")
    typed = dict(before) if isinstance(before, dict) else {}
    for command in commands:
        log = os.path.join(directory.shown, os.path.basename(command.log))
        typed[command.name] = f"CUDA_VISIBLE_DEVICES={','.join(devices)} {command.rendered.typed} > {log} 2>&1"
    record = {
        **claim.params,
        **values,
        "_commands": typed,
        "_job": claim.job,
        "_experiment": claim.experiment,
        "_point": claim.point,
        "_attempt": claim.attempt,
    }
    return directory.write_params(record, claim.attempt)


def _environment(claim: Claim, spec: Spec, place: Place, directory: rundir.Directory) -> dict[str, str]:
    env = launch.job_environment(claim, place.env, spec.env, place.devices)
    env["EXS_OUTPUT"] = directory.files.root
    env["EXS_REPORT"] = directory.files.report(claim.attempt)
    env["EXS_CONTROL"] = directory.files.control(claim.attempt)
    found, _ = to_go_on_from(claim.checkpoint, directory.files.root)
    if found:
        env["EXS_CHECKPOINT"] = found
    return env
