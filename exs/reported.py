"""What a job tells in `$EXS_REPORT`: JSON objects, out of a text that arrives in pieces, in little memory.

The job may also write one object over several lines, leave a line half written, or write the file anew. Most lines are
one object each, and are decoded together: 0.6 us a line instead of 2. Slots read them as they come (`exs_worker.report`
says what they mean), and whoever reads a run directory afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from exs.model import Json

#: Words of the protocol. An object that holds only these is a report; one with any other key is itself a result.
RESERVED = frozenset({"result", "metrics", "step", "progress", "status", "checkpoint", "ack"})
#: Of what is unread when the job has ended, the last so many bytes count: its GPU must not wait for long.
READ = 64 << 20
#: An object that is not whole after so many bytes is given up.
LONGEST = 1 << 20
#: Nesting that a result may have.
DEPTH = 32

_NAMED = {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}
#: Takes the names of what is no finite number, and makes texts of them.
DECODER = json.JSONDecoder(parse_constant=_NAMED.__getitem__)


class Objects:
    """The values in a text that arrives in pieces, each with the number of its line. `problem`: the first bad line."""

    def __init__(self) -> None:
        self.problem = ""
        self._rest = b""
        self._line = 1
        self._lost = False  # inside a line that was given up

    def feed(self, data: bytes, final: bool = False) -> Iterator[tuple[int, Json]]:
        """The values that are whole by now; `final`: nothing follows, so what is not whole never will be."""
        if self._lost:
            end = data.find(b"\n")
            if end < 0:
                return
            data, self._lost = data[end:], False
        if self._rest:
            data = self._rest + data
        cut = len(data) if final else data.rfind(b"\n") + 1
        whole, self._rest = data[:cut], data[cut:]
        if whole:
            yield from self._decode(whole.decode("utf-8", "replace"), final)
        if len(self._rest) > LONGEST:
            self.bad(self._line + self._rest.count(b"\n"), f"larger than {LONGEST} bytes")
            self._line += self._rest.count(b"\n")
            self._lost, self._rest = not self._rest.endswith(b"\n"), b""

    def restart(self) -> None:
        """What follows is another file."""
        self._rest, self._line, self._lost = b"", 1, False

    def bad(self, line: int, why: str) -> None:
        """Note the first line that could not be used."""
        self.problem = self.problem or f"line {line}: {why}"

    def _decode(self, text: str, final: bool) -> Iterator[tuple[int, Json]]:
        lines = text.split("\n")
        values = _together(lines)
        if values is None:
            yield from self._one_by_one(text, final)
            return
        line = self._line
        self._line += len(lines) - 1
        at = 0
        for number, written in enumerate(lines, line):
            if written and not written.isspace():
                yield number, values[at]
                at += 1

    def _one_by_one(self, text: str, final: bool) -> Iterator[tuple[int, Json]]:
        at = _skip(text, 0)
        counted = 0
        while at < len(text):
            self._line += text.count("\n", counted, at)
            counted = at
            try:
                value, end = DECODER.raw_decode(text, at)
            except (ValueError, RecursionError) as error:
                if not final and _not_whole(error, text) and len(text) - at <= LONGEST:
                    self._rest = text[at:].encode("utf-8", "surrogatepass") + self._rest
                    return
                spot = error.pos if isinstance(error, json.JSONDecodeError) else at
                self.bad(self._line + text.count("\n", at, spot), reason(error))
                end = text.find("\n", at)
                end = len(text) if end < 0 else end
            else:
                yield self._line, value
            at = _skip(text, end)
        self._line += text.count("\n", counted)


def _together(lines: list[str]) -> list[Json] | None:
    """The values of lines of which each is one; None if they are not."""
    written = [line for line in lines if line and not line.isspace()]
    try:
        values: list[Json] = DECODER.decode(f"[{','.join(written)}]")
    except (ValueError, RecursionError):
        return None
    return values if len(values) == len(written) else None


def _not_whole(error: Exception, text: str) -> bool:
    """True if more text could make an object of what is there."""
    if not isinstance(error, json.JSONDecodeError):
        return False
    return error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string")


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def reason(error: Exception) -> str:
    """What is wrong with a line, in a few words."""
    if isinstance(error, json.JSONDecodeError):
        return error.msg
    if isinstance(error, UnicodeEncodeError):
        return "a lone surrogate"
    return "nested too deep" if isinstance(error, RecursionError) else str(error)


def result_of(value: dict[str, Json]) -> dict[str, Json] | None:
    """The result that an object tells, None for none. Of infinities, which too large a number has become, texts.

    Raises ValueError for one that is nested too deep.
    """
    if not RESERVED.issuperset(value):
        found: Json = value
    elif "result" in value:
        found = value["result"] if isinstance(value["result"], dict) else {"result": value["result"]}
    else:
        return None
    told: dict[str, Json] = checked(found)
    return told


def checked(value: Json, depth: int = 0) -> Json:
    """`value` with infinities, which a number too large to be one has become, as text. Raises ValueError: too deep."""
    if depth > DEPTH:
        raise ValueError(f"nested deeper than {DEPTH}")
    if isinstance(value, dict):
        return {name: checked(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list):
        return [checked(item, depth + 1) for item in value]
    return str(value) if isinstance(value, float) and value - value != 0 else value


def size(value: Json) -> int:
    """Bytes of the value as JSON. A lone surrogate, which no terminal and no Redis client can take, is a ValueError."""
    return len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8"))
