"""Axes: where numbers and words stand on a linear or logarithmic scale, and at which of them there is a tick."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from exs.model import Json
from exs.view.text import cut, shown

#: A number as people write it in a sweep; `nan`, `inf` and `1_000`, which Python reads too, are words.
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\Z")
#: Values beyond it are drawn as little as infinity: their squares are no numbers any more.
_HUGE = 1e150
#: Terminal columns of a word at an axis, in a legend or a title.
WORD = 24
#: Share of an axis that stays free at both ends.
_MARGIN = 0.06
#: How far apart the ends of a range must be, and how many values there must be, before it may be taken for powers.
_WIDE, _FEW = 50.0, 3


def number(value: Json) -> float | None:
    """`value` as a finite number that can be drawn, or None. Text that spells a number is one."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        value = float(value) if len(value) < 400 and _NUMBER.match(value) else None
    if not isinstance(value, (int, float)) or not -_HUGE < value < _HUGE:
        return None
    return float(value)


def word(value: Json) -> str:
    """`value` in a legend or at an axis."""
    return cut(shown(value), WORD)


@dataclass(frozen=True)
class Axis:
    """`scale`: linear, log or text. `low` and `high`: of the values on it.

    `words`: those of a text axis, at 0, 1, 2 ... `marks`: value and word of each that occurs, where they are few.
    `whole`: there is nothing between whole numbers, and no tick.
    """

    label: str = ""
    scale: str = "linear"
    low: float = 0.0
    high: float = 1.0
    words: tuple[str, ...] = ()
    marks: tuple[tuple[float, str], ...] = ()
    whole: bool = False

    def place(self, value: float) -> float:
        """Where a value stands: 0.0 at the beginning of the axis, 1.0 at its end."""
        if self.scale == "text":
            return (value + 0.5) / len(self.words)
        low, high = self._line(self.low), self._line(self.high)
        if low == high:
            return 0.5
        return _MARGIN + (1 - 2 * _MARGIN) * (self._line(value) - low) / (high - low)

    def _line(self, value: float) -> float:
        return math.log10(value) if self.scale == "log" else value

    def word(self, value: float) -> str:
        """A value as it is printed."""
        if self.scale == "text":
            return self.words[int(value)]
        return dict(self.marks).get(value) or f"{value:.6g}"

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """Place and word of at most so many ticks: of the values themselves, where they are few and not too close."""
        if self.scale == "text":
            every = max(1, math.ceil(len(self.words) / most))
            return [(self.place(at), text) for at, text in enumerate(self.words) if at % every == 0]
        marks = [(self.place(value), text) for value, text in self.marks]
        places = sorted(place for place, _ in marks)
        gaps = [after - before for before, after in pairwise(places)]
        if marks and len(marks) <= most and min(gaps, default=1.0) >= 0.8 / most:
            return marks
        if self.low == self.high:
            return [(self.place(self.low), _spelled(self.low, 0.0))]
        values = _powers(self.low, self.high, most) if self.scale == "log" else []
        return [(self.place(value), text) for value, text in values or _steps(self.low, self.high, most, self.whole)]


def share(place: float) -> float:
    """A place on an axis of numbers as a share of their range: what stands for it in a scale of colours."""
    return min(1.0, max(0.0, (place - _MARGIN) / (1 - 2 * _MARGIN)))


def text_axis(label: str, words: Iterable[str]) -> Axis:
    """An axis of words, in this order."""
    return Axis(label, "text", words=tuple(words))


def number_axis(
    label: str, values: Sequence[float], log: bool, marks: Iterable[tuple[float, str]] = (), whole: bool = False
) -> Axis:
    """An axis for these numbers, at least one; all above 0 for `log`. `whole`: they count something."""
    return Axis(label, "log" if log else "linear", min(values), max(values), marks=tuple(marks), whole=whole)


def spread_like_powers(values: Iterable[float]) -> bool:
    """Whether numbers are given as powers: 0.001 0.01 0.1, or 16 32 64 128, or drawn evenly from magnitudes."""
    found = sorted(set(values))
    if len(found) < _FEW or found[0] <= 0:
        return False
    ratios = [after / before for before, after in pairwise(found)]
    if max(ratios) <= 1.01 * min(ratios) and ratios[0] >= 1.5:
        return True
    low, high, middle = found[0], found[-1], found[len(found) // 2]
    if high / low < _WIDE:
        return False
    linear = (middle - low) / (high - low)
    powers = math.log(middle / low) / math.log(high / low)
    return abs(powers - 0.5) < abs(linear - 0.5)


def _steps(low: float, high: float, most: int, whole: bool) -> list[tuple[float, str]]:
    """Round numbers from `low` to `high`, a little beyond included; of `whole` ones none between them."""
    room = (high - low) * _MARGIN
    raw = (high - low) / max(1, most - 1)
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(size * magnitude for size in (1, 2, 2.5, 5, 10) if size * magnitude >= raw * 0.999)
    if whole and step != math.floor(step):
        step = 5 if step == 2.5 else math.ceil(step)
    first, last = math.ceil((low - room) / step), math.floor((high + room) / step)
    return [(at * step, _spelled(at * step, step)) for at in range(first, last + 1)][: most + 1]


def _powers(low: float, high: float, most: int) -> list[tuple[float, str]]:
    """Powers of ten from `low` to `high`, with 2 and 5 between them where there is room; [] where there are too few."""
    room = (high / low) ** _MARGIN
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = max(1, math.ceil((last - first + 1) / most))
    for heads in ((1, 2, 5), (1, 3), (1,)):
        step = every if heads == (1,) else 1
        values = [head * 10.0**power for power in range(first, last + 1, step) for head in heads]
        inside = [value for value in values if low / room <= value <= high * room]
        if len(inside) <= most:
            few = len(inside) < 3 and high < 20 * low  # round numbers between them say more
            return [] if few or len(inside) < 2 else [(value, f"{value:g}") for value in inside]
    return []


def _spelled(value: float, step: float) -> str:
    """A tick's number with as many digits as the step between ticks needs."""
    if value == 0:
        return "0"
    if step < 1e-4 or abs(value) >= 1e6:
        return f"{value:.6g}"
    decimals = next(places for places in range(7) if abs(round(step, places) - step) < 1e-9 or places == 6)
    return f"{value:.{decimals}f}"
