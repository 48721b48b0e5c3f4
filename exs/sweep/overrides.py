"""`-o key=value`: changes to a sweep file's data before it is checked, in Determined's grammar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exs.errors import InputError
from exs.settings import Limits
from exs.sweep import words
from exs.sweep.suggest import shorten
from exs.sweep.yamlfile import Document, Mark


def apply(document: Document, overrides: Sequence[str], limits: Limits) -> Document:
    """`document` with each `key=value` set.

    Dots in a key go down; a key under `params` may be given without it, and may have dots itself. A comma makes
    a list, brackets are YAML. Raises InputError for what is not `key=value`.
    """
    for text in overrides:
        key, equals, written = text.partition("=")
        key = key.strip()
        where = f"-o {shorten(text)}"
        if not equals or not key or not all(key.split(".")):
            raise InputError(f"{where}: is not of the form key=value.")
        values = [words.value(each, where, limits) for each in words.elements(written, where)]
        value = values if len(values) > 1 else values[0]
        root: dict[str, Any] = document.value
        path = _path(root, key)
        data, mark = _replaced(root, document.mark, path, value, where)
        document = Document(data, document.source, mark)
    return document


def _path(root: dict[str, Any], key: str) -> list[str]:
    params = root.get("params")
    if key not in root and isinstance(params, dict) and key in params:
        return ["params", key]
    first, dot, rest = key.partition(".")
    if first in ("params", "env", "metrics") and dot:
        return [first, rest]
    return key.split(".")


def _replaced(data: Any, mark: Mark, path: list[str], value: Any, where: str) -> tuple[dict[str, Any], Mark]:
    """Copies of `data` and its marks with `value` at `path`; what lies beside the path is shared."""
    line, below = mark
    copy = dict(data) if isinstance(data, dict) else {}
    marks = dict(below) if isinstance(below, dict) else {}
    key, *rest = path
    if rest:
        copy[key], marks[key] = _replaced(copy.get(key), marks.get(key, (where, None)), rest, value, where)
    else:
        copy[key], marks[key] = value, (where, None)
    return copy, (line, marks)
