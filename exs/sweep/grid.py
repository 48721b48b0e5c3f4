"""A finite grid of points: counted, walked and sampled without ever being built.

Groups of axes that move together multiply; exclusions take points out. Counting goes through the groups with the
sets of exclusions that a prefix may match, so that a grid of 10^16 points with exclusions is counted at once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from exs.command import as_stored, canonical
from exs.errors import InputError
from exs.model import Json

#: Exclusions in one file, and sets of them that prefixes of points can match; only a file made to hurt has more.
MAX_EXCLUSIONS = 1000
MAX_STATES = 20_000
#: Groups up to this long keep their rows; longer ones (a range of a million) make each when it is visited.
KEPT_ROWS = 4096

Identity = Callable[[Json], str]
#: What a parameter with this value adds to the name of a job; "" for nothing.
Part = Callable[[str, Json], str]


@dataclass(frozen=True)
class Axis:
    """The values of one parameter. `distinct`: they are known to differ, so nobody need look."""

    name: str
    values: Sequence[Json]
    distinct: bool = False


@dataclass(frozen=True)
class Row:
    """One step of a group: the values of its parameters; each as `"name":value` in canonical JSON, and in that of a
    queue (`as_stored`); and what each adds to the name of a job."""

    values: Mapping[str, Json]
    texts: tuple[str, ...]
    stored: tuple[str, ...]
    called: tuple[str, ...]


class Group:
    """Axes that move together; all have the same length. With `identity`, rows that are identical stand once."""

    def __init__(self, axes: Sequence[Axis], identity: Identity | None = None, part: Part | None = None) -> None:
        lengths = {len(axis.values) for axis in axes}
        if len(lengths) != 1:
            raise ValueError(f"axes of different lengths: {[axis.name for axis in axes]}")
        self.names = tuple(axis.name for axis in axes)
        self._labels = tuple(fragment(name) for name in self.names)
        self._values = tuple(axis.values for axis in axes)
        self._part = part
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
        for at in self._kept:
            seen.setdefault(tuple(identity(values[at]) for values in self._values), at)
        return list(seen.values()) if len(seen) < len(self._kept) else self._kept

    def row(self, at: int) -> Row:
        """The row at position `at`."""
        return self._rows[at] if self._rows is not None else self._make(at)

    def _make(self, at: int) -> Row:
        cells = [values[self._kept[at]] for values in self._values]
        values = dict(zip(self.names, cells, strict=True))
        texts = [canonical(cell) for cell in cells]
        stored = [as_stored(cell, text) for cell, text in zip(cells, texts, strict=True)]
        called = tuple([self._part(*pair) for pair in values.items()]) if self._part else ()
        return Row(values, self._labelled(texts), self._labelled(stored), called)

    def _labelled(self, texts: Sequence[str]) -> tuple[str, ...]:
        return tuple([label + text for label, text in zip(self._labels, texts, strict=True)])

    def matching(self, patterns: Sequence[Mapping[str, Json]]) -> list[frozenset[int] | None]:
        """For each pattern the rows that agree with it; None where it says nothing about this group."""
        found: list[frozenset[int] | None] = [None] * len(patterns)
        for name, values in zip(self.names, self._values, strict=True):
            wanted = {at: matched_as(pattern[name]) for at, pattern in enumerate(patterns) if name in pattern}
            rows: dict[Hashable, list[int]] = {key: [] for key in wanted.values()}
            for at, i in enumerate(self._kept if wanted else ()):
                if (key := matched_as(values[i])) in rows:
                    rows[key].append(at)
            for at, key in wanted.items():
                before = found[at]
                found[at] = frozenset(rows[key]) if before is None else before.intersection(rows[key])
        return found


def fragment(name: str) -> str:
    """`"name":` as canonical JSON has it."""
    return f"{canonical(name)}:"


def matched_as(value: Json) -> Hashable:
    """What an exclusion compares: 1 is 1.0 there, but true is not 1, and lists and mappings are their JSON."""
    if isinstance(value, bool | list | dict):
        return type(value), canonical(value)
    plain: Hashable = value
    return plain


class Grid:
    """The product of `groups` in the order written, last group fastest, without what an exclusion matches.

    A state is the set of exclusions that match all rows chosen so far; one that is left at the end excludes.
    """

    def __init__(self, groups: Sequence[Group], exclude: Sequence[Mapping[str, Json]] = ()) -> None:
        if len(exclude) > MAX_EXCLUSIONS:
            raise InputError(f"has {len(exclude):,} exclusions, more than {MAX_EXCLUSIONS:,}.")
        self.groups = groups
        self._matching = [group.matching(exclude) for group in groups]
        self._start = frozenset(range(len(exclude)))
        self._left = self._count()
        self.size = self._left[0][self._start]

    def _count(self) -> list[dict[frozenset[int], int]]:
        """For each group and each state that can be reached before it: how many points are left from there on."""
        levels: list[dict[frozenset[int], int]] = [{self._start: 0}]
        states = 0
        for at in range(len(self.groups)):
            levels.append({after: 0 for state in levels[at] for after, _ in self._steps(at, state)})
            states += len(levels[-1]) - 1
            if states > MAX_STATES:
                raise InputError("has too many exclusions that depend on each other.", "Write fewer.")
        levels[-1] = {state: 0 if state else 1 for state in levels[-1]}
        for at in reversed(range(len(self.groups))):
            for state in levels[at]:
                levels[at][state] = sum(times * levels[at + 1][after] for after, times in self._steps(at, state))
        return levels

    def _steps(self, at: int, state: frozenset[int]) -> Iterator[tuple[frozenset[int], int]]:
        """The states after group `at`, and how many rows lead there."""
        special, rest = self._split(at, state)
        if len(special) < len(self.groups[at]):
            yield rest, len(self.groups[at]) - len(special)
        for row in special:
            yield self._next(at, row, state), 1

    def _split(self, at: int, state: frozenset[int]) -> tuple[list[int], frozenset[int]]:
        """The rows of a group that some exclusion names, and the state after any other row."""
        column = self._matching[at]
        special: set[int] = set()
        for number in state:
            special |= column[number] or frozenset()
        return sorted(special), frozenset(number for number in state if column[number] is None)

    def _next(self, at: int, row: int, state: frozenset[int]) -> frozenset[int]:
        if not state:
            return state
        column = self._matching[at]
        return frozenset(number for number in state if (rows := column[number]) is None or row in rows)

    def at(self, index: int) -> list[Row]:
        """The rows of point number `index`, 0 <= index < size."""
        state, rows = self._start, []
        for at, group in enumerate(self.groups):
            row, index, state = self._find(at, index, state)
            rows.append(group.row(row))
        return rows

    def _find(self, at: int, index: int, state: frozenset[int]) -> tuple[int, int, frozenset[int]]:
        """The row of group `at` in which point `index` of those left lies, its index there, and the next state."""
        special, rest = self._split(at, state)
        left = self._left[at + 1]
        each, start = left.get(rest, 0), 0
        for row in special:
            if index < (row - start) * each:
                break
            index -= (row - start) * each
            after = self._next(at, row, state)
            if index < left[after]:
                return row, index, after
            index -= left[after]
            start = row + 1
        return start + index // each, index % each, rest

    def __iter__(self) -> Iterator[list[Row]]:
        """Every point in order. The list is reused: it holds until the next step."""
        depth = len(self.groups)
        if not depth:
            yield from [[]] * self.size
            return
        place, states = [-1] * depth, [self._start] * (depth + 1)
        rows = [Row({}, (), (), ())] * depth
        at = 0
        while at >= 0:
            place[at] += 1
            if place[at] == len(self.groups[at]):
                place[at] = -1
                at -= 1
                continue
            states[at + 1] = self._next(at, place[at], states[at])
            if not self._left[at + 1][states[at + 1]]:
                continue
            rows[at] = self.groups[at].row(place[at])
            if at == depth - 1:
                yield rows
            else:
                at += 1

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
