"""Any table: headers and rows of values, as text, JSON, CSV, Markdown. Secrets are masked by their header."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from exs.model import Json
from exs.view.columns import cells
from exs.view.render import Listing
from exs.view.screen import Screen
from exs.view.tables import Column, psql, values
from exs.view.text import masked, safe, shown


@dataclass
class Grid:
    """`headers` are the names of the columns. `title`: a line above the table; `foot`: lines below it.

    `spare`: which columns are left out first where the screen is too narrow, the highest; else those to the right.
    `hint`: how they are seen.
    """

    headers: Sequence[str]
    rows: Sequence[Sequence[Json]]
    title: str = ""
    foot: Sequence[str] = field(default_factory=tuple)
    spare: Sequence[int] = field(default_factory=tuple)
    hint: str = "--json has all"

    def lines(self, screen: Screen) -> Iterator[str]:
        """See Listing."""
        if self.title:
            yield safe(self.title)
        columns = [self._column(at, header) for at, header in enumerate(self.headers)]
        yield from psql(columns, screen, hint=self.hint)
        yield from map(safe, self.foot)

    def _column(self, at: int, header: str) -> Column:
        found = [row[at] for row in self.rows]
        texts = ["" if value is None else text for value, text in zip(found, cells(found, header), strict=True)]
        return values(safe(header), texts, spare=self.spare[at] if self.spare else at)

    def document(self) -> Mapping[str, Json]:
        """See Listing."""
        return {"columns": list(self.headers), "rows": [_json(record) for record in self.records()]}

    def records(self) -> Iterator[Mapping[str, Json]]:
        """See Listing."""
        for row in self.rows:
            yield {name: masked(name, value) for name, value in zip(self.headers, row, strict=True)}

    def ids(self) -> Iterator[str]:
        """See Listing."""
        for row in self.rows:
            yield str(row[0])


def _json(record: Mapping[str, Json]) -> dict[str, Json]:
    """Numbers that JSON has not become text: "nan", "inf"."""
    return {name: str(value) if value != value or value in _INFINITE else value for name, value in record.items()}


_INFINITE = (float("inf"), float("-inf"))


def as_markdown(listing: Listing) -> Iterator[str]:
    """A table of GitHub's Markdown; what would end a cell is escaped."""
    for number, record in enumerate(listing.records()):
        if number == 0:
            yield _markdown(map(safe, record))
            yield "|" + " --- |" * len(record)
        yield _markdown("" if value is None else shown(value) for value in record.values())


def _markdown(texts: Iterator[str]) -> str:
    escaped = (text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;") for text in texts)
    return "| " + " | ".join(escaped) + " |"
