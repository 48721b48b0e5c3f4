"""A finite grid of points: counted, walked and sampled without ever being built.

Groups of axes that move together multiply; exclusions take points out. Counting walks the groups once per set of
exclusions that a prefix still matches, so that a grid of 10^12 points with exclusions is counted in microseconds.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from exs.errors import InputError
from exs.model import Json

#: Sets of exclusions alive at one time; only a file made to hurt has more.
MAX_STATES = 20_000
#: Groups up to this long keep their rows; longer ones (a range of a million) make each when it is visited.
KEPT_ROWS = 4096
#: Prefix of the parameters that keep how a value was typed (`10.`); they are no part of a point's identity.
TYPED = "_typed."

Identity = Callable[[Json], str]

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


def canonical(value: Json) -> str:
    """The one JSON text of `value`. Two values are identical if their texts are: 1 and 1.0 are not."""
    return _encode(value)


@dataclass(frozen=True)
class Axis:
    """The values of one parameter. `distinct`: they are known to differ, so nobody need look."""

    name: str
    values: Sequence[Json]
    distinct: bool = False


@dataclass(frozen=True)
class Row:
    """One step of a group: the values of its parameters, and each as `"name":value` in canonical JSON."""

    values: Mapping[str, Json]
    texts: tuple[str, ...]


class Group:
    """Axes that move together; all have the same length. With `identity`, rows that are identical stand once."""

    def __init__(self, axes: Sequence[Axis], identity: Identity | None = None) -> None:
        lengths = {len(axis.values) for axis in axes}
        if len(lengths) != 1:
            raise ValueError(f"axes of different lengths: {[axis.name for axis in axes]}")
        self.names = tuple(axis.name for axis in axes)
        self._labels = tuple(fragment(name) for name in self.names)
        self._values = tuple(axis.values for axis in axes)
        self._kept: Sequence[int] = range(lengths.pop())
        self._distinct = any(axis.distinct for axis in axes)
        if identity and not self._distinct:
            self._kept = self._unique(identity)
        self._rows = [self._make(at) for at in range(len(self))] if len(self) <= KEPT_ROWS else None

    def __len__(self) -> int:
        return len(self._kept)

    def widest(self) -> int:
        """Characters of canonical JSON in the longest row; ranges, which are numbers, answer for their ends alone."""
        rows = (0, len(self) - 1) if self._distinct else range(len(self))
        return max(sum(map(len, self.row(at).texts)) for at in rows)

    def _unique(self, identity: Identity) -> Sequence[int]:
        seen: dict[tuple[str, ...], int] = {}
        counted = [values for values, label in zip(self._values, self._labels, strict=True) if label]
        for at in self._kept:
            seen.setdefault(tuple(identity(values[at]) for values in counted), at)
        return list(seen.values()) if len(seen) < len(self._kept) else self._kept

    def row(self, at: int) -> Row:
        """The row at position `at`."""
        return self._rows[at] if self._rows is not None else self._make(at)

    def _make(self, at: int) -> Row:
        cells = [values[self._kept[at]] for values in self._values]
        texts = tuple(label + canonical(cell) for label, cell in zip(self._labels, cells, strict=True))
        return Row(dict(zip(self.names, cells, strict=True)), texts)

    def matching(self, pattern: Mapping[str, Json]) -> frozenset[int] | None:
        """Rows that agree with `pattern`; None if it says nothing about this group."""
        named = [
            (values, pattern[name]) for name, values in zip(self.names, self._values, strict=True) if name in pattern
        ]
        if not named:
            return None
        kept = enumerate(self._kept)
        return frozenset(at for at, i in kept if all(same(values[i], wanted) for values, wanted in named))


def fragment(name: str) -> str:
    """`"name":` as canonical JSON has it; "" for what is no part of a point's identity."""
    return "" if name.startswith(TYPED) else f"{canonical(name)}:"


def same(value: Json, wanted: Json) -> bool:
    """True if an exclusion that says `wanted` means `value`: 1 means 1.0 too, true does not mean 1."""
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    return bool(value == wanted)


class Grid:
    """The product of `groups` in the order written, last group fastest, without what an exclusion matches."""

    def __init__(self, groups: Sequence[Group], exclude: Sequence[Mapping[str, Json]] = ()) -> None:
        self.groups = groups
        self._matching = [[group.matching(pattern) for pattern in exclude] for group in groups]
        self._last = [
            max((at for at, column in enumerate(self._matching) if column[number] is not None), default=-1)
            for number in range(len(exclude))
        ]
        self._tail = [math.prod(len(group) for group in groups[at:]) for at in range(len(groups) + 1)]
        self._counts: dict[tuple[int, frozenset[int]], int] = {}
        self._all = frozenset(range(len(exclude)))
        self.size = self._count(0, self._all)

    def _count(self, at: int, alive: frozenset[int]) -> int:
        """Points left from group `at` on, when the exclusions `alive` match all that came before."""
        if not alive:
            return self._tail[at]
        if any(self._last[number] < at for number in alive):
            return 0
        known = self._counts.get((at, alive))
        if known is None:
            if len(self._counts) >= MAX_STATES:
                raise InputError("exclude: too many exclusions that depend on each other.", "Write fewer.")
            special, rest = self._split(at, alive)
            plain = len(self.groups[at]) - len(special)
            known = plain * self._count(at + 1, rest) if plain else 0
            known += sum(self._count(at + 1, self._next(at, row, alive)) for row in special)
            self._counts[at, alive] = known
        return known

    def _split(self, at: int, alive: frozenset[int]) -> tuple[list[int], frozenset[int]]:
        """The rows of a group that some exclusion names, and the exclusions that live on past all the others."""
        column = self._matching[at]
        special: set[int] = set()
        for number in alive:
            special |= column[number] or frozenset()
        return sorted(special), frozenset(number for number in alive if column[number] is None)

    def _next(self, at: int, row: int, alive: frozenset[int]) -> frozenset[int]:
        column = self._matching[at]
        return frozenset(n for n in alive if (rows := column[n]) is None or row in rows)

    def at(self, index: int) -> list[Row]:
        """The rows of point number `index`, 0 <= index < size."""
        alive, rows = self._all, []
        for at, group in enumerate(self.groups):
            special, rest = self._split(at, alive)
            each = self._count(at + 1, rest)
            start = 0
            for stop in [*special, len(group)]:
                if index < (stop - start) * each:
                    row, index, alive = start + index // each, index % each, rest
                    break
                index -= (stop - start) * each
                after = self._next(at, stop, alive)
                if index < self._count(at + 1, after):
                    row, alive = stop, after
                    break
                index -= self._count(at + 1, after)
                start = stop + 1
            rows.append(group.row(row))
        return rows

    def __iter__(self) -> Iterator[list[Row]]:
        """Every point in order. The list is reused: it holds until the next step."""
        if not self.size:
            return
        place = [0] * len(self.groups)
        rows = [group.row(0) for group in self.groups]
        excluded = bool(self._all)
        while True:
            if not excluded or not self._excluded(place):
                yield rows
            for at in reversed(range(len(place))):
                place[at] += 1
                if place[at] < len(self.groups[at]):
                    rows[at] = self.groups[at].row(place[at])
                    break
                place[at] = 0
                rows[at] = self.groups[at].row(0)
            else:
                return

    def _excluded(self, place: Sequence[int]) -> bool:
        return any(
            all(
                (rows := column[number]) is None or row in rows
                for column, row in zip(self._matching, place, strict=True)
            )
            for number in self._all
        )

    def sample(self, count: int, random: Random) -> Iterator[list[Row]]:
        """`count` different points in order, or all of them; each subset is equally likely."""
        if count >= self.size:
            yield from self
            return
        chosen: set[int] = set()
        for top in range(self.size - count, self.size):  # Floyd's way: no list of the grid, which may be huge
            index = random.randrange(top + 1)
            chosen.add(top if index in chosen else index)
        for index in sorted(chosen):
            yield self.at(index)
