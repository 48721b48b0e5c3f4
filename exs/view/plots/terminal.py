"""Plots as text for a terminal: plotille draws the canvas in braille dots, the axes and the words are put around it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from exs.view.plots.chart import Chart, Heatmap, Line, Parallel, Plot, Point
from exs.view.plots.libraries import plotille
from exs.view.plots.scale import Axis, share
from exs.view.screen import Screen
from exs.view.text import cut, padded, width

#: Marker, colour and dash (dots drawn, dots left out) of each group: told apart without colours too.
_SIGNS = (
    ("o", "blue", (1, 0)),
    ("x", "red", (2, 2)),
    ("+", "green", (1, 3)),
    ("*", "magenta", (6, 2)),
    ("#", "cyan", (4, 4)),
    ("@", "yellow", (1, 1)),
    ("%", "bright_red", (8, 3)),
    ("=", "bright_black", (2, 5)),
)
_SHADES = " ░▒▓█"
#: A plot where the terminal does not say how wide it is, and how high one is if nothing else is wanted.
WIDTH, HEIGHT = 80, 24
#: No picture is made smaller than this, in columns or lines.
LEAST_WIDTH, LEAST_HEIGHT = 40, 12
#: Lines that the title, the axes and their names take.
_AROUND = 6
#: In the second place of a character that takes two.
_BEHIND = "\ue000"
#: What stands in for characters that the encoding of the output has not.
ASCII = str.maketrans("─│└┤┬╵±…░▒▓█", "-|+||'~~.:%#")


@dataclass(frozen=True)
class Size:
    """Columns and lines."""

    width: int = WIDTH
    height: int = HEIGHT


def lines(plot: Plot, screen: Screen, size: Size, ascii_only: bool = False) -> Iterator[str]:
    """The plot line by line, at most `size.width` columns wide."""
    for line in _lines(plot, screen, size):
        yield _in_ascii(line) if ascii_only else line


def _in_ascii(line: str) -> str:
    return "".join("." if "\u2800" < sign <= "\u28ff" else sign for sign in line.translate(ASCII))


def _lines(plot: Plot, screen: Screen, size: Size) -> Iterator[str]:
    yield cut(plot.title, size.width)
    if isinstance(plot, Chart):
        yield from _chart(plot, screen, size)
    elif isinstance(plot, Heatmap):
        yield from _heatmap(plot, screen, size)
    elif isinstance(plot, Parallel):
        yield from _parallel(plot, screen, size)
    spread = [plot.spread] if isinstance(plot, Chart) and plot.spread and not plot.band else []
    for line in textwrap.wrap(" ".join([*plot.caption, *spread]), size.width):
        yield screen.paint(line, "dim")


class _Canvas:
    """A drawing area whose corners are (0, 0) and (1, 1)."""

    def __init__(self, screen: Screen, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self._colour = screen.colour
        self._canvas = plotille().Canvas(columns, rows, 0, 0, 1, 1)
        self._dots = (columns * 2, rows * 4)

    def mark(self, x: float, y: float, sign: str, colour: str) -> None:
        """A character at a point."""
        self._canvas.point(self._inside(x, 0), self._inside(y, 1), color=self._of(colour), marker=sign)

    def write(self, column: int, row: int, text: str) -> None:
        """Characters from a place on, counted from the lower left."""
        signs = [part for sign in text for part in (sign, *([_BEHIND] * (width(sign) - 1)))]
        for number, sign in enumerate(signs):
            if 0 <= column + number < self.columns:
                place = (column + number + 0.5) / self.columns, (row + 0.5) / self.rows
                self._canvas.point(*place, marker=sign)

    def join(self, points: Sequence[tuple[float, float]], colour: str = "", dash: tuple[int, int] = (1, 0)) -> None:
        """A line through points, drawn as `dash` says."""
        drawn, left = dash
        count = 0
        for (x0, y0), (x1, y1) in pairwise(points):
            steps = max(1, round(max(abs(x1 - x0) * self._dots[0], abs(y1 - y0) * self._dots[1])))
            for step in range(steps):
                count += 1
                if count % (drawn + left) < drawn:
                    x, y = x0 + (x1 - x0) * step / steps, y0 + (y1 - y0) * step / steps
                    self._canvas.point(self._inside(x, 0), self._inside(y, 1), color=self._of(colour))

    def lines(self) -> list[str]:
        """From the top; where nothing was drawn there are spaces."""
        return [
            str(line).replace("\u2800", " ").replace(_BEHIND, "")
            for line in self._canvas.plot(linesep="\n").split("\n")
        ]

    def _inside(self, place: float, axis: int) -> float:
        return min(max(place, 0.0), 1 - 1 / self._dots[axis])

    def _of(self, colour: str) -> str | None:
        return colour if self._colour and colour else None


def _chart(plot: Chart, screen: Screen, size: Size) -> Iterator[str]:
    labels = [group.label for group in plot.groups]
    rows = max(4, size.height - _AROUND - bool(plot.legend) - len(plot.caption) // 2)
    ticks = plot.y.ticks(max(3, rows // 2))
    left = max(width(text) for _, text in ticks)
    canvas = _Canvas(screen, size.width - left - 2, rows)
    for number, group in enumerate(plot.groups):
        sign, colour, dash = _SIGNS[number % len(_SIGNS)]
        for run in group.runs if plot.band else ():
            canvas.join(plot.places(number, run), colour, dash)
        if plot.line:
            canvas.join(plot.places(number, group.points), colour, dash)
        if not plot.band:
            for (x, _), point in zip(plot.places(number, group.points), group.points, strict=True):
                canvas.join([(x, plot.y.place(point.low)), (x, plot.y.place(point.high))], colour)
    for number, group in enumerate(plot.groups):
        sign, colour, _ = _SIGNS[number % len(_SIGNS)]
        for run in (*group.runs, group.points):
            for place in plot.places(number, _marked(plot, run, canvas.columns, number)):
                canvas.mark(*place, "." if group.points and run is not group.points else sign, colour)
    yield cut(plot.y.label, size.width)
    yield from _framed(canvas, ticks, left)
    yield from _below(plot.x, canvas.columns, left)
    if plot.legend:
        yield from _legend(plot.legend, labels, screen, size)


def _marked(plot: Chart, points: Sequence[Point], columns: int, number: int) -> Sequence[Point]:
    """Of the points of a curve a few, elsewhere than those of other curves; else all."""
    if not plot.band or len(points) < 2:
        return points
    every = max(1, len(points) * 12 // columns)
    return points[every * number // len(plot.groups) :: every]


def _framed(canvas: _Canvas, ticks: Sequence[tuple[float, str]], left: int) -> Iterator[str]:
    """The canvas with the y axis at its left."""
    named = {min(canvas.rows - 1, int(place * canvas.rows)): text for place, text in ticks if 0 <= place <= 1}
    for number, line in enumerate(canvas.lines()):
        text = named.get(canvas.rows - 1 - number)
        yield f"{padded(text or '', left, right=True)}{'┤' if text else '│'}{line}".rstrip()


def _below(axis: Axis, columns: int, left: int) -> Iterator[str]:
    """The x axis: a rule with its ticks, their words as far as they do not touch, the name.

    Words that are too long for their places stand in two lines, in turns.
    """
    ticks = axis.ticks(columns // 9 if axis.scale != "text" else columns // 3)
    room = columns // max(1, len(ticks)) - 1
    turns = 2 if axis.scale == "text" and any(width(text) > room for _, text in ticks) else 1
    rule, rows = ["─"] * columns, [""] * turns
    for number, (place, text) in enumerate(ticks):
        column = min(columns - 1, int(place * columns))
        text = cut(text, max(2, turns * (room + 1) - 1)) if axis.scale == "text" else text
        start = min(max(0, column - width(text) // 2), columns - width(text))
        line = rows[number % turns]
        if start < width(line) + bool(line):
            continue
        rule[column] = "┬"
        rows[number % turns] = padded(line, start) + text
    yield f"{' ' * left}└{''.join(rule)}"
    yield from (f"{' ' * (left + 1)}{row}" for row in rows)
    name = cut(axis.label, columns)
    yield " " * (left + 1 + (columns - width(name)) // 2) + name


def _legend(name: str, labels: Sequence[str], screen: Screen, size: Size) -> Iterator[str]:
    used = width(name) + 1
    line = f"{name}:"
    for number, label in enumerate(labels):
        sign, colour, _ = _SIGNS[number % len(_SIGNS)]
        part = f"{sign} {label}"
        if used + width(part) + 2 > size.width:
            yield line
            line, used = " ", 1
        line += f"  {_painted(sign, colour, screen)} {label}"
        used += width(part) + 2
    yield line


def _painted(sign: str, colour: str, screen: Screen) -> str:
    return str(plotille().color(sign, fg=colour)) if screen.colour else sign


def _heatmap(plot: Heatmap, screen: Screen, size: Size) -> Iterator[str]:
    """A shaded field per pair, with its mean where that has room."""
    ticks = plot.y.ticks(size.height)
    left = max(width(text) for _, text in ticks)
    across, up = len(plot.x.words), len(plot.y.words)
    high = max(1, min(4, (size.height - _AROUND - len(plot.caption) // 2) // up))
    wide = max(1, min(16, (size.width - left - 2) // across))
    canvas = _Canvas(screen, wide * across, high * up)
    for cell in plot.cells:
        shade = _SHADES[1 + min(3, int(share(plot.value.place(cell.mean)) * 4))]
        inner = max(1, wide - 1)
        for row in range(max(1, high - 1)):
            canvas.write(cell.column * wide, cell.row * high + row, shade * inner)
        text = f" {cell.mean:.3g} "
        if len(text) <= inner:
            start = cell.column * wide + (inner - len(text)) // 2
            canvas.write(start, cell.row * high + max(0, high - 2) // 2, text)
    yield cut(plot.y.label, size.width)
    yield from _framed(canvas, ticks, left)
    yield from _below(plot.x, canvas.columns, left)
    low, top = plot.value.low, plot.value.high
    yield f"{plot.value.label}:  {_SHADES[1]} from {low:.4g}  {_SHADES[4]} to {top:.4g}"


def _parallel(plot: Parallel, screen: Screen, size: Size) -> Iterator[str]:
    rows = max(4, size.height - _AROUND - bool(plot.legend) - len(plot.caption) // 2)
    canvas = _Canvas(screen, size.width - 2, rows)
    count = len(plot.axes)
    spots = [0.04 + 0.92 * at / (count - 1) for at in range(count)]
    for spot in spots:
        canvas.join([(spot, 0.0), (spot, 1.0)])
    for line in plot.lines:
        _, colour, dash = _SIGNS[line.group % len(_SIGNS)]
        canvas.join(_path(plot, line, spots), colour, dash)
    for line in plot.lines:
        sign, colour, _ = _SIGNS[line.group % len(_SIGNS)]
        for x, y in _path(plot, line, spots):
            canvas.mark(x, y, sign, colour)
    for number, (spot, axis) in enumerate(zip(spots, plot.axes, strict=True)):
        column = int(spot * canvas.columns)
        for place, text in axis.ticks(max(3, rows // 3)):
            before = number == count - 1
            text = f" {text} "
            canvas.write(column - width(text) if before else column + 1, int(place * rows), text)
    yield from (f" {line}".rstrip() for line in canvas.lines())
    yield _names([axis.label for axis in plot.axes], spots, canvas.columns)
    if plot.legend:
        yield from _legend(plot.legend, plot.labels, screen, size)


def _names(labels: Sequence[str], spots: Sequence[float], columns: int) -> str:
    """The names of the axes of a parallel plot, each under its own."""
    line, room = "", columns // len(labels)
    for label, spot in zip(labels, spots, strict=True):
        text = cut(label, max(4, room - 1))
        start = max(len(line) + bool(line), min(int(spot * columns) + 1 - width(text) // 2, columns + 1 - width(text)))
        line = padded(line, start) + text
    return line


def _path(plot: Parallel, line: Line, spots: Sequence[float]) -> list[tuple[float, float]]:
    return [(x, axis.place(value)) for x, axis, value in zip(spots, plot.axes, line.values, strict=True)]
