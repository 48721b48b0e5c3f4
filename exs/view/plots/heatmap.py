"""The mean of a value in a field for each pair of values of two parameters."""

from __future__ import annotations

from collections.abc import Sequence

from exs.errors import InputError
from exs.view.plots.chart import Cell, Heatmap
from exs.view.plots.groups import averaging, counted, mean_and_spread
from exs.view.plots.points import refuse_low, value_of
from exs.view.plots.samples import Sample, Wish
from exs.view.plots.scale import Axis, number, number_axis, text_axis, word
from exs.view.text import safe

#: Values of a parameter that still make fields that can be read.
_MOST = 40


def heatmap(samples: Sequence[Sample], wish: Wish) -> Heatmap:
    """The heat map of `wish.y` over both of `wish.x`. Raises InputError where there is nothing to draw."""
    across, up = wish.x
    kept, tally = counted(samples, wish, [across, up])
    if not kept:
        raise InputError(f"there is nothing to plot: {tally.sentence()}")
    x, y = _axis(kept, across), _axis(kept, up)
    buckets: dict[tuple[int, int], list[Sample]] = {}
    for sample in kept:
        place = x.words.index(word(sample.values[across])), y.words.index(word(sample.values[up]))
        buckets.setdefault(place, []).append(sample)
    cells = []
    for (column, row), bucket in sorted(buckets.items()):
        mean, spread = mean_and_spread([value_of(sample, wish.y) for sample in bucket])
        more = f" ± {spread:.2g}, n {len(bucket)}" if len(bucket) > 1 else ""
        of = f"{safe(across)} {x.words[column]}, {safe(up)} {y.words[row]}: {mean:.4g}{more}"
        cells.append(Cell(column, row, mean, spread, len(bucket), of))
    log = bool(wish.log_y)
    means = [cell.mean for cell in cells]
    refuse_low(means, wish.y, "y", log)
    empty = len(x.words) * len(y.words) - len(cells)
    caption = [
        tally.sentence(),
        averaging(list(buckets.values())),
        f"{empty} pair{'' if empty == 1 else 's'} of values without a job that is drawn." if empty else "",
        f"{wish.meaning}." if wish.meaning else "",
        f"Shades of {safe(wish.y)} on a log scale." if log else "",
    ]
    return Heatmap(
        "heatmap",
        f"{safe(wish.experiment)}: {safe(wish.y)} by {safe(across)} and {safe(up)}",
        [sentence for sentence in caption if sentence],
        "",
        x,
        y,
        number_axis(safe(wish.y), means, log),
        cells,
    )


def _axis(samples: Sequence[Sample], name: str) -> Axis:
    values = [sample.values[name] for sample in samples]
    numbers = [number(value) for value in values]
    words = {word(value): None for value in values}
    if None not in numbers:
        pairs = sorted((one, word(value)) for one, value in zip(numbers, values, strict=True) if one is not None)
        words = {text: None for _, text in pairs}
    if len(words) > _MOST:
        raise InputError(
            f"{name} has {len(words)} values, and a heat map can show {_MOST}.",
            f"Draw points instead: --kind scatter, with --color {name}.",
        )
    return text_axis(safe(name), words)
