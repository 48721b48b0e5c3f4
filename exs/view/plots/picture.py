"""Plots as PNG, SVG or PDF. matplotlib draws in places from 0 to 1: scales and ticks are those of the terminal."""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from exs.view.plots.chart import Chart, Group, Heatmap, Parallel, Plot, Point
from exs.view.plots.libraries import matplotlib
from exs.view.plots.scale import Axis, share

#: Colours of Okabe and Ito, which people tell apart however they see colours, dark and light in turns ...
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9", "#7F7F7F")
#: ... and markers and dashes, for a print without colours.
_MARKERS = "osD^vPX*"
_DASHES: tuple[Any, ...] = (
    "-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (3, 1, 1, 1, 1, 1)), (0, (8, 3)), (0, (2, 4)), (0, (1, 4)),
)  # fmt: skip
#: Pixels of a picture, and of an inch of it.
WIDTH, HEIGHT, DPI = 1280, 800, 160
LEAST_WIDTH, LEAST_HEIGHT, MOST = 320, 240, 10_000
#: What markers are called that a page shows when the pointer is on them.
HIDDEN = "hidden"
#: More points than this stand in an SVG as one picture.
_SINGLE = 5000

#: matplotlib brings the first; the others have the characters of East Asia, on Debian, macOS and Windows.
_FONTS = ["DejaVu Sans", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "Hiragino Sans", "Arial Unicode MS", "Yu Gothic"]

_STYLE = {
    "font.family": _FONTS,
    "font.size": 9,
    "text.parse_math": False,
    "text.usetex": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "exs",
    "pdf.fonttype": 42,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "hatch.linewidth": 0.5,
}


@dataclass(frozen=True)
class Size:
    """Pixels."""

    width: int = WIDTH
    height: int = HEIGHT


def picture(plot: Plot, form: str, size: Size, tips: bool = False) -> bytes:
    """The file, in the form `png`, `svg` or `pdf`. In an SVG `points-G`, `run-G-N`, `cell-N` and `line-N` name what is
    drawn. `tips`: there is a marker on every point of a curve, for a page to hide until the pointer is on it.
    """
    library = matplotlib()
    with library.rc_context():
        library.rcdefaults()
        library.rcParams.update(_STYLE)
        figure = library.figure.Figure(figsize=(size.width / DPI, size.height / DPI), dpi=DPI, layout="constrained")
        figure.suptitle(plot.title, x=0.01, ha="left", fontsize=11, fontweight="bold")
        if isinstance(plot, Chart):
            _chart(plot, figure, tips)
        elif isinstance(plot, Heatmap):
            _heatmap(plot, figure, library)
        elif isinstance(plot, Parallel):
            _parallel(plot, figure)
        spread = [plot.spread] if isinstance(plot, Chart) and plot.spread else []
        columns = int(size.width / DPI * 15.5)
        caption = "\n".join(textwrap.wrap(" ".join([*plot.caption, *spread]), columns))
        figure.supxlabel(caption, x=0.01, ha="left", fontsize=8, color="#444444")
        data = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that no font has some character: it is drawn as a box
            figure.savefig(data, format=form, dpi=DPI, metadata={"Date": None} if form == "svg" else None)
    return data.getvalue()


def _most(axes: Any, horizontal: bool) -> int:
    """Ticks that an axis of this length has room for."""
    width, height = axes.figure.get_size_inches()
    return max(3, int(width * 1.25)) if horizontal else max(3, int(height * 1.6))


def _set_axes(axes: Any, x: Axis, y: Axis) -> None:
    most = _most(axes, horizontal=True)
    ticks = x.ticks(max(most, len(x.words)) if len(x.words) <= 24 else most)
    axes.set_xticks([place for place, _ in ticks], [text for _, text in ticks])
    if sum(len(text) + 2 for _, text in ticks) > axes.figure.get_size_inches()[0] * 12:
        for label in axes.get_xticklabels():
            label.set(rotation=30, ha="right", rotation_mode="anchor")
    ticks = y.ticks(max(_most(axes, horizontal=False), len(y.words)))
    axes.set_yticks([place for place, _ in ticks], [text for _, text in ticks])
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel=x.label, ylabel=y.label)


def _chart(plot: Chart, figure: Any, tips: bool) -> None:
    axes = figure.subplots()
    axes.grid(True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    many = sum(len(group.points) + sum(map(len, group.runs)) for group in plot.groups) > _SINGLE
    for number, group in enumerate(plot.groups):
        if group.runs:
            _runs(axes, plot, group, number, many)
        if group.points:
            _means(axes, plot, group, number, many)
        if tips and plot.band and group.points and not many:
            x, y = _apart(plot.places(number, group.points))
            _points(axes, x, y, number, f"{HIDDEN}-{number}", many)
    _set_axes(axes, plot.x, plot.y)
    if plot.legend:
        _legend(figure, plot.legend, [group.label for group in plot.groups], plot.line)


def _means(axes: Any, plot: Chart, group: Group, number: int, many: bool) -> None:
    """The means of a group with their bars or band, joined where they are to be."""
    colour, marker, dash = _sign(number)
    x, y = _apart(plot.places(number, group.points))
    low, high = ([plot.y.place(end) for end in ends] for ends in _ends(group.points))
    if plot.band:
        alpha = min(0.14, 0.4 / len(plot.groups))  # many bands, one over the other, would hide the lines
        axes.fill_between(x, low, high, color=colour, alpha=alpha, linewidth=0)
    else:
        bars = [bar for bar in zip(x, low, high, strict=True) if bar[1] < bar[2]]
        if bars:
            axes.vlines(*zip(*bars, strict=True), color=colour, linewidth=1.2)
        capped = [(at, end) for at, *both in bars for end in both]
        axes.plot(*_apart(capped), linestyle="none", marker="_", markersize=6, color=colour)
    if plot.line:
        every = max(1, len(x) // 10)
        at = every * number // len(plot.groups), every
        marks = {"marker": marker, "markersize": 5, "markevery": at} if plot.band and len(plot.groups) > 1 else {}
        axes.plot(x, y, color=colour, linestyle=dash, linewidth=1.6, **marks)
    if not plot.band:
        _points(axes, x, y, number, f"points-{number}", many)


def _ends(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [point.low for point in points], [point.high for point in points]


def _apart(places: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in places], [y for _, y in places]


def _sign(number: int) -> tuple[str, str, Any]:
    at = number % len(_COLOURS)
    return _COLOURS[at], _MARKERS[at], _DASHES[at]


def _points(axes: Any, x: list[float], y: list[float], number: int, name: str, many: bool) -> None:
    colour, marker, _ = _sign(number)
    axes.plot(
        x,
        y,
        linestyle="none",
        marker=marker,
        markersize=6,
        markeredgecolor="white",
        markeredgewidth=0.6,
        color=colour,
        gid=name,
        rasterized=many,
    )


def _runs(axes: Any, plot: Chart, group: Group, number: int, many: bool) -> None:
    """Single jobs: thin lines of curves, else points, hollow and small where means stand beside them."""
    colour, marker, dash = _sign(number)
    if plot.band:
        for at, run in enumerate(group.runs):
            every = max(1, len(run) // 3)
            marks = {"marker": marker, "markersize": 3.5, "markevery": ((at * 7 + number) % every, every)}
            style = {"color": colour, "linestyle": dash, "linewidth": 0.9, "alpha": 0.7, "gid": f"run-{number}-{at}"}
            axes.plot(*_apart(plot.places(number, run)), **style, **marks)
        return
    x, y = _apart(plot.places(number, [point for run in group.runs for point in run]))
    if group.points:
        style = {"markerfacecolor": "none", "markeredgewidth": 0.8, "markersize": 4.5, "alpha": 0.8}
        axes.plot(x, y, linestyle="none", marker=marker, color=colour, gid=f"runs-{number}", rasterized=many, **style)
    else:
        _points(axes, x, y, number, f"runs-{number}", many)


def _legend(figure: Any, name: str, labels: Sequence[str], line: bool) -> None:
    """Beside the axes, never over them."""
    from matplotlib.lines import Line2D

    handles = []
    for number in range(len(labels)):
        colour, sign, dash = _sign(number)
        handles.append(Line2D([], [], color=colour, marker=sign, linestyle=dash if line else "none", markersize=5))
    figure.legend(
        handles, labels, title=name, loc="outside right upper", frameon=False, fontsize=8.5,
        handlelength=3.2 if line else 1.2, alignment="left",
    )  # fmt: skip


def _heatmap(plot: Heatmap, figure: Any, library: Any) -> None:
    axes = figure.subplots()
    across, up = len(plot.x.words), len(plot.y.words)
    colours = library.colormaps["viridis"]
    axes.set_facecolor("#f4f4f4")
    room = axes.figure.get_size_inches()[0] * 9 / across
    for number, cell in enumerate(plot.cells):
        shade = share(plot.value.place(cell.mean))
        corner = cell.column / across, cell.row / up
        patch = library.patches.Rectangle(
            corner, 1 / across, 1 / up, facecolor=colours(shade), edgecolor="white", linewidth=1, gid=f"cell-{number}"
        )
        axes.add_patch(patch)
        if room >= 5:
            style = {"color": "white" if shade < 0.6 else "black", "fontsize": 8.5 if room >= 8 else 7}
            place = (cell.column + 0.5) / across, (cell.row + 0.5) / up
            axes.text(*place, f"{cell.mean:.3g}", ha="center", va="center", **style)
    _set_axes(axes, plot.x, plot.y)
    bar = figure.colorbar(library.cm.ScalarMappable(cmap=colours), ax=axes, pad=0.02, label=plot.value.label)
    ticks = plot.value.ticks(6)
    bar.set_ticks([share(place) for place, _ in ticks], labels=[text for _, text in ticks])
    bar.outline.set_visible(False)


def _parallel(plot: Parallel, figure: Any) -> None:
    axes = figure.subplots()
    count = len(plot.axes)
    colours = matplotlib().colormaps["viridis"]
    last = plot.axes[-1]
    for number, line in enumerate(plot.lines):
        y = [axis.place(value) for axis, value in zip(plot.axes, line.values, strict=True)]
        colour, marker, dash = _sign(line.group)
        if not plot.legend:
            colour, marker, dash = colours(0.9 * share(last.place(line.values[-1]))), "", "-"
        axes.plot(
            range(count), y, color=colour, linestyle=dash, marker=marker, markersize=4, linewidth=1.3, alpha=0.85,
            gid=f"line-{number}", clip_on=False,
        )  # fmt: skip
    for at, axis in enumerate(plot.axes):
        axes.axvline(at, color="black", linewidth=0.8)
        for place, text in axis.ticks(max(8, len(axis.words))):
            side = {"ha": "right", "xytext": (-4, 0)} if at < count - 1 else {"ha": "left", "xytext": (5, 0)}
            label = axes.annotate(text, (at, place), textcoords="offset points", va="center", fontsize=8, **side)
            label.set_bbox({"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8})
    axes.set_xticks(range(count), [axis.label for axis in plot.axes], fontweight="bold")
    axes.tick_params(bottom=False)
    axes.set(xlim=(-0.15, count - 1 + 0.15), ylim=(0, 1), yticks=[])
    for edge in ("left", "bottom"):
        axes.spines[edge].set_visible(False)
    if plot.legend:
        _legend(figure, plot.legend, plot.labels, line=True)
