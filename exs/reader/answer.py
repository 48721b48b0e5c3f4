"""What `exs results` shows: the runs that a query finds, best first, or groups of them in numbers."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from exs.errors import InputError
from exs.model import Json
from exs.reader.errors import InvalidKeyError
from exs.reader.frame import DataFrame, rank
from exs.reader.query import MISSING, Condition, parse
from exs.reader.reducers import REDUCERS, number
from exs.reader.run import IMPLIED, Run, full_name
from exs.reader.told_apart import ToldApart

#: Of a run, where no columns were chosen.
_STATUS = "info.status"
_PREFIXES = ("config.", "info.", "param.", "hyperparameter.")


@dataclass
class Question:
    """What is asked. `best`: the key of which the lowest, or the `highest`, value comes first."""

    query: str = ""
    columns: Sequence[str] = ()
    group_by: Sequence[str] = ()
    aggregates: Sequence[str] = ()
    best: str = ""
    highest: bool = False
    top: int | None = None

    def keys(self) -> list[str]:
        """All keys in it: nothing else is looked at but parameters, results and last values of metrics."""
        asked = [key for key, _ in parse(self.query).asks()]
        shown = self.columns if self.columns or self.grouped else [_STATUS]
        return [*asked, *shown, *self.group_by, *([self.best] if self.best else [])]

    @property
    def grouped(self) -> bool:
        """Whether groups are shown, not runs."""
        return bool(self.group_by or self.aggregates)


@dataclass
class Answer:
    """A table. `looked_at`: runs that the query was asked of; `found`: those of which it is true.

    `spare`: which columns a narrow screen is to do without first, the highest; empty for those to the right.
    """

    headers: list[str] = field(default_factory=list)
    rows: list[list[Json]] = field(default_factory=list)
    looked_at: int = 0
    found: int = 0
    notes: list[str] = field(default_factory=list)
    spare: list[int] = field(default_factory=list)
    runs: DataFrame = field(default_factory=DataFrame)  #: those shown, unless they are groups


class Selection:
    """The runs of which a query is true, one after the other, and whether its keys mean something."""

    def __init__(self, query: str, runs: Iterable[Run]) -> None:
        self._condition: Condition = parse(query)
        self._query = query
        self._runs = runs
        self._asked: set[str] = set()
        self._there: set[str] = set()
        self._names: dict[str, None] = {}
        self.looked_at = 0
        self.found = 0

    def __iter__(self) -> Iterator[Run]:
        """Raises InvalidKeyError at the end, if no run has ever had something that the query asks for."""
        keys = self._condition.asks()
        for run in self._runs:
            self.looked_at += 1
            if self._condition.holds(self._lookup(run) if len(self._there) < len(keys) else run.find):
                self.found += 1
                yield run
            elif not self._names:
                self._names.update(dict.fromkeys(run))
        for key, at in keys:
            if key in self._asked and key not in self._there and not key.startswith(_PREFIXES):
                advice = self._close_to(key)
                raise InvalidKeyError(f"no run has a parameter, metric or result {key!r}.", self._query, at, advice)

    def unknown(self) -> list[str]:
        """One line for each parameter that no run has: a condition about it is false, and may be a slip."""
        missing = dict.fromkeys(key for key, _ in self._condition.asks() if key in self._asked - self._there)
        return [f"no run has {key}. {self._close_to(key)}".rstrip() for key in missing]

    def _lookup(self, run: Run) -> Callable[[str], Any]:
        def find(key: str) -> Any:
            found = run.find(key)
            self._asked.add(key)
            if found is not MISSING:
                self._there.add(key)
            elif not self._names:
                self._names.update(dict.fromkeys(run))
            return found

        return find

    def _close_to(self, key: str) -> str:
        names = [*self._names, *(name.partition(".")[2] for name in self._names)]
        close = get_close_matches(key, names, n=1)
        return f"Did you mean {close[0]}?" if close else ""


def answer(question: Question, runs: Iterable[Run]) -> Answer:
    """The table that answers `question`. Groups are made as runs pass by, and no run of them is kept.

    Raises QueryError, InputError.
    """
    for how in question.aggregates:
        if how not in REDUCERS:
            raise InputError(f"{how!r} is no aggregate.", f"There are: {', '.join(REDUCERS)}.")
    selection = Selection(question.query, runs)
    made = _groups(question, selection) if question.grouped else _runs(question, selection)
    made.looked_at, made.found = selection.looked_at, selection.found
    made.notes += selection.unknown()
    return made


# ------------------------------------------------------------------ runs


def _runs(question: Question, selection: Selection) -> Answer:
    apart = ToldApart()
    found = DataFrame(_best(question, selection if question.columns else apart.watch(selection)))
    made = Answer(runs=found)
    columns = list(question.columns) or _chosen(found, apart.names(), question.best)
    names = columns if question.columns else _short(columns)
    known = {key: [run.find(key) for run in found] for key in columns}
    for key in question.columns:  # those that were chosen here are of some run, shown or not
        if found and all(value is MISSING for value in known[key]):
            made.notes.append(f"{'no run' if question.top is None else 'none of these'} has {key}.")
    made.headers = ["run", *names]
    made.rows = [
        [run.label, *(None if known[key][at] is MISSING else known[key][at] for key in columns)]
        for at, run in enumerate(found)
    ]
    if not question.columns:
        made.spare = _spare(made, columns, apart.names(), question.best)
    return made


def _spare(made: Answer, columns: Sequence[str], params: Sequence[str], best: str) -> list[int]:
    """What is kept longest: the best or first that was measured, parameters, the rest, a status that is all runs'."""
    status, *others = columns
    measured = [key for key in others if key not in frozenset(params)]
    measured.sort(key=lambda key: key not in _names_of(best))
    same = len({repr(row[1]) for row in made.rows}) < 2
    order = [*measured[:1], *([] if same else [status]), *params, *measured[1:], *([status] if same else [])]
    places = {key: at for at, key in enumerate(order, 1)}
    return [0, *(places[key] for key in columns)]


def _names_of(key: str) -> set[str]:
    """Names that a column may have which `key` finds."""
    return {full_name(key), *(prefix + key for prefix in IMPLIED)}


def _best(question: Question, runs: Iterable[Run]) -> Iterable[Run]:
    """The runs in the order in which they are shown: as they came, or best first, those without a value last."""
    if not question.best:
        return _first(runs, question.top)
    there = False

    def order(run: Run) -> tuple[bool, Any]:
        nonlocal there
        value = run.find(question.best)
        there = there or value is not MISSING
        return _place(None if value is MISSING else value, question.highest)

    ordered = sorted(runs, key=order) if question.top is None else heapq.nsmallest(question.top, runs, key=order)
    if ordered and not there:
        raise _no_best(question)
    return ordered


def _no_best(question: Question) -> InputError:
    return InputError(f"no run has {question.best!r}, by which the best is chosen.", "exs results shows what there is.")


def _place(value: Json, highest: bool) -> tuple[bool, Any]:
    kind, known = rank(value)
    if kind == 0 and not isinstance(known, bool):
        return (False, -known if highest else known)
    return (True, 0)


def _first(runs: Iterable[Run], top: int | None) -> list[Run]:
    """All runs are looked at, so that a key that none has is found; `top` of them are kept."""
    kept = []
    for at, run in enumerate(runs):
        if top is None or at < top:
            kept.append(run)
    return kept


def _chosen(runs: DataFrame, params: Sequence[str], best: str) -> list[str]:
    """What a table shows when nothing was chosen: status, `params`, metrics and results.

    `params` tell apart the runs that were found: of the best ones it is of interest what the others have not.
    """
    metrics = dict.fromkeys(name for run in runs for name in run.metrics)
    results = dict.fromkeys(key for run in runs for key in run.flat() if key.startswith("result."))
    named = [key for key in results if key.removeprefix("result.") not in metrics]
    columns = [_STATUS, *params, *metrics, *named]
    if best and not _names_of(best) & set(columns):
        columns.insert(1 + len(params), best)
    return columns


def _short(columns: Sequence[str]) -> list[str]:
    """Names without config., info. and result., where that leaves them distinct; both spellings find them."""
    short = [key.partition(".")[2] if key.startswith(("config.", "info.", "result.")) else key for key in columns]
    taken = Counter(["run", *short])
    return [name if taken[name] == 1 else key for name, key in zip(short, columns, strict=True)]


# ------------------------------------------------------------------ groups


class _Group:
    """One group: how many runs, and the numbers of each column."""

    __slots__ = ("key", "numbers", "runs")

    def __init__(self, key: list[Json]) -> None:
        self.key = key
        self.runs = 0
        self.numbers: dict[str, list[float]] = {}

    def add(self, column: str, value: Json) -> None:
        """One value more; what is no number is none."""
        found = None if isinstance(value, str) else number(value)
        if found is not None:
            self.numbers.setdefault(column, []).append(found)


def _groups(question: Question, runs: Iterable[Run]) -> Answer:
    groups: dict[Any, _Group] = {}
    columns: dict[str, None] = dict.fromkeys(question.columns)
    if question.best and not question.columns:
        columns[question.best] = None
    lacking = set(question.group_by)
    for run in runs:
        values = [run.find(key) for key in question.group_by]
        if lacking:
            lacking -= {key for key, value in zip(question.group_by, values, strict=True) if value is not MISSING}
        values = [None if value is MISSING else value for value in values]
        identity = tuple(map(_identity, values))
        group = groups.get(identity)
        if group is None:
            group = groups[identity] = _Group(values)
        group.runs += 1
        wanted: Iterable[str] = columns or _measured(run)
        for column in wanted:
            found = run.find(column)
            if found is not MISSING:
                group.add(column, found)
    for key in lacking if groups else ():
        raise InputError(f"no run has {key!r}, by which they are grouped.", "exs results shows what there is.")
    return _grouped(question, list(groups.values()), list(columns))


def _identity(value: Json) -> Any:
    """What tells groups apart: 1 and 1.0 are one, 1 and True are two."""
    return str(value) if isinstance(value, (list, dict)) else (type(value) is bool, value)


def _measured(run: Run) -> list[str]:
    """The metrics and results of a run."""
    results = (key.removeprefix("result.") for key in run.flat() if key.startswith("result."))
    return list(dict.fromkeys([*run.metrics, *results]))


def _grouped(question: Question, groups: list[_Group], columns: list[str]) -> Answer:
    names = columns or list(dict.fromkeys(name for group in groups for name in group.numbers))
    how = list(question.aggregates) or ["mean", "std", "count"]
    made = Answer(headers=[*question.group_by, "runs", *(f"{one}({name})" for name in names for one in how)])
    for group in groups:
        numbers = [group.numbers.get(name, []) for name in names]
        made.rows.append([*group.key, group.runs, *(REDUCERS[one](values) for values in numbers for one in how)])
    if question.best:
        at = _judged(question, made.headers)
        made.rows.sort(key=lambda row: _place(row[at], question.highest))
    else:
        made.rows.sort(key=lambda row: [rank(value) for value in row[: len(question.group_by)]])
    if question.top is not None:
        del made.rows[question.top :]
    for name in names:
        if not any(name in group.numbers for group in groups):
            if groups and name == question.best:
                raise _no_best(question)
            made.notes.append(f"no run has a number {name}.")
    return made


def _judged(question: Question, headers: list[str]) -> int:
    """The column by which groups are ordered: the first aggregate of the key that is asked for."""
    for at, header in enumerate(headers):
        if header.endswith(f"({question.best})"):
            return at
    raise InputError(f"--best {question.best} is none of the columns.", f"There are: {', '.join(headers)}.")


def differing(runs: Iterable[Run]) -> Answer:
    """The parameters that differ between runs, with their values."""
    frame = DataFrame(runs)
    made = Answer(headers=["parameter", "values"], looked_at=len(frame), found=len(frame))
    for key in frame.diff():
        seen: dict[str, Json] = {}
        for run in frame:
            value = run.flat().get(key)
            seen.setdefault(repr(value), value)
        made.rows.append([key, sorted(seen.values(), key=rank)])
    return made
