"""Which parameters, results and metrics of a list of jobs become columns, and under which names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exs.model import Json
from exs.rows import JobRow
from exs.view.text import cut, masked, safe, secret, shown

#: Columns that every list of jobs has; a parameter or result of such a name is told apart by a prefix.
FIXED = frozenset({"#", "id", "index", "status", "where", "node", "time", "note", "name", "commands", "repeat"})

#: Terminal columns of one value in a table. Every cell of a column is as wide as its widest, so one value of
#: 64 KiB would make 10,000 rows of it; `show`, --json and --csv have it whole.
WORD = 60

_MISSING: Any = object()


@dataclass(frozen=True)
class Choice:
    """`params`, `results` (metrics among them): names that become columns, in the order of their first appearance.
    `constants`: parameters that have one value everywhere, shown once."""

    params: tuple[str, ...]
    constants: Mapping[str, Json]
    results: tuple[str, ...]

    def header(self, name: str, of_result: bool) -> str:
        """The column's name: plain, or `param.NAME` / `result.NAME` where that would be ambiguous."""
        clash = name in FIXED or (name in self.results and (name in self.params or name in self.constants))
        return f"{'result' if of_result else 'param'}.{name}" if clash else name


def results_of(row: JobRow) -> Mapping[str, Json]:
    """Results of a job, and the last values of its metrics where it has no result of that name."""
    return {**row.metrics, **row.result} if row.metrics else row.result


def choose(rows: Sequence[JobRow], everything: bool = False) -> Choice:
    """The columns for `rows`: parameters that differ, or `everything`, which a single row shows too."""
    first, differing = _values(row.params for row in rows)
    if everything or len(rows) == 1:
        differing = set(first)
    results, _ = _values(results_of(row) for row in rows)
    return Choice(
        params=tuple(name for name in first if name in differing),
        constants={name: value for name, value in first.items() if name not in differing},
        results=tuple(results),
    )


def _values(mappings: Iterable[Mapping[str, Json]]) -> tuple[dict[str, Json], set[str]]:
    """First value of every name in order of appearance, and the names whose value or presence differs."""
    first: dict[str, Json] = {}
    differing: set[str] = set()
    for number, mapping in enumerate(mappings):
        before = len(first)
        for name, value in mapping.items():
            if name in differing:
                continue
            known = first.setdefault(name, value)
            # 1, 1.0 and true are equal in Python, and different points of a sweep.
            if known is not value and (known != value or type(known) is not type(value)):
                differing.add(name)
        if number and before != len(first):
            differing.update(list(first)[before:])
        if len(mapping) < len(first):
            differing.update(name for name in first if name not in mapping)
    return first, differing


def cells(values: Iterable[Json], name: str) -> list[str]:
    """One column of readable words of at most `WORD` columns each; "" where there is no value."""
    if secret(name):
        return ["" if value is _MISSING else shown(masked(name, value)) for value in values]
    known: dict[tuple[type, Any], str] = {}
    column: list[str] = []
    for value in values:
        kind = type(value)
        if kind is dict or kind is list:
            column.append(cut(shown(masked(name, value)), WORD))
            continue
        text = known.get((kind, value))
        if text is None:
            text = known[kind, value] = "" if value is _MISSING else cut(shown(value), WORD)
        column.append(text)
    return column


def column_of(rows: Iterable[JobRow], name: str, of_result: bool) -> list[Json]:
    """The values of one name, for `cells`."""
    if of_result:
        return [row.result.get(name, row.metrics.get(name, _MISSING)) for row in rows]
    return [row.params.get(name, _MISSING) for row in rows]


def assignments(params: Mapping[str, Json]) -> str:
    """Parameters on one line: `lr=0.1 seed=3`."""
    return " ".join(f"{safe(name)}={cut(shown(masked(name, value)), WORD)}" for name, value in params.items())
