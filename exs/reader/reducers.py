"""What one number says of many: of the series of a metric, and of the runs of a group."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from exs.model import Json

Numbers = Sequence[float]


def number(value: Json) -> float | None:
    """A value of a metric as a number: "nan", "inf" and "-inf" are some; None for what is none.

    An integer that no float can hold is infinite.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return value if math.isfinite(value) else float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return float(value) if value in ("nan", "inf", "-inf") else None


def _finite(values: Numbers) -> list[float]:
    return [value for value in values if math.isfinite(value)]


def _least(values: Numbers) -> float | None:
    return min(_finite(values), default=None)


def _most(values: Numbers) -> float | None:
    return max(_finite(values), default=None)


def _sum(values: Numbers) -> float | None:
    return number(sum(values)) if values else None


def _mean(values: Numbers) -> float | None:
    if not values:
        return None
    try:
        return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else sum(values) / len(values)
    except OverflowError:  # of values whose sum no float can hold
        return math.fsum(value / len(values) for value in values)


def _std(values: Numbers) -> float | None:
    """Of a sample: divided by n - 1."""
    if len(values) < 2:
        return None
    mean = _mean(values) if all(map(math.isfinite, values)) else math.nan
    assert mean is not None
    try:
        return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
    except OverflowError:  # of values whose squares no float can hold
        size = max(map(abs, values))
        spread = _std([value / size for value in values])
        assert spread is not None
        return spread * size


def _median(values: Numbers) -> float | None:
    if not values or any(value != value for value in values):
        return math.nan if values else None
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


#: Name -> reducer; None where there is nothing to reduce. min and max are of the finite values; the others of all.
REDUCERS: Mapping[str, Callable[[Numbers], float | None]] = {
    "min": _least,
    "max": _most,
    "mean": _mean,
    "std": _std,
    "median": _median,
    "sum": _sum,
    "first": lambda values: values[0] if values else None,
    "last": lambda values: values[-1] if values else None,
    "count": len,
}


def split(key: str) -> tuple[str, str]:
    """A key like `loss.min` as metric and reducer; ("", "") for one that ends in none."""
    name, _, how = key.rpartition(".")
    return (name, how) if name and how in REDUCERS else ("", "")
