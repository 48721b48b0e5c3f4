"""JSON objects out of a file that a job appends to: read as they come, a piece at a time, in little memory.

The job may also write one object over several lines, leave a line half written, or write the file anew. Most lines are
one object each, and are decoded together: 0.6 us a line instead of 2.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

from exs.model import Json
from exs_worker import plainfile

#: Bytes read at a time.
PIECE = 1 << 20
#: An object that is not whole after so many bytes is given up.
LONGEST = 1 << 20
#: So much of what was read last is compared with the file: a job that wrote it anew has something else there.
KNOWN = 64

_NAMED = {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}
#: Takes the names of what is no finite number, and makes texts of them.
DECODER = json.JSONDecoder(parse_constant=_NAMED.__getitem__)


class Tail:
    """A growing file. `skip`: bytes at its start that are not to be read, as long as it begins with them."""

    def __init__(self, path: str, skip: bytes = b"") -> None:
        self.path = path
        self.left_out = 0  #: bytes
        self._skip = skip
        self._at = len(skip)
        self._known = skip[-KNOWN:]
        self._seen: tuple[int, int, int] = (0, 0, 0)

    def pieces(self, most: int = 0) -> Iterator[tuple[bytes, bool]]:
        """What was written since the last call, and whether the file begins anew with it. Raises OSError.

        A file that is not there costs one system call, and so does one that is as it was. With `most`, that one is
        looked into, since a file that was written anew within a tick of the clock may look the same; and of what is
        unread only the last `most` bytes are read, those before them are counted as `left_out`.
        """
        try:
            info = os.stat(self.path, follow_symlinks=False)
        except FileNotFoundError:
            return
        seen = info.st_ino, info.st_size, info.st_mtime_ns
        if seen == self._seen and not most:
            return
        fd = plainfile.open_read(self.path)
        try:
            anew = not self._same(fd)
            if anew:
                self._at, self._known = 0, b""
                if self._skip and os.pread(fd, len(self._skip), 0) == self._skip:
                    self._at = len(self._skip)
            if most and info.st_size - self._at > most:
                self.left_out += info.st_size - self._at - most
                self._at = info.st_size - most
            while data := os.pread(fd, PIECE, self._at):
                self._at += len(data)
                self._known = data[-KNOWN:] if len(data) >= KNOWN else (self._known + data)[-KNOWN:]
                yield data, anew
                anew = False
        finally:
            os.close(fd)
        self._seen = seen

    def _same(self, fd: int) -> bool:
        start = self._at - len(self._known)
        return os.pread(fd, len(self._known), start) == self._known


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
