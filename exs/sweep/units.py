"""Durations like 1d12h and sizes like 20GiB, as numbers."""

from __future__ import annotations

import re

from exs.errors import InputError
from exs.model import Json
from exs.sweep.suggest import shorten

_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "min": 60.0, "s": 1.0, "ms": 0.001}
_PART = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*(d|h|min|ms|m|s)\s*")
_BYTES = {
    "": 1,
    "B": 1,
    **{f"{letter}B": 1000**power for power, letter in enumerate("kMGT", start=1)},
    "KB": 1000,
    **{f"{letter}iB": 1024**power for power, letter in enumerate("KMGT", start=1)},
}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s*([kKMGT]?i?B|)\Z")


def duration(value: Json, where: str) -> float:
    """Seconds, greater than 0: a number, or a text like `90s`, `4h`, `1d12h`; raises InputError."""
    seconds = 0.0
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str):
        parts = _PART.findall(value)
        if parts and not _PART.sub("", value).strip():
            seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if not 0 < seconds <= 1e9:
        raise InputError(f"{where}: {shorten(value)} is not a duration.", "Write 90s, 30m, 4h or 1d12h.")
    return seconds


def size(value: Json, where: str) -> int:
    """Bytes, greater than 0: a whole number, or a text like `20GiB`, `500MB`; raises InputError."""
    count = 0
    if isinstance(value, int) and not isinstance(value, bool):
        count = value
    elif isinstance(value, str) and (found := _SIZE.match(value.strip())) and found[2] in _BYTES:
        count = int(float(found[1]) * _BYTES[found[2]])
    if not 0 < count < 1 << 60:
        raise InputError(f"{where}: {shorten(value)} is not a size.", "Write 20GiB or 500MB.")
    return count
