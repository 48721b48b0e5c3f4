"""Jobs in groups that have a colour each, and the mean and spread of those that belong together."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from exs.view.plots.samples import Sample, Tally, Wish, varying, why_not
from exs.view.plots.scale import number, word
from exs.view.text import safe

#: Groups that can be told apart by marker and dash, without colours.
MOST = 8
#: Ranges into which a parameter of more numbers than that is cut.
_RANGES = 5


def colours(samples: Sequence[Sample], name: str) -> tuple[list[str], list[int], str]:
    """Labels of the groups by the values of `name`, which of them each sample is in, and a sentence, "" for none.

    Numbers stand in their order, words as they appear. Of more than `MOST` numbers ranges with equally many jobs are
    made, of more words the rarest share a group.
    """
    if not name:
        return [""], [0] * len(samples), ""
    values = [sample.values.get(name) for sample in samples]
    numbers = [number(value) for value in values]
    known = [one for one in numbers if one is not None]
    if len(known) == sum(value is not None for value in values) and known:
        if len(set(known)) > MOST:
            return _ranges(name, numbers, known)
        pairs = sorted((one, word(value)) for one, value in zip(numbers, values, strict=True) if one is not None)
        order = {text: None for _, text in pairs}
    else:
        order = {word(value): None for value in values if value is not None}
    labels = ["none" if value is None else word(value) for value in values]
    if None in values:
        order["none"] = None
    if len(order) <= MOST:
        places = {text: at for at, text in enumerate(order)}
        return list(order), [places[label] for label in labels], ""
    often = {text for text, _ in Counter(labels).most_common(MOST - 1)}
    kept = [text for text in order if text in often]
    rest = len(order) - len(kept)
    places = {text: at for at, text in enumerate(kept)}
    note = f"{safe(name)} has {len(order)} values; those of the fewest jobs share one sign."
    return [*kept, f"{rest} others"], [places.get(label, len(kept)) for label in labels], note


def _ranges(name: str, numbers: Sequence[float | None], known: Sequence[float]) -> tuple[list[str], list[int], str]:
    ordered = sorted(known)
    starts = sorted({ordered[len(ordered) * at // _RANGES] for at in range(_RANGES)})
    tops = [max(one for one in ordered if end is None or one < end) for end in [*starts[1:], None]]
    labels = [
        f"{low:.3g} to {high:.3g}" if low < high else f"{low:.3g}" for low, high in zip(starts, tops, strict=True)
    ]
    places = [len(starts) if one is None else sum(one >= start for start in starts) - 1 for one in numbers]
    note = f"{safe(name)} has {len(set(known))} values, drawn as {len(labels)} ranges."
    return [*labels, *(["none"] if None in numbers else [])], places, note


def counted(
    samples: Sequence[Sample], wish: Wish, needed: Sequence[str], live: bool = False
) -> tuple[list[Sample], Tally]:
    """The samples that are drawn, which have a value for every name in `needed` and a number for y, and the tally."""
    tally, kept = Tally(), []
    for sample in samples:
        why = "" if wish.unfinished else why_not(sample.state, live)
        why = why or _lacks(sample, wish, needed, live)
        if why:
            tally.left[why] += 1
        else:
            kept.append(sample)
    tally.drawn = len(kept)
    return kept, tally


def _lacks(sample: Sample, wish: Wish, needed: Sequence[str], live: bool) -> str:
    for name in needed:
        if sample.values.get(name) is None:
            return f"without {safe(name)}"
    if live:
        return (
            "" if any(number(value) is not None for _, value in sample.points) else f"without points of {safe(wish.y)}"
        )
    value = sample.values.get(wish.y)
    if value is None:
        return f"without {safe(wish.y)}"
    return "" if number(value) is not None else f"whose {safe(wish.y)} is no finite number"


def mean_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation; 0.0 for one value."""
    try:
        mean = math.fsum(values) / len(values)
        if len(values) < 2:
            return mean, 0.0
        return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
    except OverflowError:  # of values whose squares no float can hold
        size = max(map(abs, values))
        mean, spread = mean_and_spread([value / size for value in values])
        return mean * size, spread * size


def ends(values: Sequence[float], log: bool) -> tuple[float, float, float]:
    """Mean, and where its bar ends: one standard deviation off; on a log scale not at or below 0, but at the lowest."""
    mean, spread = mean_and_spread(values)
    low = mean - spread
    return mean, (min(values) if log and low <= 0 else low), mean + spread


def said(mean: float, low: float, n: int) -> str:
    """`0.91 ± 0.02, n 3`: what is said of a mean where it is pointed at."""
    return f"{mean:.4g}" if n == 1 else f"{mean:.4g} ± {mean - low:.2g}, n {n}"


def averaging(buckets: Sequence[Sequence[Sample]]) -> str:
    """The sentence on what is averaged: over which parameters, with how many jobs each."""
    sizes = sorted(len(bucket) for bucket in buckets)
    if not sizes or sizes[-1] == 1:
        return "Each is one job (n = 1)."
    over = varying([bucket for bucket in buckets if len(bucket) > 1])
    names = ", ".join(safe(name) for name in over[:4]) + (", ..." if len(over) > 4 else "")
    what = f" over {names}" if names else ""
    n = f"{sizes[0]}" if sizes[0] == sizes[-1] else f"{sizes[0]} to {sizes[-1]}"
    return f"Mean{what}, n = {n}."
