"""One field of a job by its name: a parameter, a result, its status, or anything else that `--json` has of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exs.model import Json
from exs.rows import JobRow, Metric
from exs.view import records
from exs.view.columns import Choice, cells, choose, results_of
from exs.view.render import Listing
from exs.view.screen import Screen
from exs.view.tables import Column, values
from exs.view.text import masked, safe, shown

#: What stands in front of a name that a parameter and a result have in common; Schedy's word for a parameter too.
_KINDS = {"param": False, "hyperparameter": False, "result": True, "metric": True}
#: Fields that a row has under another name in a table.
_SAME = {"#": "index", "state": "status", "time": "seconds", "job": "id"}


@dataclass(frozen=True)
class Field:
    """`value(row)` is None where the job has none. `name` says by itself whether its values are secret."""

    header: str
    name: str
    value: Callable[[JobRow], Json]

    def column(self, rows: Sequence[JobRow]) -> Column:
        """A column of a table."""
        found = [self.value(row) for row in rows]
        texts = ["" if value is None else text for value, text in zip(found, cells(found, self.name), strict=True)]
        return values(safe(self.header), texts)

    def shown(self, row: JobRow) -> Json:
        """The value as it may leave this process, secrets masked."""
        return masked(self.name, self.value(row))

    def key(self, row: JobRow) -> tuple[int, Any]:
        """What sorts rows by this field: numbers, then texts, then nothing (rank 2)."""
        value = self.value(row)
        if value is None or value != value:
            return (2, "")
        if isinstance(value, (int, float)):
            return (0, value)
        return (1, value if isinstance(value, str) else shown(value))


def field(rows: Sequence[JobRow], choice: Choice, name: str, now: float) -> Field | None:
    """The field that `name` means: a result or parameter of some row, else what every job has; None if nothing does.

    `result.NAME`, `metric.NAME`, `param.NAME` and `hyperparameter.NAME` say which of two is meant; `NAME.min`, `max`,
    `first`, `last`, `count` and `step` are of a metric.
    """
    params = {*choice.params, *choice.constants}
    if name in choice.results or name in params:
        of_result = name in choice.results
        return _of(name, choice.header(name, of_result) if name in params and of_result else name, of_result)
    kind, _, rest = name.partition(".")
    if kind in _KINDS and rest in (choice.results if _KINDS[kind] else params):
        return _of(rest, name, _KINDS[kind])
    if part := part_of_metric(choice, name):
        return Field(name, part[0], _PARTS[part[1]](part[0]))
    key = _SAME.get(name, name)
    first = records.job(rows[0], now) if rows else {}
    if key in first and key not in ("params", "result", "metrics"):
        return Field(name, key, lambda row: records.job(row, now)[key])
    return None


def part_of_metric(choice: Choice, name: str) -> tuple[str, str] | None:
    """The metric and the part of it that a name like `loss.min` means; `JobRow.series` has it, where it was asked."""
    metric, _, part = name.rpartition(".")
    return (metric, part) if part in _PARTS and metric in choice.results else None


def _value(metric: str, find: Callable[[Metric], Json]) -> Callable[[JobRow], Json]:
    return lambda row: find(row.series[metric]) if metric in row.series else None


#: What can be asked of a metric.
_PARTS: dict[str, Callable[[str], Callable[[JobRow], Json]]] = {
    "last": lambda name: _value(name, lambda metric: metric.last[1]),
    "first": lambda name: _value(name, lambda metric: metric.first[1]),
    "min": lambda name: _value(name, lambda metric: metric.lowest[1] if metric.lowest else None),
    "max": lambda name: _value(name, lambda metric: metric.highest[1] if metric.highest else None),
    "count": lambda name: _value(name, lambda metric: metric.count),
    "step": lambda name: _value(name, lambda metric: metric.last[0]),
}


def known(choice: Choice) -> list[str]:
    """Names that `field` understands, the most likely first."""
    return [*choice.params, *choice.constants, *choice.results, "id", "status", "index", "node", "seconds", "detail"]


def _of(name: str, header: str, of_result: bool) -> Field:
    if of_result:
        return Field(header, name, lambda row: results_of(row).get(name))
    return Field(header, name, lambda row: row.params.get(name))


@dataclass
class Paragraphs:
    """Jobs one below the other, a line per field: those of `fields`, else id, status, parameters and results."""

    listing: Listing
    rows: Sequence[JobRow]
    fields: Sequence[Field] = ()

    def lines(self, screen: Screen) -> Iterator[str]:
        choice = choose(self.rows, everything=True)
        for number, row in enumerate(self.rows):
            if number:
                yield ""
            yield from self._paragraph(row, choice)

    def document(self) -> Mapping[str, Json]:
        return self.listing.document()

    def records(self) -> Iterator[Mapping[str, Json]]:
        return self.listing.records()

    def ids(self) -> Iterator[str]:
        return self.listing.ids()

    def _paragraph(self, row: JobRow, choice: Choice) -> Iterator[str]:
        if self.fields:
            for one in self.fields:
                value = one.shown(row)
                yield f"{safe(one.header)}: {'' if value is None else shown(value)}".rstrip()
            return
        yield f"id: {safe(row.id)}"
        yield f"status: {row.state.value}"
        for of_result, found in ((False, row.params), (True, results_of(row))):
            for name, value in found.items():
                yield f"{safe(choice.header(name, of_result))}: {shown(masked(name, value))}"
