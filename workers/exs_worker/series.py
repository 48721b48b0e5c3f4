"""What is kept of a metric: its last, first, lowest and highest value, how many there were, and points to draw.

Of the points every `every`-th is kept, beginning with the first; when there are too many, every second one goes and
`every` doubles. So which are kept depends on the values alone, not on how they came in batches.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from exs.model import Json

if TYPE_CHECKING:
    from exs_worker.metricfiles import MetricFiles

#: Characters in the name of a metric.
NAME = 100
#: Bytes of JSON of the last values that a list shows: a job that has more makes its record twice as large in Redis.
LAST = 1000

#: What a value that is no finite number is called.
NAMED = {"nan": "nan", "inf": "inf", "-inf": "-inf", "NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}

Number = int | float
Point = tuple[Number, Json]  #: step, and a finite number or one of the texts "nan", "inf", "-inf"


class Series:
    """One metric. `most`: points that are kept at most. Points are text, `step value` lines of nine digits: what a
    float32 holds, and they are for drawing; first, last, lowest and highest are exact."""

    __slots__ = ("_base", "_lines", "_most", "_told", "changed", "count", "every", "first", "highest", "last", "lowest")

    def __init__(self, most: int) -> None:
        self.count = 0
        self.every = 1
        self.first: Point | None = None
        self.last: Point | None = None
        self.lowest: Point | None = None
        self.highest: Point | None = None
        self.changed = False
        self._most = most
        self._lines: list[str] = []
        self._told = 0  # of the lines
        self._base = 0  # bytes of those

    def add(self, step: Number, value: Json) -> None:
        """One value more."""
        point = self.last = step, value
        self.changed = True
        if not self.count % self.every:
            self._keep(point)
        self.count += 1
        if self.first is None:
            self.first = point
        if value.__class__ is str:
            return
        if self.lowest is None or value < self.lowest[1]:
            self.lowest = point
        if self.highest is None or value > self.highest[1]:
            self.highest = point

    @property
    def points(self) -> list[tuple[float, float]]:
        """Those that are kept, in the order in which they came."""
        return [(float(step), float(value)) for step, value in (line.split() for line in self._lines)]

    def summary(self) -> dict[str, Json]:
        """All but the points, as Redis keeps it."""
        found = {"first": self.first, "last": self.last, "min": self.lowest, "max": self.highest}
        return {"n": self.count, "every": self.every, **{k: list(v) for k, v in found.items() if v is not None}}

    def news(self, whole: bool) -> list[Json]:
        """[summary, base, points]: what to put behind the first `base` bytes of points, which were told before."""
        if whole:
            self._told = self._base = 0
        base, text = self._base, "".join(self._lines[self._told :])
        self._told, self._base = len(self._lines), base + len(text)
        self.changed = False
        return [self.summary(), base, text]

    def _keep(self, point: Point) -> None:
        if len(self._lines) >= self._most:
            del self._lines[1::2]
            self.every *= 2
            self._told = self._base = 0
            if self.count % self.every:
                return
        step, value = point
        self._lines.append(f"{step} {value}\n" if value.__class__ is str else f"{step} {value:.9g}\n")


class Metrics:
    """All metrics of an attempt. `points` and `names`: how many are kept at most. `files` takes every point."""

    def __init__(self, files: MetricFiles, points: int, names: int) -> None:
        self.step: Number | None = None  #: the highest so far
        self._files = files
        self._points = points
        self._names = names
        self._series: dict[str, Series] = {}

    def begin(self, until: float, before: float) -> None:
        """Go on from what earlier attempts left, up to the step `until`, and before the step `before`."""
        for name, (step, value) in self._files.old(until, before):
            with contextlib.suppress(ValueError):  # they were more once than they may be now
                (self._series.get(name) or self._new(name)).add(step, value)
                self._highest(step)

    def add(self, step: Json, values: Mapping[str, Json]) -> None:
        """A value of each; without a step, a metric counts its own. Raises ValueError for what cannot be used, having
        used the rest."""
        problem = "" if step is None or is_number(step) else "step is no number"
        if problem:
            step = None
        for name, value in values.items():
            try:
                series = self._series.get(name) or self._new(name)
                point = series.count + 1 if step is None else step, checked(value)
            except ValueError as error:
                problem = problem or f"metric {name[:NAME]!r}: {error}"
                continue
            series.add(*point)
            self._files.add(name, point)
        if step is not None:
            self._highest(step)
        if problem:
            raise ValueError(problem)

    @property
    def problem(self) -> str:
        """Why not every point is in the files."""
        return self._files.problem

    def write(self) -> None:
        """Bring what was added to the files."""
        self._files.write()

    def close(self) -> None:
        """Nothing more is added."""
        self._files.close()

    def news(self, whole: bool) -> dict[str, Json]:
        """What Redis does not know yet, or all of it; {} for nothing."""
        changed = {name: series.news(whole) for name, series in self._series.items() if whole or series.changed}
        return {"metrics": changed, "last": self._last()} if changed else {}

    def _new(self, name: str) -> Series:
        if len(self._series) >= self._names:
            raise ValueError(f"a job has at most {self._names}")
        if not 0 < len(name) <= NAME or not name.isprintable() or name == "step":
            raise ValueError(f"not a name: 1 to {NAME} printable characters, and not `step`")
        series = self._series[name] = Series(self._points)
        return series

    def _highest(self, step: Number) -> None:
        if self.step is None or step > self.step:
            self.step = step

    def _last(self) -> dict[str, Json]:
        shown: dict[str, Json] = {}
        room = LAST
        for name, series in self._series.items():
            if series.last is not None:
                room -= 6 * len(name) + 30
                if room < 0:
                    break
                shown[name] = series.last[1]
        return shown


def is_number(value: Json) -> bool:
    """True for a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value - value == 0


def checked(value: Json) -> Json:
    """A value of a metric: a finite number, or the name of one that is none. Raises ValueError for anything else."""
    kind = value.__class__
    if kind is float:
        return value if value - value == 0 else str(value)
    if kind is int:
        if value.bit_length() <= 1000:
            return value
    elif kind is bool:
        return int(value)
    elif kind is str and value in NAMED:
        return NAMED[value]
    raise ValueError("no number")
