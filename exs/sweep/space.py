"""`params`, `zip` and `exclude` of exs's own dialect: what is swept, drawn and fixed."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from exs.errors import InputError
from exs.model import Json
from exs.settings import Limits
from exs.sweep import distributions
from exs.sweep.distributions import Draw
from exs.sweep.expand import Axis
from exs.sweep.fields import Fields
from exs.sweep.grid import matched_as
from exs.sweep.suggest import hint, shorten

NAME = re.compile(r"\w[\w-]*(?:\.[\w-]+)*\Z")
RESERVED = ("_name", "_output", "_datetime")
FORMS = ("range", "choice", "values", *distributions.KINDS)


@dataclass
class Space:
    """The parameters of a file: every name is in exactly one of `axes`, `constants` and `draws`."""

    axes: dict[str, Axis] = field(default_factory=dict)
    constants: dict[str, Json] = field(default_factory=dict)
    draws: dict[str, Draw] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    exclude: list[Mapping[str, Json]] = field(default_factory=list)
    groups: list[list[Axis]] = field(default_factory=list)

    def samples(self) -> dict[str, Sequence[Json]]:
        """Name -> some of its values, for the compiler of commands."""
        shown: dict[str, Sequence[Json]] = {name: [] for name in self.draws}
        for name, axis in self.axes.items():
            shown[name] = axis.values[:1] if axis.distinct else axis.values  # a range of a million is all numbers
        for name, value in self.constants.items():
            shown[name] = [value]
        return shown


def read(fields: Fields, limits: Limits) -> Space:
    """The space that a file describes; raises InputError with file:line."""
    params = fields.section("params")
    space = Space(order=tuple(params))
    for name in params:
        check_param_name(name, params.at(name))
        _parameter(space, params, name, limits)
    space.groups = _groups(fields, space)
    space.exclude = _exclude(fields, space)
    return space


def check_param_name(name: str, where: str) -> None:
    """Raises InputError for a name that could not stand in a placeholder."""
    if not NAME.match(name) or len(name) > 100:
        raise InputError(f"{where}: {shorten(name)} cannot name a parameter.", "Use letters, digits, _ - and dots.")
    if name in RESERVED:
        raise InputError(f"{where}: {name!r} is what exs itself fills in.", "Choose another name.")


def _parameter(space: Space, params: Fields, name: str, limits: Limits) -> None:
    written, where = params.data[name], params.at(name)
    if isinstance(written, list):
        space.axes[name] = _axis(name, written, where)
    elif not isinstance(written, dict):
        space.constants[name] = written
    else:
        form = _form(written, name, where)
        arguments, where = written[form], params.at(name, form)
        if form in distributions.KINDS:
            space.draws[name] = distributions.parse(form, arguments, where)
        elif form == "range":
            space.axes[name] = Axis(name, span(arguments, where, limits), distinct=True)
        else:
            space.axes[name] = _axis(name, arguments, where)


def _form(written: Mapping[str, Json], name: str, where: str) -> str:
    form = next(iter(written), "")
    if len(written) != 1 or form not in FORMS:
        raise InputError(
            f"{where}: {name!r} must be a value, a list, or one of {', '.join(FORMS)}, not {shorten(written)}.",
            hint(form, FORMS) if len(written) == 1 else "To sweep over mappings, write {values: [{...}, {...}]}.",
        )
    return form


def _axis(name: str, values: Json, where: str) -> Axis:
    if not isinstance(values, list) or not values:
        raise InputError(f"{where}: {name!r} must have a list of at least one value, not {shorten(values)}.")
    return Axis(name, values)


def span(arguments: Json, where: str, limits: Limits) -> Sequence[int] | Sequence[float]:
    """Values of a range [start, stop) or [start, stop, step), as Python counts; decimals step exactly."""
    numbers = arguments if isinstance(arguments, list) else []
    if len(numbers) not in (2, 3) or any(isinstance(n, bool) or not isinstance(n, int | float) for n in numbers):
        raise InputError(f"{where}: range takes [start, stop] or [start, stop, step], not {shorten(arguments)}.")
    start, stop, step = (Decimal(repr(number)) for number in (*numbers, 1)[:3])
    if not step:
        raise InputError(f"{where}: the step of a range cannot be 0.")
    count = math.ceil((stop - start) / step)
    if count < 1:
        raise InputError(f"{where}: the range {shorten(arguments)} is empty.", "Its end is not included.")
    if count > limits.sweep_jobs:
        raise InputError(
            f"{where}: the range has {count:,} values, more than the limit of {limits.sweep_jobs:,}.",
            "Draw from it: {int_uniform: [low, high]} with samples.",
        )
    if all(isinstance(number, int) for number in numbers):
        return range(int(start), int(stop), int(step))
    return [float(start + number * step) for number in range(count)]


def _groups(fields: Fields, space: Space) -> list[list[Axis]]:
    """The axes in the order written, those that are zipped in one group where its first member stands."""
    partners: dict[str, list[str]] = {}
    for at, names in enumerate(fields.items("zip", empty=True) or []):
        where = fields.at("zip", at)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InputError(f"{where}: zip takes a list of groups like [[lr, warmup]], not {shorten(names)}.")
        for name in names:
            if name not in space.axes:
                known = hint(name, space.axes, "Axes")
                raise InputError(f"{where}: zip names {shorten(name)}, which is no axis.", known)
            if name in partners:
                raise InputError(f"{where}: zip names {name!r} twice.")
            partners[name] = []
        lengths = {name: len(space.axes[name].values) for name in names}
        if len(set(lengths.values())) > 1:
            shown = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            raise InputError(f"{where}: axes that are zipped need the same number of values: {shown}.")
        members = [name for name in space.axes if name in lengths]
        for name in members:
            partners[name] = members
    groups = {partners.get(name, [name])[0]: partners.get(name, [name]) for name in space.axes}
    return [[space.axes[member] for member in members] for members in groups.values()]


def _exclude(fields: Fields, space: Space) -> list[Mapping[str, Json]]:
    found: list[Mapping[str, Json]] = []
    known_values: dict[str, set[Hashable]] = {}
    for at, pattern in enumerate(fields.items("exclude", empty=True) or []):
        where = fields.at("exclude", at)
        if not isinstance(pattern, dict) or not pattern:
            raise InputError(f"{where}: an exclusion is a mapping like {{lr: 0.1}}, not {shorten(pattern)}.")
        for name, value in pattern.items():
            if name not in space.axes:
                known = hint(name, space.axes, "Axes")
                raise InputError(f"{fields.at('exclude', at, name)}: {shorten(name)} is no axis.", known)
            if name not in known_values:
                known_values[name] = set(map(matched_as, space.axes[name].values))
            if matched_as(value) not in known_values[name]:
                raise InputError(
                    f"{fields.at('exclude', at, name)}: {name!r} never is {shorten(value)}, so nothing is excluded."
                )
        found.append(pattern)
    return found
