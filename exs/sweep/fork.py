"""`-o key=value` for jobs that are there: which values each of them is to have instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from math import prod

from exs.errors import InputError
from exs.model import Json
from exs.settings import Limits
from exs.sweep import overrides, space
from exs.sweep.fields import Fields
from exs.sweep.suggest import hint, shorten
from exs.sweep.yamlfile import Document, Mark


def changes(given: Sequence[str], known: Sequence[str], label: str, limits: Limits) -> list[dict[str, Json]]:
    """What `-o` asks for, in the grammar of a sweep file: the values of each job that one job becomes, {} for as it is.

    Several values multiply, the last key fastest. `known`: parameters that there are; `label` says whose.
    Raises InputError for any other key.
    """
    blank: Mark = (label, {})
    document = overrides.apply(Document({"params": dict.fromkeys(known)}, label, blank), given, limits)
    below = document.mark[1]
    marks: Mapping[str, Mark] = below if isinstance(below, dict) else {}
    inside = marks["params"][1] if "params" in marks else {}
    for where, name in _unknown(marks, inside if isinstance(inside, dict) else {}, known):
        raise InputError(f"{where}: {label} has no parameter {shorten(name)}.", hint(name, known))
    if not isinstance(inside, dict):
        raise InputError(f"{marks['params'][0]}: names no parameter.", hint("params", known))
    wanted = {name: document.value["params"][name] for name in inside}
    found = space.read(Fields.of(Document({"params": wanted}, label, document.mark)), limits)
    for name in found.draws:
        raise InputError(f"{inside[name][0]}: {name!r} would be drawn at random.", f"Give values: -o {name}=0.1,0.2")
    values = [axis.values for axis in found.axes.values()]
    if prod(map(len, values)) > limits.sweep_jobs:
        raise InputError(f"{label}: -o makes more jobs of each than the limit of {limits.sweep_jobs:,}.")
    return [{**found.constants, **dict(zip(found.axes, row, strict=True))} for row in product(*values)]


def _unknown(marks: Mapping[str, Mark], inside: Mapping[str, Mark], known: Sequence[str]) -> list[tuple[str, str]]:
    outer = [(str(mark[0]), name) for name, mark in marks.items() if name != "params"]
    return outer + [(str(mark[0]), name) for name, mark in inside.items() if name not in known]
