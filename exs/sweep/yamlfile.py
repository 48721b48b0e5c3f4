"""YAML files as plain data with line numbers, safe against hostile ones (F46).

The document is built from PyYAML's events, which come without recursion, so every budget is checked before memory
is spent. The C loader is not used: it dies with a segmentation fault at 50,000 open brackets (M19).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from exs.errors import InputError
from exs.model import Json
from exs.settings import Limits
from exs.sweep.scalars import LOADERS, TAG, BadScalar, construct
from exs.sweep.suggest import shorten

#: Where something stands: a line (or the option it came from), and the marks of what lies below it.
Line = int | str
Mark = tuple[Line, "dict[str, Any] | list[Any] | None"]

#: A file's aliases and merges may make its data this many times `Limits.sweep_bytes`, not more.
EXPANSION = 8
#: Keys whose mappings may have whole numbers as keys: exit codes.
NUMBERED = ("exit",)


@dataclass(frozen=True)
class Document:
    """One YAML document: its value as plain Python data, and where each part of it was written."""

    value: Json
    source: str
    mark: Mark

    def where(self, *path: str | int) -> str:
        """`file:line` of the key or item at `path`, or of its nearest ancestor that was written."""
        line, below = self.mark
        for step in path:
            try:
                line, below = below[step]  # type: ignore[index]
            except (KeyError, IndexError, TypeError):
                break
        return f"{self.source}:{line}" if isinstance(line, int) else line


def read(path: Path, limits: Limits) -> str:
    """Text of a sweep file; raises InputError if it is missing, unreadable, too large or not UTF-8."""
    try:
        with path.open("rb") as file:
            data = file.read(limits.sweep_bytes + 1)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{path}: cannot be read: {reason}.") from None
    if len(data) > limits.sweep_bytes:
        raise InputError(f"{path}: is larger than {limits.sweep_bytes:,} bytes, the limit for a sweep file.")
    return decoded(data, str(path))


def decoded(data: bytes, source: str) -> str:
    """`data` as text; raises InputError with the line of the first byte that is not UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{source}:{line}: is not UTF-8 text (byte {error.start}).") from None


def load(text: str | bytes, source: str, version: str, limits: Limits) -> list[Document]:
    """The documents of `text`, read as YAML `version` "1.1" or "1.2"; raises InputError with file:line."""
    if isinstance(text, bytes):
        text = decoded(text, source)
    if len(text) > limits.sweep_bytes:
        raise InputError(f"{source}: is larger than {limits.sweep_bytes:,} bytes, the limit for a sweep file.")
    try:
        return _Builder(LOADERS[version](text), source, limits).documents()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise InputError(f"{source}:{line}: the character U+{error.character:04X} is not allowed in YAML.") from None
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(source, error) from None


def _syntax_error(source: str, error: yaml.MarkedYAMLError) -> InputError:
    mark = error.problem_mark or error.context_mark
    where = f"{source}:{mark.line + 1}" if mark else source
    said = " ".join(part for part in (error.context, error.problem) if part)
    return InputError(f"{where}: not valid YAML: {' '.join(said.split())}.")


class _Open:
    """A collection whose end has not been seen yet."""

    def __init__(self, line: int, is_map: bool, anchor: str | None) -> None:
        self.line = line
        self.anchor = anchor
        self.value: Any = {} if is_map else []
        self.marks: Any = {} if is_map else []
        self.is_map = is_map
        self.key: str | None = None  #: key that waits for its value
        self.key_line = 0
        self.merges: list[tuple[dict[str, Json], dict[str, Mark]]] = []
        self.merging = False  #: the value to come belongs to `<<`
        self.weight = 2


@dataclass(frozen=True)
class _Built:
    """A finished node. `weight`: characters of its data with every alias written out."""

    value: Json
    below: dict[str, Mark] | list[Mark] | None
    weight: int


class _Builder:
    """Builds data from events, one document after the other, with a stack of open collections."""

    def __init__(self, loader: yaml.SafeLoader, source: str, limits: Limits) -> None:
        self._loader = loader
        self._source = source
        self._limits = limits
        self._aliases = 0
        self._stack: list[_Open] = []
        self._anchors: dict[str, _Built | None] = {}
        self._root: tuple[_Built, int] = (_Built(None, None, 0), 1)

    def documents(self) -> list[Document]:
        found = []
        for event in self._events():
            if isinstance(event, yaml.DocumentStartEvent):
                self._anchors = {}
                self._root = (_Built(None, None, 0), _line(event))
            elif isinstance(event, yaml.DocumentEndEvent):
                built, line = self._root
                found.append(Document(built.value, self._source, (line, built.below)))
            elif isinstance(event, yaml.NodeEvent):
                self._node(event)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._close()
        return found

    def _events(self) -> Iterator[yaml.Event]:
        while self._loader.check_event():
            event: yaml.Event = self._loader.get_event()  # type: ignore[no-untyped-call]
            yield event

    def _error(self, line: int, message: str, hint: str = "") -> InputError:
        return InputError(f"{self._source}:{line}: {message}", hint)

    def _node(self, event: yaml.NodeEvent) -> None:
        line = _line(event)
        if isinstance(event, yaml.AliasEvent):
            self._add(self._alias(event.anchor or "", line), line)
            return
        if isinstance(event, yaml.ScalarEvent):
            built = self._scalar(event, line)
            if event.anchor:
                self._anchors[event.anchor] = built
            self._add(built, line, plain=event.style is None)
            return
        is_map = isinstance(event, yaml.MappingStartEvent)
        tag = event.tag if isinstance(event, yaml.CollectionStartEvent) else None
        if tag not in (None, "!", TAG + ("map" if is_map else "seq")):
            raise self._error(line, f"the tag {tag!r} is not allowed: only plain data is read.")
        if len(self._stack) >= self._limits.yaml_depth:
            raise self._error(line, f"is nested deeper than {self._limits.yaml_depth} levels.")
        if event.anchor:
            self._anchors[event.anchor] = None
        self._stack.append(_Open(line, is_map, event.anchor))

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> _Built:
        tag = event.tag
        if tag is None or tag == "!":
            tag = str(self._loader.resolve(yaml.ScalarNode, event.value, event.implicit))  # type: ignore[no-untyped-call]
        try:
            value = construct(tag, event.value, self._loader)
        except BadScalar as error:
            raise self._error(line, str(error)) from None
        if isinstance(value, str) and not _storable(value):
            raise self._error(line, "a text with a NUL or half a surrogate pair cannot be stored.")
        return _Built(value, None, len(event.value) + 1)

    def _alias(self, anchor: str, line: int) -> _Built:
        self._aliases += 1
        if self._aliases > self._limits.yaml_aliases:
            raise self._error(line, f"has more than {self._limits.yaml_aliases} aliases.")
        if anchor not in self._anchors:
            raise self._error(line, f"*{anchor} has no anchor &{anchor} before it.")
        built = self._anchors[anchor]
        if built is None:
            raise self._error(line, f"*{anchor} stands inside its own anchor.")
        return built

    def _close(self) -> None:
        top = self._stack.pop()
        value, marks = top.value, top.marks
        if top.merges:
            value, marks = {}, {}
            for merged, below in reversed(top.merges):
                value.update(merged)
                marks.update(below)
            value.update(top.value)
            marks.update(top.marks)
        built = _Built(value, marks, top.weight)
        if top.anchor:
            self._anchors[top.anchor] = built
        self._add(built, top.line)

    def _add(self, built: _Built, line: int, plain: bool = False) -> None:
        if not self._stack:
            self._root = (built, line)
            return
        top = self._stack[-1]
        top.weight += built.weight
        if top.weight > EXPANSION * self._limits.sweep_bytes:
            raise self._error(line, "aliases and merges make the data too large.")
        if not top.is_map:
            top.value.append(built.value)
            top.marks.append((line, built.below))
        elif top.merging:
            top.merges += self._merged(built, line)
            top.merging = False
        elif top.key is not None:
            top.value[top.key] = built.value
            top.marks[top.key] = (top.key_line, built.below)
            top.key = None
        else:
            self._take_key(top, built.value, line, plain)

    def _take_key(self, top: _Open, key: Json, line: int, plain: bool) -> None:
        if key == "<<" and plain:
            top.merging = True
            return
        if type(key) is int and len(self._stack) > 1 and self._stack[-2].key in NUMBERED:
            key = str(key)
        if not isinstance(key, str):
            raise self._error(line, f"the key {shorten(key)} is not text.", "Quote it.")
        if key in top.value:
            first = top.marks[key][0]
            raise self._error(line, f"the key {shorten(key)} stands twice, first in line {first}.")
        top.key, top.key_line = key, line

    def _merged(self, built: _Built, line: int) -> list[tuple[dict[str, Json], dict[str, Mark]]]:
        pairs = (
            list(zip(built.value, [below for _, below in built.below], strict=True))
            if isinstance(built.value, list) and isinstance(built.below, list)
            else [(built.value, built.below)]
        )
        merged = [(value, below) for value, below in pairs if isinstance(value, dict) and isinstance(below, dict)]
        if len(merged) != len(pairs):
            raise self._error(line, "<< takes a mapping, or a list of mappings.")
        return merged


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _storable(text: str) -> bool:
    return "\0" not in text and (text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text))
