"""Metrics of a job, from what Redis keeps of them."""

from __future__ import annotations

from collections.abc import Iterable

from exs.errors import BrokenRecord
from exs.model import Json
from exs.rows import Metric
from exs.store.records import loads, text


def metrics_from(told: Iterable[tuple[bytes, bytes | None, bytes]]) -> dict[str, Metric]:
    """Metrics by name, from name, summary and points of each; what is not there or cannot be read is left out (R12)."""
    found: dict[str, Metric] = {}
    for field, summary, points in told:
        try:
            if summary and (name := text(field)):
                found[name] = _metric(name, loads(summary, "metric"), points)
        except (BrokenRecord, ValueError, TypeError, LookupError):
            continue
    return found


def _metric(name: str, f: dict[str, Json], points: bytes) -> Metric:
    return Metric(
        name,
        int(f["n"]),
        _point(f["first"]),
        _point(f["last"]),
        _point(f["min"]) if "min" in f else None,
        _point(f["max"]) if "max" in f else None,
        int(f["every"]),
        _points(points) if points else (),
    )


def _points(text: bytes) -> tuple[tuple[float, float], ...]:
    words = (line.split() for line in text.decode("ascii").splitlines())
    return tuple((float(step), float(value)) for step, value in words)


def _point(given: Json) -> tuple[float, Json]:
    step, value = given
    if not isinstance(value, (int, float)) and value not in ("nan", "inf", "-inf"):
        raise ValueError(f"{value!r} is no value of a metric")
    return float(step), value
