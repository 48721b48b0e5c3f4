"""Text as it may reach a screen: control characters escaped, secrets masked, widths as a terminal counts.

Everything that came from a sweep file, a job or Redis passes through `safe` (one line), `safe_lines`
(output of a job) or `shown` (a parameter or result) before it is printed.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

from exs.model import Json
from exs.settings import masked_url

MASK = "***"

_SHORT = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}

#: What makes a name secret wherever it stands in it ...
_SECRET_PARTS = ("secret", "password", "passwd", "passphrase", "credential", "apikey", "privatekey")
#: ... and the words that do so only at its end: `max_tokens` and `key_dim` are plain hyperparameters.
_SECRET_ENDS = frozenset({"token", "key", "auth", "authorization", "pwd", "pass"})
#: A change of colours, as `Screen.paint` writes it.
_SGR = re.compile(r"(\x1b\[[0-9;]*m)")
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def safe(text: str) -> str:
    """`text` on one line: control, bidirectional and other invisible characters as backslash escapes,
    passwords in URLs masked."""
    if "://" in text:
        text = masked_url(text)
    return text if text.isprintable() else "".join(map(_visible, text))


def safe_lines(text: str) -> str:
    """Output of a job for a terminal: as `safe`, but newline, tab and carriage return do their work."""
    if text.isprintable():
        return text
    return "".join(ch if ch in "\n\t\r" else _visible(ch) for ch in text)


def _visible(ch: str) -> str:
    # Every space but U+0020 counts as not printable; they are harmless (Zs), unlike line separators (Zl, Zp).
    if ch.isprintable() or unicodedata.category(ch) == "Zs":
        return ch
    if ch in _SHORT:
        return _SHORT[ch]
    code = ord(ch)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


@lru_cache(1000)  # a list asks it once per value
def secret(name: str) -> bool:
    """True if a value of this name must not be shown: it speaks of a token, key, password or secret."""
    words = [word.lower() for word in _WORDS.findall(name)]
    return bool(words) and (words[-1] in _SECRET_ENDS or any(part in "".join(words) for part in _SECRET_PARTS))


def masked(name: str, value: Json) -> Json:
    """`value` with everything secret in it replaced by `***`, by its own name and by the keys inside it."""
    if value is None or isinstance(value, bool):
        return value
    if secret(name):
        return MASK
    if isinstance(value, dict):
        return {key: masked(key, inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [masked("", inner) for inner in value]
    return masked_url(value) if isinstance(value, str) else value


def masked_all(values: Mapping[str, Json]) -> dict[str, Json]:
    """`values` as they may leave this process, secrets masked."""
    return {name: masked(name, value) for name, value in values.items()}


def without_secrets(text: str, values: Mapping[str, Json]) -> str:
    """`text` that was made of `values`, as the name of a directory is, with those that are secret masked."""
    for name, value in values.items():
        if isinstance(value, str) and value and secret(name):
            text = text.replace(value, MASK)
    return masked_url(text) if "://" in text else text


def shown(value: Json) -> str:
    """A parameter or result as one readable word: floats keep six digits at least, nested values are JSON."""
    if isinstance(value, str):
        return safe(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        exact = repr(value)
        return exact if len(exact) <= 8 else f"{value:.6g}"
    if value is None:
        return "null"
    if isinstance(value, int):
        # Longer ones are refused by str(): int_max_str_digits.
        return str(value) if value.bit_length() < 4096 else hex(value)
    return safe(json.dumps(value, ensure_ascii=False))


def width(text: str) -> int:
    """Columns that `text` takes on a terminal: wide East Asian characters two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(_columns(ch) for ch in text)


def _columns(ch: str) -> int:
    if unicodedata.combining(ch):
        return 0
    return 2 if unicodedata.east_asian_width(ch) in "WF" else 1


def cut(text: str, limit: int, front: float = 0.5) -> str:
    """`text` in at most `limit` columns, its middle replaced by an ellipsis: names differ at both ends.

    `front`: the share of its beginning, where a sentence says most.
    """
    if width(text) <= limit:
        return text
    if limit <= 1:
        return "…"[:limit]
    head = _fitting(text, int(limit * front))
    tail = _fitting(text[::-1], limit - 1 - width(head))[::-1]
    return f"{head}…{tail}"


def clipped(line: str, limit: int) -> str:
    """A printed line, with its colours, cut off behind `limit` columns."""
    if len(line) <= limit and line.isascii():
        return line
    kept, used = [], 0
    for part in _SGR.split(line):
        if part.startswith("\x1b"):
            kept.append(part)
        elif used < limit:
            piece = _fitting(part, limit - used)
            kept.append(piece)
            used = limit if len(piece) < len(part) else used + width(piece)
    return "".join(kept)


def _fitting(text: str, limit: int) -> str:
    used = 0
    for at, ch in enumerate(text):
        used += _columns(ch)
        if used > limit:
            return text[:at]
    return text


def padded(text: str, columns: int, right: bool = False) -> str:
    """`text` filled up with spaces to `columns`."""
    if text.isascii():
        return text.rjust(columns) if right else text.ljust(columns)
    space = " " * max(0, columns - width(text))
    return space + text if right else text + space
