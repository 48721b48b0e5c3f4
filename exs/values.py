"""Python values as JSON holds them: numpy's scalars and arrays become numbers and lists, NaN a text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from exs.errors import InputError
from exs.model import Json

#: Nesting of a value.
DEPTH = 32


def jsonable(value: Any, what: str, depth: int = 0) -> Json:
    """`value` as strict JSON can hold it: NaN and infinities as the texts "nan", "inf" and "-inf", keys as text.

    What has `item()` or `tolist()`, as numpy's and torch's do, is asked. Raises InputError that begins with `what`.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (str, int)):  # of a subclass, an enumeration's member too, the value itself
        return str.__str__(value) if isinstance(value, str) else int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if depth > DEPTH:
        raise InputError(f"{what} is nested deeper than {DEPTH}.")
    if isinstance(value, Mapping):
        return {str(key): jsonable(inner, f"{what}[{key!r}]", depth + 1) for key, inner in value.items()}
    if isinstance(value, (list, tuple, range)):
        return [jsonable(inner, f"{what}[{at}]", depth + 1) for at, inner in enumerate(value)]
    for method in ("tolist", "item"):
        convert = getattr(value, method, None)
        if callable(convert):
            return jsonable(convert(), what, depth + 1)
    raise InputError(
        f"{what} is of type {type(value).__name__}, which JSON cannot hold.", "Store a number, text, list or dict."
    )


def mapping(values: Mapping[str, Any], what: str) -> dict[str, Json]:
    """`values` with each value as `jsonable` has it. Raises InputError for what is no mapping with names as keys."""
    if not isinstance(values, Mapping):
        raise InputError(f"{what} are a {type(values).__name__}, not a mapping from names to values.")
    found: dict[str, Json] = {}
    for name, value in values.items():
        if not isinstance(name, str) or not name or len(name) > 100 or not name.isprintable():
            raise InputError(f"{what}: {str(name)[:100]!a} cannot be a name.", "Names are text of 1 to 100 characters.")
        found[name] = jsonable(value, f"{what[:-1] if what.endswith('s') else what} {name}")
    return found
