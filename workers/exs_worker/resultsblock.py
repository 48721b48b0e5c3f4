"""Results that a program prints, as Schedy reads them:

    --- RESULTS ---
    {"val_loss": 0.3}
    --- END RESULTS ---

Both on lines of their own; without the second, the block goes to the end of the output. Later blocks add to earlier
ones.
"""

from __future__ import annotations

import re

from exs.model import Json
from exs.reported import DECODER, reason
from exs_worker.report import checked_result

_MARK = b"--- RESULTS ---"
_BEGIN = re.compile(rb"[\r\n]--- RESULTS ---[ \t]*\r?\n")
_END = re.compile(rb"(?:^|[\r\n])--- END RESULTS ---")
#: Bytes of what passed that are kept while no block is open: a mark may come in two pieces.
_EDGE = 64


class ResultsBlock:
    """Looks for blocks in output that passes in chunks. `limit`: bytes of one. `problem`: why one could not be read."""

    def __init__(self, limit: int) -> None:
        self.values: dict[str, Json] = {}
        self.problem = ""
        self._limit = limit
        self._edge = b"\n"
        self._block: bytearray | None = None

    def feed(self, data: bytes) -> None:
        """Look at what was printed. Costs a search for a few bytes where there is no block."""
        if self._block is None and _MARK not in data and _MARK not in self._edge + data[:_EDGE]:
            self._edge = data[-_EDGE:] if len(data) >= _EDGE else (self._edge + data)[-_EDGE:]
            return
        rest = self._edge + data if self._block is None else data
        while rest:
            rest = self._open(rest) if self._block is None else self._close(rest, self._block)

    def finish(self) -> None:
        """The output has ended."""
        if self._block is not None:
            self._take(bytes(self._block))
            self._block = None

    def _open(self, data: bytes) -> bytes:
        begin = _BEGIN.search(data)
        if begin is None:
            self._edge = data[-_EDGE:]
            return b""
        self._block = bytearray()
        return data[begin.end() :]

    def _close(self, data: bytes, block: bytearray) -> bytes:
        searched = max(0, len(block) - _EDGE)
        block += data
        end = _END.search(block, searched)
        if end is None:
            if len(block) > 2 * self._limit:
                self.problem = self.problem or f"larger than {self._limit} bytes"
                self._block, self._edge = None, bytes(block[-_EDGE:])
            return b""
        rest = bytes(block[end.end() :])
        self._block, self._edge = None, b""
        self._take(bytes(block[: end.start()]))
        return rest

    def _take(self, text: bytes) -> None:
        try:
            if len(text) > 2 * self._limit:
                raise ValueError(f"larger than {self._limit} bytes")
            value = DECODER.decode(text.decode("utf-8", "replace"))
            if not isinstance(value, dict):
                raise ValueError(f"not an object but {type(value).__name__}")
            self.values |= checked_result(value, self._limit)
        except (ValueError, RecursionError) as error:
            self.problem = self.problem or reason(error)
