"""The result that a job leaves in `$EXS_REPORT`.

The file holds JSON objects, one or many, one per line or written over several lines:

    {"val_loss": 0.3}                    is a result
    {"result": {"val_loss": 0.3}}        is the same, said explicitly
    {"step": 7, "metrics": {...}}        only words of the protocol: a report, no result

Results are merged in order. NaN and infinities, which JSON lacks, become the texts "nan", "inf" and "-inf".
"""

from __future__ import annotations

import contextlib
import json

from exs.model import Json
from exs_worker import plainfile

#: Words of the protocol. An object that holds only these is a report; one with any other key is itself a result.
RESERVED = frozenset({"result", "metrics", "step", "progress", "status", "checkpoint", "ack"})
#: Of a longer file, its end counts: reports of a ten-day job must not fill the slot's memory.
READ = 4 << 20
#: Nesting that a result may have.
DEPTH = 32

_NAMED = {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}


def _finite(text: str) -> Json:
    value = float(text)
    return value if abs(value) < float("inf") else str(value)


_DECODER = json.JSONDecoder(parse_constant=_NAMED.__getitem__, parse_float=_finite)


class Unreadable(ValueError):
    """Part of a report could not be used. `result` is what could."""

    def __init__(self, why: str, result: dict[str, Json]) -> None:
        super().__init__(why)
        self.result = result


class Report:
    """The report of one attempt, and what is known of its result.

    What earlier attempts reported for commands that are now skipped counts least, what `metrics` found in the output
    (`matched`) more, what the job wrote most. `limit`: bytes of JSON in a result. `problem`: what could not be read.
    """

    def __init__(self, path: str, limit: int) -> None:
        self.path = path
        self.problem = ""
        self.matched: dict[str, Json] = {}
        self._limit = limit
        self._carried: dict[str, Json] = {}
        self._reported: dict[str, Json] = {}
        self._first_line = b""

    def carry(self, earlier: str, keep: bool) -> None:
        """Begin with what an earlier attempt reported; `keep` notes it for later attempts. Raises OSError."""
        self._carried = self._read(earlier)
        if keep and self._carried:
            self._first_line = self._append(self._carried)

    def collect(self) -> None:
        """Read what the job has reported so far: a later command may overwrite the file."""
        self._reported |= self._read(self.path, self._first_line)

    def settle(self) -> dict[str, Json]:
        """The result. What the file does not hold of it is added there, for an attempt that skips these commands."""
        result = {**self._carried, **self.matched, **self._reported}
        if result and _size(result) > self._limit:
            self.problem = self.problem or f"larger than {self._limit} bytes"
            return {}
        if all(self._reported.get(name) == value for name, value in self.matched.items()):
            return result
        with contextlib.suppress(OSError):  # a full disk: the result goes to Redis all the same
            self._append(result)
        return result

    def _read(self, path: str, first_line: bytes = b"") -> dict[str, Json]:
        try:
            return read_result(path, self._limit, first_line)
        except Unreadable as error:
            self.problem = self.problem or str(error)
            return error.result

    def _append(self, result: dict[str, Json]) -> bytes:
        line = json.dumps({"result": result}, allow_nan=False).encode("ascii") + b"\n"
        plainfile.append(self.path, line)
        return line


def read_result(path: str, limit: int, first_line: bytes = b"") -> dict[str, Json]:
    """The merged result in a report, {} when the job wrote none; `first_line` is ours and does not count.

    `limit` is in bytes of JSON. Raises Unreadable.
    """
    try:
        data, whole = plainfile.read_end(path, READ)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise Unreadable(error.strerror or str(error), {}) from None
    if not whole:
        data = data.partition(b"\n")[2]
    return parse(data.removeprefix(first_line), limit)


def parse(data: bytes, limit: int) -> dict[str, Json]:
    """The merged result of the text of a report. Raises Unreadable, which names the first bad line."""
    text = data.decode("utf-8", "replace")
    result: dict[str, Json] = {}
    problem = ""
    at = _skip(text, 0)
    while at < len(text):
        try:
            value, end = _DECODER.raw_decode(text, at)
            _check(value, limit)
            result.update(_result_of(value))
        except (ValueError, RecursionError) as error:
            spot = error.pos if isinstance(error, json.JSONDecodeError) else at
            problem = problem or f"line {text.count(chr(10), 0, spot) + 1}: {_reason(error)}"
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
        at = _skip(text, end)
    if _size(result) > limit:
        raise Unreadable(problem or f"larger than {limit} bytes", {})
    if problem:
        raise Unreadable(problem, result)
    return result


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _result_of(value: Json) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise ValueError(f"not an object but {type(value).__name__}")
    if not RESERVED.issuperset(value):
        return value
    given = value.get("result", {})
    return given if isinstance(given, dict) else {"result": given}


def _check(value: Json, limit: int, depth: int = 0) -> None:
    if depth > DEPTH:
        raise ValueError(f"nested deeper than {DEPTH}")
    if isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            _check(item, limit, depth + 1)
    if depth == 0 and _size(value) > limit:
        raise ValueError(f"larger than {limit} bytes")


def _size(value: Json) -> int:
    """Bytes of the value as JSON. A lone surrogate, which no terminal and no Redis client can take, is a ValueError."""
    return len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8"))


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return error.msg
    if isinstance(error, UnicodeEncodeError):
        return "a lone surrogate"
    return "nested too deep" if isinstance(error, RecursionError) else str(error)
