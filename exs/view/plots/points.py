"""A value of each job over a parameter: means as points with bars, joined where that says something."""

from __future__ import annotations

from collections.abc import Sequence

from exs.errors import InputError
from exs.view.plots.chart import Chart, Group, Point
from exs.view.plots.groups import MOST, averaging, colours, counted, ends, said
from exs.view.plots.samples import Sample, Wish, varying
from exs.view.plots.scale import Axis, number, number_axis, spread_like_powers, text_axis, word
from exs.view.text import safe

#: More places than this on the x axis are not joined unless that is asked for, nor marked one by one.
_JOINED, _MARKED = 50, 12


def chart(samples: Sequence[Sample], wish: Wish) -> Chart:
    """The chart of `wish.y` over `wish.x`. Raises InputError where there is nothing to draw, or not on that scale."""
    (x_name,) = wish.x
    kept, tally = counted(samples, wish, [x_name])
    if not kept:
        raise InputError(f"there is nothing to plot: {tally.sentence()}")
    x, places, notes = x_axis(kept, x_name, wish.log_x)
    labels, of, note = colours(kept, wish.color)
    buckets: dict[tuple[int, float], list[Sample]] = {}
    for sample, of_group, place in zip(kept, of, places, strict=True):
        buckets.setdefault((of_group, place), []).append(sample)
    together = list(buckets.values())
    line = wish.kind == "line" or (not wish.kind and not wish.raw and _worth_a_line(x, x_name, together))
    log = bool(wish.log_y)
    refuse_low([value_of(sample, wish.y) for sample in kept], wish.y, "y", log)
    groups = [Group(label) for label in labels]
    for (at, place), bucket in sorted(buckets.items(), key=lambda item: item[0]):
        _add(groups[at], bucket, place, wish, f"{safe(x_name)} {x.word(place)}")
    spots = [spot for group in groups for part in (group.points, *group.runs) for spot in part]
    means = averaging(together)
    caption = [
        tally.sentence(),
        *(["Points are jobs."] if wish.raw else []),
        *([means] if line or not wish.raw else []),
        *notes,
        note,
        f"{wish.meaning}." if wish.meaning else "",
        f"{safe(wish.y)} on a log scale." if log else "",
    ]
    return Chart(
        "line" if line else "scatter",
        f"{safe(wish.experiment)}: {safe(wish.y)} by {safe(x_name)}",
        [sentence for sentence in caption if sentence],
        safe(wish.color),
        x,
        number_axis(safe(wish.y), [end for spot in spots for end in (spot.low, spot.high)], log),
        groups,
        line,
        spread="Bars: ± one standard deviation." if any(spot.n > 1 for spot in spots) and not wish.raw else "",
    )


def value_of(sample: Sample, name: str) -> float:
    """The number that a sample has of `name`; it was `counted`."""
    value = number(sample.values[name])
    assert value is not None
    return value


def x_axis(samples: Sequence[Sample], name: str, log: bool | None) -> tuple[Axis, list[float], list[str]]:
    """The axis of a parameter, where each sample stands on it, and a sentence if its scale was chosen here."""
    values = [sample.values[name] for sample in samples]
    numbers = [number(value) for value in values]
    known = [one for one in numbers if one is not None]
    if len(known) < len(values):
        words = {word(value): None for value in values}
        if log:
            raise InputError(f"{name} has no log scale: {next(iter(words))!r} is no number.", "Leave out --log x.")
        at = {text: float(place) for place, text in enumerate(words)}
        return text_axis(safe(name), words), [at[word(value)] for value in values], []
    chosen = spread_like_powers(known) if log is None else log
    refuse_low(known, name, "x", chosen)
    marks = sorted({one: word(value) for one, value in zip(known, values, strict=True)}.items())
    axis = number_axis(safe(name), known, chosen, marks if len(marks) <= _MARKED else ())
    if chosen and log is None:
        return axis, known, [f"{safe(name)} on a log scale, as its values are spread (--log none: linear)."]
    return axis, known, [f"{safe(name)} on a log scale."] if chosen else []


def refuse_low(values: Sequence[float], name: str, axis: str, log: bool) -> None:
    """Raises InputError where a log scale is wanted for numbers that it does not have."""
    low = sum(value <= 0 for value in values)
    if log and low:
        raise InputError(
            f"{name} has no log scale: {low} of its {len(values)} values {'is' if low == 1 else 'are'} 0 or below.",
            f"Leave out --log {axis}.",
        )


def _add(group: Group, bucket: Sequence[Sample], place: float, wish: Wish, where: str) -> None:
    """The point of the jobs in `bucket`, and each of them where that is wanted; bars then say nothing more."""
    where += f", {safe(wish.color)} {group.label}" if group.label else ""
    values = [value_of(sample, wish.y) for sample in bucket]
    if wish.raw:
        singles = zip(bucket, values, strict=True)
        group.runs.append([Point(place, v, v, v, 1, f"{s.job}: {where}: {v:.4g}", s.job) for s, v in singles])
    if not wish.raw or wish.kind == "line":
        mean, low, high = ends(values, bool(wish.log_y))
        of = f"{where}: {said(mean, low, len(values))}"
        group.points.append(Point(place, mean, *((mean, mean) if wish.raw else (low, high)), len(values), of))


def _worth_a_line(x: Axis, name: str, buckets: Sequence[Sequence[Sample]]) -> bool:
    """Whether x alone, repeats apart, makes the difference between the points of a group: then a line says more."""
    if x.scale == "text" or len(buckets) < 2 or len(buckets) > _JOINED * MOST:
        return False
    others = [one for one in varying([[bucket[0] for bucket in buckets]]) if one != name]
    return not others or 2 * sum(len(bucket) > 1 for bucket in buckets) > len(buckets)
