"""Aligned tables: plain ones, those with psql's borders, as Schedy drew them, and Determined's with bars between."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from exs.view.screen import Screen
from exs.view.text import cut, padded, width

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?\Z")

#: `least` of a column that is never cut.
WHOLE = 1 << 30


@dataclass
class Column:
    """One column; `cells` are safe to print.

    `least`: it is not cut below this many terminal columns. `spare`: left out where the screen is still too
    narrow, highest first; 0 stays; `silent`: without a word. `style(row)`: how a cell is painted.
    `cutter(row, limit)`: how one is cut.
    """

    header: str
    cells: Sequence[str]
    right: bool = False
    least: int = 8
    spare: int = 0
    silent: bool = False
    style: Callable[[int], str] | None = None
    cutter: Callable[[int, int], str] | None = None

    def __post_init__(self) -> None:
        self.widest = max(map(width, self.cells), default=0)


def values(header: str, cells: Sequence[str], spare: int = 0) -> Column:
    """A column of values: numbers to the right with their points in line, else text to the left."""
    distinct = set(cells)
    distinct.discard("")
    if not all(map(_NUMBER.match, distinct)):
        return Column(header, cells, spare=spare)
    if any("." in text for text in distinct) and not any("e" in text for text in distinct):
        cells = _points_in_line(cells, distinct)
    return Column(header, cells, right=True, least=WHOLE, spare=spare)


def _points_in_line(cells: Sequence[str], distinct: set[str]) -> list[str]:
    behind = {text: len(text) - (text.find(".") if "." in text else len(text)) for text in distinct}
    most = max(behind.values())
    moved = {text: text + " " * (most - after) for text, after in behind.items()}
    moved[""] = ""
    return [moved[text] for text in cells]


def plain(columns: Sequence[Column], screen: Screen) -> Iterator[str]:
    """The table with two spaces between columns, none at the end of a line, header in bold."""
    columns, widths, _ = _fitted(columns, screen.width, between=2, outside=0, roomy=0)
    header = "  ".join(
        padded(cut(column.header, size), size, column.right) for column, size in zip(columns, widths, strict=True)
    )
    yield screen.paint(header.rstrip(), "bold")
    for line in _lines(columns, widths, screen, "  "):
        yield line.rstrip()


def psql(
    columns: Sequence[Column], screen: Screen, note: Column | None = None, hint: str = "-a shows all"
) -> Iterator[str]:
    """The table in psql's borders: `+----+` above and below, `|----+----|` under the header.

    `hint`: how columns are seen that the screen has no room for. `note` is the last column where the screen is wide
    enough for all of it; elsewhere each note has a line of its own under its row, so that none is lost.
    """
    if note is not None and _fits([*columns, note], screen.width):
        columns, note = [*columns, note], None
    columns, widths, hidden = _fitted(columns, screen.width, between=3, outside=4, roomy=2)
    rule = "+".join("-" * (size + 2) for size in widths)
    more = _room_for(note, len(rule), screen.width)
    rule, blank = rule + "-" * more, " " * more
    yield f"+{rule}+"
    header = " | ".join(
        screen.paint(padded(cut(column.header, size), size, column.right), "bold")
        for column, size in zip(columns, widths, strict=True)
    )
    yield f"| {header}{blank} |"
    yield f"|{rule}|"
    for at, line in enumerate(_lines(columns, widths, screen, " | ")):
        yield f"| {line}{blank} |"
        if note is not None and note.cells[at]:
            yield f"| {_under(note, at, len(rule) - 2, screen)} |"
    yield f"+{rule}+"
    yield from _left_out(hidden, hint, screen)


def bars(columns: Sequence[Column], screen: Screen) -> Iterator[str]:
    """The table as Determined drew it: ` | ` between columns, one line under the header, none around."""
    columns, widths, hidden = _fitted(columns, screen.width, between=3, outside=2, roomy=0)
    header = " | ".join(
        screen.paint(padded(cut(column.header, size), size, column.right), "bold")
        for column, size in zip(columns, widths, strict=True)
    )
    yield f" {header}".rstrip()
    yield "+".join("-" * (size + 2) for size in widths)
    for line in _lines(columns, widths, screen, " | "):
        yield f" {line}".rstrip()
    yield from _left_out(hidden, "--csv shows all", screen)


def _left_out(hidden: Sequence[str], hint: str, screen: Screen) -> Iterator[str]:
    if hidden:
        yield screen.paint(f"not shown for want of room: {', '.join(hidden)}  ({hint})", "dim")


def _fits(columns: Sequence[Column], limit: int | None) -> bool:
    least = sum(max(column.widest, width(column.header)) for column in columns if not column.silent)
    return limit is None or least + 3 * (len(columns) - 1) + 4 <= limit


def _room_for(note: Column | None, inside: int, limit: int | None) -> int:
    """By how much a table of so many columns between its borders is widened for the notes under its rows."""
    if note is None or limit is None:
        return 0
    return max(0, min(note.widest + len("  ^ ") + 2, limit - 2) - inside)


def _under(note: Column, at: int, size: int, screen: Screen) -> str:
    text = note.cells[at]
    if width(text) > size - 4:
        text = note.cutter(at, size - 4) if note.cutter is not None else cut(text, size - 4)
    text = padded(f"  ^ {text}", size)
    return screen.paint(text, note.style(at)) if note.style is not None else text


def _lines(columns: Sequence[Column], widths: Sequence[int], screen: Screen, between: str) -> Iterator[str]:
    """The rows, built column by column: a call per cell would take most of the time of a long list."""
    ready: list[Sequence[str]] = []
    for column, size in zip(columns, widths, strict=True):
        texts = column.cells
        if column.widest > size:
            cutter = column.cutter
            if cutter is None:
                texts = [cut(text, size) for text in texts]
            else:
                texts = [text if width(text) <= size else cutter(at, size) for at, text in enumerate(texts)]
        filled = [padded(text, size, column.right) for text in texts]
        if column.style is not None and screen.colour:
            style = column.style
            filled = [screen.paint(text, style(at)) for at, text in enumerate(filled)]
        ready.append(filled)
    return map(between.join, zip(*ready, strict=True))


def _fitted(
    columns: Sequence[Column], limit: int | None, *, between: int, outside: int, roomy: int
) -> tuple[list[Column], list[int], list[str]]:
    """The columns that fit into `limit`, their widths, and the headers of those left out.

    First the space around the headers goes (`roomy`), then long texts are cut, then spare columns go.
    """
    kept = list(columns)
    hidden: list[str] = []
    while True:
        for room in (roomy, 0):
            widths = [max(column.widest, width(column.header) + room) for column in kept]
            if limit is None:
                return kept, widths, hidden
            over = sum(widths) + between * (len(kept) - 1) + outside - limit
            if over <= 0:
                return kept, widths, hidden
        over = _shrink(kept, widths, over)
        spare = max(kept, key=lambda column: column.spare)
        if over <= 0 or not spare.spare:
            return kept, widths, hidden
        kept.remove(spare)
        if not spare.silent:
            hidden.append(spare.header)


def _shrink(columns: Sequence[Column], widths: list[int], over: int) -> int:
    """Take `over` terminal columns from the widest texts first; returns how many could not be taken."""
    while over > 0:
        candidates = [at for at, column in enumerate(columns) if widths[at] > column.least]
        if not candidates:
            break
        widths[max(candidates, key=lambda at: widths[at])] -= 1
        over -= 1
    return over
