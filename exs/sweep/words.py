"""Values as typed on a command line: `0.1`, `1,2,3`, `[1,2]`, `'a,b'`."""

from __future__ import annotations

from exs.errors import InputError
from exs.model import Json
from exs.settings import Limits
from exs.sweep import yamlfile
from exs.sweep.scalars import BadScalar, plain
from exs.sweep.suggest import shorten

_CLOSING = {"[": "]", "{": "}", "(": ")"}


def elements(text: str, where: str) -> list[str]:
    """`text` split at the commas that stand outside quotes and brackets; raises InputError if one is not closed."""
    if "," not in text:
        return [text]
    found, start, at = [], 0, 0
    waiting: list[str] = []
    while at < len(text):
        char = text[at]
        if char in "'\"" and not text[start:at].strip("[{( \t"):
            at = _quote_end(text, at, where)
        elif char in _CLOSING:
            waiting.append(_CLOSING[char])
        elif waiting and char == waiting[-1]:
            waiting.pop()
        elif char == "," and not waiting:
            found.append(text[start:at])
            start = at + 1
        at += 1
    if waiting:
        raise InputError(f"{where}: {waiting[-1]!r} is missing.", "Quote the value if it is plain text.")
    return [*found, text[start:]]


def _quote_end(text: str, at: int, where: str) -> int:
    """Index of the quote that closes the one at `at`; inside double quotes a backslash protects one."""
    end = at + 1
    while end < len(text) and text[end] != text[at]:
        end += 2 if text[end] == "\\" and text[at] == '"' else 1
    if end >= len(text):
        raise InputError(f"{where}: a quote is not closed in {shorten(text)}.")
    return end


def value(text: str, where: str, limits: Limits) -> Json:
    """What one element means: quoted it is text, in brackets YAML, else a plain scalar of YAML 1.2."""
    text = text.strip()
    try:
        if text[:1] not in ("[", "{", "'", '"') or (text[0] in "'\"" and (len(text) < 2 or text[-1] != text[0])):
            return plain(text)
    except BadScalar as error:
        raise InputError(f"{where}: {error}") from None
    try:
        documents = yamlfile.load(text, where, "1.2", limits)
    except InputError as error:
        said = error.message.removeprefix(f"{where}:1: ")
        raise InputError(f"{where}: {said}", "Quote the value if it is plain text.") from None
    return documents[0].value if documents else None
