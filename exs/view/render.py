"""One listing, four renderers: a table for people, JSON and CSV for programs, ids for the shell."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Protocol

from exs.model import Json
from exs.view.screen import Screen
from exs.view.text import safe


class Listing(Protocol):
    """Something that a command shows."""

    def lines(self, screen: Screen) -> Iterator[str]:
        """As text for people, fitted to `screen`, safe to print."""

    def document(self) -> Mapping[str, Json]:
        """Everything as one JSON object, with raw values (see `records`); a long list may be an iterator."""

    def records(self) -> Iterator[Mapping[str, Json]]:
        """One flat mapping per row, all with the same keys, for CSV."""

    def ids(self) -> Iterator[str]:
        """What selects each row in other commands."""


class Renderer(Protocol):
    """Turns a listing into lines of output."""

    def __call__(self, listing: Listing) -> Iterator[str]: ...


class Text:
    """The readable form."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen

    def __call__(self, listing: Listing) -> Iterator[str]:
        return listing.lines(self.screen)


def as_json(listing: Listing) -> Iterator[str]:
    """One JSON document, ASCII only, so that no control character of a value reaches a terminal.

    A line per member, and per item of a list: json.dumps with an indent takes ten times as long and all memory at once.
    """
    members = listing.document().items()
    for number, (name, value) in enumerate(members):
        head = f"{'{' if number == 0 else ' '}{json.dumps(name)}: "
        comma = "," if number < len(members) - 1 else ""
        if isinstance(value, (list, Iterator)):
            yield f"{head}["
            before = ""
            for item in value:
                if before:
                    yield f"{before},"
                before = f"  {json.dumps(item)}"
            if before:
                yield before
            yield f" ]{comma}"
        else:
            yield f"{head}{json.dumps(value)}{comma}"
    yield "}" if members else "{}"


def as_csv(listing: Listing) -> Iterator[str]:
    """RFC 4180 with a header line; nested values as JSON, absent ones empty, control characters escaped."""
    import csv
    import io

    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="")
    for number, record in enumerate(listing.records()):
        for row in (record.keys(), record.values()) if number == 0 else (record.values(),):
            writer.writerow([_csv_cell(value) for value in row])
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()


def as_ids(listing: Listing) -> Iterator[str]:
    """One id per line."""
    return map(safe, listing.ids())


def dumped(value: Json) -> str:
    """`value` as JSON for programs and people."""
    return json.dumps(value, indent=2)


def _csv_cell(value: Json) -> str:
    if value is None:
        return ""
    return safe(value if isinstance(value, str) else json.dumps(value))
