"""YAML as MLXP and mlrunner write it: block mappings of plain scalars, read forty times as fast as by PyYAML.

Whatever else a file has is left to PyYAML; a test compares the two. Its C parser is no way out: it recurses in C.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import yaml

from exs.errors import BrokenRecord
from exs.model import Json

_LINE = re.compile(r"( *)([A-Za-z_][A-Za-z0-9_-]*):(?: ([^ \n].*)?)?\Z")
_ITEM = re.compile(r"( *)- ([^ \n-].*)\Z")
_WORD = re.compile(r"[A-Za-z_/](?:[A-Za-z0-9_./+@=-]| (?=[A-Za-z0-9_/(]))*\Z")
_INT = re.compile(r"-?(?:0|[1-9][0-9]{0,17})\Z")
_FLOAT = re.compile(r"-?[0-9]{1,18}\.[0-9]{0,25}(?:e[+-][0-9]{1,3})?\Z")
#: Text for YAML, although it begins with a digit: 20/11/2026, 04:56:28.
_MOMENT = re.compile(r"[0-9]{2}/[0-9]{2}/[0-9]{4}\Z|0[0-9]:[0-5][0-9]:[0-5][0-9]\Z")
_QUOTED = re.compile(r"'[^'\\]*'\Z")
#: YAML 1.1's, in every spelling.
_CONSTANTS: dict[str, Json] = {
    spelling: value
    for value, names in ((True, ("yes", "true", "on")), (False, ("no", "false", "off")), (None, ("null",)))
    for name in names
    for spelling in (name, name.capitalize(), name.upper())
}
_EMPTY: dict[str, Callable[[], Json]] = {"{}": dict, "[]": list, "''": str}


class _Unusual(Exception):
    """For PyYAML."""


def read(text: str, what: str) -> dict[str, Json]:
    """The mapping that a YAML document is, {} for an empty one. Raises BrokenRecord naming `what`."""
    try:
        return _mapping(text)
    except _Unusual:
        pass
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        said = str(error).split("\n", 1)[0] or type(error).__name__
        raise BrokenRecord(f"{what} is no YAML: {said}.") from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise BrokenRecord(f"{what} is no mapping.")
    return found


def _mapping(text: str) -> dict[str, Json]:
    root: dict[str, Json] = {}
    open_: list[tuple[int, dict[str, Json]]] = [(0, root)]
    waiting: tuple[int, dict[str, Json], str] | None = None  # a key without a value yet, and its indent
    for line in text.split("\n"):
        if not line:
            continue
        found = _LINE.match(line)
        if found is None:
            _item(line, waiting)
            continue
        indent, key, value = len(found[1]), found[2], found[3]
        if key in _CONSTANTS:
            raise _Unusual
        if waiting is not None and indent > waiting[0]:
            if waiting[1][waiting[2]] is not None:
                raise _Unusual
            inner: dict[str, Json] = {}
            waiting[1][waiting[2]] = inner
            open_.append((indent, inner))
        while open_ and indent < open_[-1][0]:
            open_.pop()
        if not open_ or indent != open_[-1][0]:
            raise _Unusual
        mapping = open_[-1][1]
        if value is None:
            mapping[key] = None
            waiting = (indent, mapping, key)
        else:
            mapping[key] = scalar(value)
            waiting = None
    return root


def _item(line: str, waiting: tuple[int, dict[str, Json], str] | None) -> None:
    found = _ITEM.match(line)
    if found is None or waiting is None or len(found[1]) < waiting[0]:
        raise _Unusual
    items = waiting[1][waiting[2]]
    if items is None:
        items = waiting[1][waiting[2]] = _Items(len(found[1]))
    if not isinstance(items, _Items) or items.indent != len(found[1]):
        raise _Unusual
    items.append(scalar(found[2]))


class _Items(list[Json]):
    """A block sequence, and where its dashes stand."""

    def __init__(self, indent: int) -> None:
        super().__init__()
        self.indent = indent


def scalar(text: str) -> Json:
    """A plain or quoted scalar; raises _Unusual for what PyYAML had better read."""
    if _WORD.match(text):
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        return text
    if _INT.match(text):
        return int(text)
    if _FLOAT.match(text):
        return float(text)
    if text in _EMPTY:
        return _EMPTY[text]()
    if _QUOTED.match(text):
        return text[1:-1]
    if _MOMENT.match(text):
        return text
    raise _Unusual
