"""Every parameter as an axis of its own, what was measured as the last one, and a line through them per point."""

from __future__ import annotations

from collections.abc import Sequence

from exs.errors import InputError
from exs.view.plots.chart import Line, Parallel
from exs.view.plots.groups import averaging, colours, counted, mean_and_spread, said
from exs.view.plots.points import refuse_low, value_of, x_axis
from exs.view.plots.samples import Sample, Wish
from exs.view.plots.scale import number_axis, word
from exs.view.text import safe

#: More lines are one black patch, and take minutes to draw.
_LINES = 1000


def parallel(samples: Sequence[Sample], wish: Wish) -> Parallel:
    """The parallel plot of `wish.x` and `wish.y`. Raises InputError where there is nothing to draw."""
    kept, tally = counted(samples, wish, wish.x)
    if not kept:
        raise InputError(f"there is nothing to plot: {tally.sentence()}")
    axes, columns, powers = [], [], []
    for name in wish.x:
        axis, places, note = x_axis(kept, name, wish.log_x)
        axes.append(axis)
        columns.append(places)
        powers += [safe(name)] if note else []
    labels, of, shared = colours(kept, wish.color)
    buckets: dict[tuple[int, tuple[float, ...], int], list[Sample]] = {}
    for at, sample in enumerate(kept):
        key = of[at], tuple(column[at] for column in columns), at if wish.raw else -1
        buckets.setdefault(key, []).append(sample)
    every = -(-len(buckets) // _LINES)
    shown = list(buckets.items())[::every]
    lines = [_line(bucket, group, places, wish) for (group, places, _), bucket in shown]
    ends = [line.values[-1] for line in lines]
    refuse_low(ends, wish.y, "y", bool(wish.log_y))
    axes.append(number_axis(safe(wish.y), ends, bool(wish.log_y)))
    logs = [*powers, *([safe(wish.y)] if wish.log_y else [])]
    caption = [
        tally.sentence(),
        "Each line is one job." if wish.raw else averaging(list(buckets.values())),
        f"Log scales: {', '.join(logs)}{' (--log none: linear)' if powers and wish.log_x is None else ''}."
        if logs
        else "",
        shared,
        f"{len(shown)} of {len(buckets)} lines, evenly chosen." if every > 1 else "",
        f"{wish.meaning}." if wish.meaning else "",
    ]
    title = f"{safe(wish.experiment)}: {safe(wish.y)} by {len(wish.x)} parameters"
    return Parallel(
        "parallel", title, [one for one in caption if one], safe(wish.color), axes, labels if wish.color else (), lines
    )


def _line(bucket: Sequence[Sample], group: int, places: tuple[float, ...], wish: Wish) -> Line:
    mean, spread = mean_and_spread([value_of(sample, wish.y) for sample in bucket])
    first = bucket[0]
    where = ", ".join(f"{safe(name)} {word(first.values[name])}" for name in wish.x)
    job = f"{first.job}: " if wish.raw else ""
    return Line((*places, mean), group, len(bucket), f"{job}{where}: {said(mean, mean - spread, len(bucket))}")
