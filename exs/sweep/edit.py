"""A job with other parameters or another command: the point and the name that it has then."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from exs.command import render
from exs.errors import ExsError, InputError
from exs.model import Json, Params, Spec
from exs.settings import Limits
from exs.sweep.expand import commands_digest, point_hash
from exs.sweep.naming import POINT_DIGITS, fitting, longest_name, name_part
from exs.sweep.suggest import hint
from exs.sweep.template import RESERVED, compile_command, placeholders

#: How the name of a repeated job ends.
_REPEAT = re.compile(r"-r([0-9]{1,9})\Z")


@dataclass(frozen=True)
class Edited:
    """What a job becomes."""

    params: Params
    name: str
    point: str  #: "" for a job added by hand, which has none
    spec: Spec


@dataclass(frozen=True)
class Change:
    """What is changed: values of parameters, and the text of a command; `which` one, "" for the only one.

    `experiment`: where the job will be, "" for where it is.
    """

    params: Mapping[str, Json]
    command: str | None = None
    which: str = ""
    experiment: str = ""


@dataclass(frozen=True)
class Before:
    """A job as it is; `label` names it in errors."""

    label: str
    experiment: str
    params: Params
    name: str
    point: str
    commands: Sequence[str]
    spec: Spec


def edited(job: Before, change: Change, limits: Limits) -> Edited:
    """What `job` becomes with `change`.

    Raises InputError for a parameter that neither the job nor its command has, and for a command that cannot be filled.
    """
    params = {**job.params, **change.params}
    spec = job.spec if change.command is None else _with_command(job, change, params)
    chosen = [spec.commands[name] for name in job.commands or spec.commands]
    _check(job, change, params, chosen)
    point = ""
    if job.point:
        repeat = _repeat(job)
        digest = commands_digest(spec.commands, job.commands)
        point = point_hash(change.experiment or job.experiment, digest, params, repeat)
    changed = {name: value for name, value in change.params.items() if job.params.get(name, ...) != value}
    name = fitting(_renamed(job, changed, point), point or "0" * 16, longest_name(spec, limits.directory_chars))
    return Edited(params, name, point, spec)


def _with_command(job: Before, change: Change, params: Params) -> Spec:
    names = list(job.commands or job.spec.commands)
    which = change.which or (names[0] if len(names) == 1 else "")
    if which not in names:
        problem = f"has no command {which!r}" if which else f"runs {len(names)} commands, and none is named"
        raise InputError(f"{job.label} {problem}.", f"Name one with -c: {', '.join(names)}.")
    compiled = compile_command(change.command or "", {name: [value] for name, value in params.items()}, "--command")
    return replace(job.spec, commands={**job.spec.commands, which: compiled})


def _check(job: Before, change: Change, params: Params, commands: Sequence[Mapping[str, Json]]) -> None:
    known = {*job.params, *(name for compiled in commands for name in placeholders(compiled))}
    for name in change.params:
        if name not in known:
            raise InputError(f"{job.label} has no parameter {name!r}.", hint(name, sorted(known)))
    try:
        for compiled in commands:
            render(compiled, params, dict.fromkeys(RESERVED, ""))
    except ExsError as error:
        raise InputError(f"{job.label}: {error.message}", error.hint) from None


def _repeat(job: Before) -> int:
    """Which repeat of its point a job is: what its name says, unless the point tells that a value looks like that."""
    found = _REPEAT.search(job.name)
    digest = commands_digest(job.spec.commands, job.commands)
    if found and point_hash(job.experiment, digest, job.params, int(found[1])) == job.point:
        return int(found[1])
    return 0


def _renamed(job: Before, changed: Mapping[str, Json], point: str) -> str:
    """The name with the parts of the changed values replaced; what was no part of it is appended."""
    found = _REPEAT.search(job.name)
    name, suffix = (job.name[: found.start()], found[0]) if found else (job.name, "")
    digits = f"-{job.point[:POINT_DIGITS]}"
    if job.point and changed and name.endswith(digits):
        name = f"{name.removesuffix(digits)}-{point[:POINT_DIGITS]}"
    for key, value in changed.items():
        part = name_part(key, value)
        before = re.escape(name_part(key, job.params[key])) if key in job.params else r"(?!)"
        place = re.search(rf"(?<![^-]){before}(?![^-])", name)
        name = f"{name[: place.start()]}{part}{name[place.end() :]}" if place else f"{name}-{part}"
    return name + suffix
