"""What a metric did step by step: a mean with its band per group, or every job's own line."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from exs.errors import InputError
from exs.view.plots.chart import Chart, Group, Point
from exs.view.plots.groups import averaging, colours, counted, ends, said
from exs.view.plots.points import refuse_low
from exs.view.plots.samples import Sample, Wish
from exs.view.plots.scale import number, number_axis
from exs.view.text import safe

#: Steps at which means are taken: as many as a plot has columns.
_STEPS = 300

Series = list[tuple[float, float]]


def chart(samples: Sequence[Sample], wish: Wish) -> Chart:
    """The curves of the metric `wish.y`. Raises InputError where there is nothing to draw, or not on that scale."""
    kept, tally = counted(samples, wish, [], live=True)
    if not kept:
        raise InputError(f"there is nothing to plot: {tally.sentence()}")
    labels, of, note = colours(kept, wish.color)
    members: list[list[Sample]] = [[] for _ in labels]
    for sample, group in zip(kept, of, strict=True):
        members[group].append(sample)
    log_x, log_y = bool(wish.log_x), bool(wish.log_y)
    groups = []
    for label, those in zip(labels, members, strict=True):
        named = f", {safe(wish.color)} {label}" if label else ""
        groups.append(_group(label, those, wish, named))
    spots = [spot for group in groups for run in (group.points, *group.runs) for spot in run]
    steps = [spot.x for spot in spots]
    refuse_low(steps, "step", "x", log_x)
    refuse_low([spot.y for spot in spots], wish.y, "y", log_y)
    ranges = [end for spot in spots for end in (spot.low, spot.high)]
    caption = [
        tally.sentence(),
        "Each line is one job." if wish.raw else averaging(members),
        note,
        _holes(kept, wish.y),
        *(f"{name} on a log scale." for name, log in (("step", log_x), (safe(wish.y), log_y)) if log),
    ]
    return Chart(
        "curves",
        f"{safe(wish.experiment)}: {safe(wish.y)} by step",
        [sentence for sentence in caption if sentence],
        safe(wish.color),
        number_axis("step", steps, log_x, whole=all(step == int(step) for step in steps)),
        number_axis(safe(wish.y), ranges, log_y),
        groups,
        line=True,
        band=True,
        spread="Bands: ± one standard deviation." if any(p.n > 1 for g in groups for p in g.points) else "",
    )


def _group(label: str, those: Sequence[Sample], wish: Wish, named: str) -> Group:
    runs = [(sample, _finite(sample)) for sample in those]
    if wish.raw:
        return Group(label, [], [[Point(x, y, y, y, 1, f"{s.job}{named}", s.job) for x, y in run] for s, run in runs])
    group = Group(label)
    for step in _grid([run for _, run in runs]):
        values = [value for _, run in runs if (value := _at(run, step)) is not None]
        mean, low, high = ends(values, bool(wish.log_y))
        of = f"step {step:g}{named}: {said(mean, low, len(values))}"
        group.points.append(Point(step, mean, low, high, len(values), of))
    return group


def _finite(sample: Sample) -> Series:
    """The points that can be drawn, by step; of one step that was told twice the later one."""
    return sorted({step: value for step, value in sample.points if number(value) is not None}.items())


def _grid(runs: Sequence[Series]) -> list[float]:
    """The steps at which some run has a point, or so many of them as can be told apart."""
    steps = sorted({step for run in runs for step, _ in run})
    if len(steps) <= _STEPS:
        return steps
    return [steps[at * (len(steps) - 1) // (_STEPS - 1)] for at in range(_STEPS)]


def _at(run: Series, step: float) -> float | None:
    """The value at a step, between two points on the line that joins them; None before the first and after the last.

    Long series are thinned out, each for itself: without this a mean would jump with the runs that have a point there.
    """
    place = bisect_left(run, (step, float("-inf")))
    if place < len(run) and run[place][0] == step:
        return run[place][1]
    if place in (0, len(run)):
        return None
    (x0, y0), (x1, y1) = run[place - 1], run[place]
    return y0 + (y1 - y0) * (step - x0) / (x1 - x0)


def _holes(kept: Sequence[Sample], name: str) -> str:
    """A sentence on values that are no numbers, as those of a run that diverged are."""
    jobs = sum(any(number(value) is None for _, value in sample.points) for sample in kept)
    return f"{jobs} of the jobs had a {safe(name)} that is no finite number; it is left out." if jobs else ""
