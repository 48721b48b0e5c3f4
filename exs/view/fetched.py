"""What `exs fetch` brought, and how to get what it did not."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from exs.model import Json
from exs.rows import JobRow
from exs.view.jobs import selector
from exs.view.screen import Screen
from exs.view.sizes import size
from exs.view.text import safe, without_secrets

#: Files that are named one by one.
_NAMED = 5


class Fetched(Protocol):
    """As `exs.fetch` says it."""

    row: JobRow
    target: Path
    source: str
    files: int
    size: int
    came: int
    large: dict[str, int]
    left_out: dict[str, str]
    problem: str
    more: bool


class FetchedTable:
    """One line per job, and below it what is missing."""

    def __init__(self, found: Sequence[Fetched]) -> None:
        self._found = found

    def lines(self, screen: Screen) -> Iterator[str]:
        for one in self._found:
            files = f"{one.files} file{'' if one.files == 1 else 's'}, {size(one.size)}"
            before = ", all there before" if one.files and not one.came else ""
            came = f", {size(one.came)} of it now" if 0 < one.came < one.size else before
            where = f"{screen.paint(safe(selector(one.row)), 'bold')}  {safe(str(one.target))}"
            if one.problem:
                yield f"{where}  {screen.paint('not complete', 'red')}: {safe(one.problem)}; run it again to go on"
            else:
                yield f"{where}  {files}{came}"
            yield from self._missing(one)

    def _missing(self, one: Fetched) -> Iterator[str]:
        for path, bytes_ in list(one.large.items())[:_NAMED]:
            yield f"  too large: {safe(path)}  {size(bytes_)}"
        if len(one.large) > _NAMED:
            yield f"  too large: {len(one.large) - _NAMED} files more"
        if one.large:
            yield f"  to copy them: {safe(copying(one))}"
        for path, why in list(one.left_out.items())[:_NAMED]:
            yield f"  left out: {safe(path)}, {safe(why)}"
        if len(one.left_out) > _NAMED:
            yield f"  left out: {len(one.left_out) - _NAMED} more"
        if one.more:
            yield f"  it holds more files than come through Redis; to copy all: {safe(copying(one))}"

    def document(self) -> Mapping[str, Json]:
        return {"fetched": list(self.records())}

    def records(self) -> Iterator[Mapping[str, Json]]:
        for one in self._found:
            yield {
                "id": one.row.id,
                "experiment": one.row.experiment,
                "index": one.row.index,
                "node": one.row.node,
                "source": without_secrets(one.source, one.row.params),
                "directory": str(one.target),
                "complete": not one.problem,
                "files": one.files,
                "bytes": one.size,
                "bytes_now": one.came,
                "too_large": dict(one.large),
                "left_out": dict(one.left_out),
                "more": one.more,
                "copy": copying(one) if one.large or one.more else None,
                "problem": one.problem or None,
            }

    def ids(self) -> Iterator[str]:
        return (str(one.target) for one in self._found)


def copying(one: Fetched) -> str:
    """The command that copies the directory past Redis, for who can log in to its node."""
    source, target = f"{one.row.node}:{one.source.rstrip('/')}/", f"{one.target}/"
    return f"rsync -a --partial {shlex.quote(source)} {shlex.quote(target)}"
