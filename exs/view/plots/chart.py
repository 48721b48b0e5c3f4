"""What a plot shows, before anybody draws it: axes, points, cells, lines and a caption, all texts safe to print."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise

from exs.model import Json
from exs.view.plots.scale import Axis

#: How far apart, as a share of the axis, points of groups that have one x are drawn, where there is room: those over a
#: word, those over a number ...
_APART, _BESIDE = 0.03, 0.012
#: ... which there is where not more numbers than these are drawn over.
_FEW = 20


@dataclass(frozen=True)
class Point:
    """A mean of `n` jobs; `low` and `high` are where its bar or band ends. `of`: what it is, in words.

    `job`: of a point of a single job, which one.
    """

    x: float
    y: float
    low: float
    high: float
    n: int
    of: str
    job: str = ""


@dataclass
class Group:
    """What has one colour, marker and dash. `label` is "" where there is only one.

    `runs`: the points of single jobs, one list per job, where they are to be seen; `points` the means.
    """

    label: str
    points: list[Point] = field(default_factory=list)
    runs: list[list[Point]] = field(default_factory=list)


@dataclass
class Plot:
    """What all plots have. `caption`: sentences. `legend`: the name of what has colours, "" for nothing."""

    kind: str
    title: str
    caption: Sequence[str]
    legend: str = ""


@dataclass
class Chart(Plot):
    """Points over an x and a y axis. `line`: means are joined. `band`: the spread is a band, not bars (curves).

    `spread`: the sentence on bars or bands, for whoever draws them; "" where there are none.
    """

    x: Axis = field(default_factory=Axis)
    y: Axis = field(default_factory=Axis)
    groups: list[Group] = field(default_factory=list)
    line: bool = False
    band: bool = False
    spread: str = ""

    def places(self, number: int, points: Sequence[Point]) -> list[tuple[float, float]]:
        """Where points of the group of this number stand: side by side with those of others that have the same x."""
        shift = self._shift(number)
        return [(self.x.place(point.x) + shift, self.y.place(point.y)) for point in points]

    def _shift(self, number: int) -> float:
        count = len(self.groups)
        if self.band or count < 2:
            return 0.0
        held = [{self.x.place(point.x) for point in _drawn(group)} for group in self.groups]
        found = set().union(*held)
        if len(found) == sum(map(len, held)):
            return 0.0
        gap = min((after - before for before, after in pairwise(sorted(found))), default=1.0)
        words = self.x.scale == "text"
        room = 0.6 * gap if words else 0.5 * gap if len(found) <= _FEW else 0.0
        return min(room / count, _APART if words else _BESIDE) * (number - (count - 1) / 2)


@dataclass(frozen=True)
class Cell:
    """One field of a heat map: the mean and standard deviation of `n` jobs. `column` and `row` count from 0."""

    column: int
    row: int
    mean: float
    spread: float
    n: int
    of: str


@dataclass
class Heatmap(Plot):
    """Cells over two axes of words; `value` is the axis of what they hold."""

    x: Axis = field(default_factory=Axis)
    y: Axis = field(default_factory=Axis)
    value: Axis = field(default_factory=Axis)
    cells: list[Cell] = field(default_factory=list)


@dataclass(frozen=True)
class Line:
    """The mean of `n` jobs across the axes of a parallel plot: its value on each. `group` counts from 0."""

    values: tuple[float, ...]
    group: int
    n: int
    of: str


@dataclass
class Parallel(Plot):
    """A vertical axis per parameter, the last one for what was measured. `labels`: of the groups, in their order."""

    axes: list[Axis] = field(default_factory=list)
    labels: Sequence[str] = ()
    lines: list[Line] = field(default_factory=list)


def table(plot: Plot) -> tuple[list[str], list[list[Json]]]:
    """Header and rows of the numbers that are drawn, for a page and for programs."""
    if isinstance(plot, Chart):
        return _of_chart(plot)
    if isinstance(plot, Heatmap):
        header = [plot.x.label, plot.y.label, plot.value.label, "spread", "n"]
        return header, [
            [plot.x.word(cell.column), plot.y.word(cell.row), cell.mean, cell.spread, cell.n] for cell in plot.cells
        ]
    assert isinstance(plot, Parallel)
    grouped = [plot.legend] if plot.legend else []
    header = [*grouped, *(axis.label for axis in plot.axes), "n"]
    return header, [
        [
            *([plot.labels[line.group]] if grouped else []),
            *(axis.word(value) for axis, value in zip(plot.axes, line.values, strict=True)),
            line.n,
        ]
        for line in plot.lines
    ]


def _of_chart(plot: Chart) -> tuple[list[str], list[list[Json]]]:
    grouped = [plot.legend] if plot.legend else []
    means = ["low", "high", "n"] if any(group.points for group in plot.groups) else []
    jobs = ["job"] if any(group.runs for group in plot.groups) else []
    rows: list[list[Json]] = []
    for group in plot.groups:
        label = [group.label] if grouped else []
        for p in _drawn(group):
            spread = [p.low, p.high, p.n] if means else []
            rows.append([*label, plot.x.word(p.x), p.y, *spread, *([p.job] if jobs else [])])
    return [*grouped, plot.x.label, plot.y.label, *means, *jobs], rows


def _drawn(group: Group) -> Iterator[Point]:
    yield from group.points
    for run in group.runs:
        yield from run


def document(plot: Plot) -> Mapping[str, Json]:
    """Everything that is drawn, for programs."""
    return asdict(plot)
