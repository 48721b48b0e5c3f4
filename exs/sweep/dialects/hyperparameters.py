"""Determined's typed hyperparameters: const, categorical, int, double and log, with its exact grid values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from exs.errors import InputError
from exs.model import Json
from exs.settings import Limits
from exs.sweep import distributions
from exs.sweep.distributions import Draw
from exs.sweep.expand import Axis
from exs.sweep.fields import Fields
from exs.sweep.space import Space, check_param_name
from exs.sweep.suggest import hint, shorten

#: Type -> its keys; `count` is for grids only.
TYPES = {
    "const": ("type", "val"),
    "categorical": ("type", "vals"),
    "int": ("type", "minval", "maxval", "count"),
    "double": ("type", "minval", "maxval", "count"),
    "log": ("type", "base", "minval", "maxval", "count"),
}


def read(fields: Fields, searcher: str, limits: Limits) -> Space:
    """The space that `hyperparameters` describes to a searcher; names of nested ones are joined by dots.

    Raises InputError with file:line for an unknown type, a missing key, or a type that the searcher cannot use.
    """
    space = Space()
    order: dict[str, None] = {}
    for name, section, key in _leaves(fields, ""):
        if name in order:
            raise InputError(f"{section.at(key)}: the hyperparameter {name!r} stands twice.")
        order[name] = None
        if isinstance(section.data[key], dict) and section.data[key]:
            _typed(space, name, section.section(key), searcher, limits)
        else:
            space.constants[name] = section.data[key]
    space.order = tuple(order)
    space.groups = [[axis] for axis in space.axes.values()]
    return space


def _leaves(fields: Fields, prefix: str) -> Iterator[tuple[str, Fields, str]]:
    """Dotted name of each hyperparameter, and the mapping and key under which it stands."""
    for key, value in fields.data.items():
        check_param_name(f"{prefix}{key}", fields.at(key))
        if isinstance(value, dict) and value and not isinstance(value.get("type"), str):
            yield from _leaves(fields.section(key), f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", fields, key


def _typed(space: Space, name: str, fields: Fields, searcher: str, limits: Limits) -> None:
    kind = fields.data["type"]
    if kind not in TYPES:
        raise InputError(f"{fields.at('type')}: unknown type {shorten(kind)} of {name!r}.", hint(kind, TYPES))
    fields.check_known(TYPES[kind])
    if kind == "const":
        if "val" not in fields.data:
            raise InputError(f"{fields.at()}: const {name!r} has no val.")
        space.constants[name] = fields.data["val"]
    elif searcher == "single":
        raise InputError(f"{fields.at()}: the searcher single needs one value for {name!r}.", "Use grid or random.")
    elif searcher == "random":
        space.draws[name] = _draw(kind, fields, name)
    else:
        space.axes[name] = Axis(name, _values(kind, fields, name, limits))


def _vals(fields: Fields, name: str) -> list[Json]:
    values = fields.items("vals")
    if values is None:
        raise InputError(f"{fields.at()}: categorical {name!r} has no vals.")
    return values


def _bounds(kind: str, fields: Fields, name: str) -> tuple[float, float]:
    for key in ("minval", "maxval"):
        if key not in fields:
            raise InputError(f"{fields.at()}: {kind} {name!r} has no {key}.")
    read_bound = (lambda key: fields.integer(key, -(2**53))) if kind == "int" else fields.number
    low, high = read_bound("minval") or 0, read_bound("maxval") or 0
    if low > high:
        raise InputError(f"{fields.at('minval')}: {name!r} has a minval of {low}, above its maxval of {high}.")
    if not (math.isfinite(low + high) and math.isfinite(high - low)):
        raise InputError(f"{fields.at('minval')}: the bounds of {name!r} are too large.")
    return low, high


def _base(fields: Fields, name: str, low: float, high: float) -> float:
    base = fields.number("base")
    base = 10.0 if base is None else float(base)
    try:
        if base > 0 and math.isfinite(base**high + base**low):
            return base
    except OverflowError:
        pass
    raise InputError(f"{fields.at('base')}: {name!r} cannot be {base:g} to the power of {low:g} to {high:g}.")


def _draw(kind: str, fields: Fields, name: str) -> Draw:
    if kind == "categorical":
        return distributions.choice(_vals(fields, name))
    low, high = _bounds(kind, fields, name)
    if kind == "int":
        return distributions.int_uniform(int(low), int(high))
    if kind == "log":
        return distributions.power(_base(fields, name, low, high), low, high)
    return distributions.uniform(low, high)


def _values(kind: str, fields: Fields, name: str, limits: Limits) -> Sequence[Json]:
    """The grid's values, exactly as Determined computes them."""
    if kind == "categorical":
        return _vals(fields, name)
    low, high = _bounds(kind, fields, name)
    count = fields.integer("count", 1)
    if count is None:
        raise InputError(f"{fields.at()}: the grid needs a count for {kind} {name!r}.", "Add count: 5.")
    if kind == "int":
        count = min(count, int(high) - int(low) + 1)
    if count > limits.sweep_jobs:
        raise InputError(
            f"{fields.at('count')}: {name!r} has {count:,} values, more than the limit of {limits.sweep_jobs:,}."
        )
    steps = [(low + high) / 2] if count == 1 else [low + i * (high - low) / (count - 1) for i in range(count)]
    if kind == "int":
        return [round_half_away(step) for step in steps]
    if kind == "log":
        base = _base(fields, name, low, high)
        return [float(base**step) for step in steps]
    return [float(step) for step in steps]


def round_half_away(number: float) -> int:
    """The nearest whole number; 2.5 becomes 3 and -2.5 becomes -3, as in Go (Python's round gives 2 and -2)."""
    whole = math.floor(abs(number))
    whole += abs(number) - whole >= 0.5
    return int(math.copysign(whole, number))
