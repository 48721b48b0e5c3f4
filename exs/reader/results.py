"""The result of a run in its directory: what its job told in `$EXS_REPORT`, which its slot completes and leaves."""

from __future__ import annotations

import os
import re
import stat

from exs.errors import BrokenRecord
from exs.model import Json
from exs.paths import RunDir, safe_file_name
from exs.reported import READ, Objects, result_of, size

#: Lines that `exs.job.report` writes, of which there may be a million: they say nothing of the result.
_POINTS = re.compile(rb'^\{(?:"step": [^",{}]+, )?"metrics": \{[^{}]*\}\}\n', re.MULTILINE)
#: Bytes that are decoded at once.
_PIECE = 1 << 20
_SAFE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

#: Times and size of a file, as the index keeps them; [0] where there is none.
Seen = list[int]


def report_of(folder: str, attempt: Json) -> str:
    """The path of the report of an attempt, "" where that is no name of one."""
    path = RunDir(folder).report(attempt) if isinstance(attempt, str) and attempt else ""
    return path if safe_file_name(os.path.basename(path)) and os.path.dirname(path) == folder else ""


def seen(facts: os.stat_result) -> Seen:
    """What tells that a file was changed."""
    return [facts.st_mtime_ns, facts.st_size, facts.st_ino]


def result_in(path: str) -> tuple[dict[str, Json], Seen]:
    """The result, and what the file was when it was read. What cannot be used of it is left out, as the slot does it.

    Raises BrokenRecord.
    """
    try:
        fd = os.open(path, _SAFE)
    except FileNotFoundError:
        return {}, [0]
    except OSError as error:
        raise BrokenRecord(f"{path} cannot be read: {error.strerror}.") from None
    try:
        facts = os.fstat(fd)
        data = _read(fd, facts.st_size) if stat.S_ISREG(facts.st_mode) else b""
    except OSError as error:
        raise BrokenRecord(f"{path} cannot be read: {error.strerror}.") from None
    finally:
        os.close(fd)
    return _result(_POINTS.sub(b"", data)), seen(facts)


def _read(fd: int, length: int) -> bytes:
    start, data = max(0, length - READ), b""
    while len(data) < length - start and (piece := os.pread(fd, length - start - len(data), start + len(data))):
        data += piece
    return data


def _result(data: bytes) -> dict[str, Json]:
    objects, found = Objects(), {}
    for at in range(0, len(data), _PIECE):
        for _, value in objects.feed(data[at : at + _PIECE], final=at + _PIECE >= len(data)):
            try:
                told = result_of(value) if isinstance(value, dict) else None
                if told and size(told):
                    found.update(told)
            except (ValueError, RecursionError):  # what Redis would not take
                continue
    return found
