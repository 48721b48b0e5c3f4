"""`log_streams_to_file`: what Python prints during a run stands in `log.stdout` and `log.stderr`, too."""

from __future__ import annotations

import sys
from typing import Any, TextIO

from exs.paths import LogDir


class Streams:
    """sys.stdout and sys.stderr write to two places until this is closed."""

    def __init__(self, place: LogDir) -> None:
        self._before = {name: getattr(sys, name) for name in ("stdout", "stderr")}
        self._files: dict[str, TextIO] = {}
        self._ours: dict[str, _Both] = {}
        for name, stream in self._before.items():
            self._files[name] = open(place.stream(name), "a", encoding="utf-8", errors="replace")  # noqa: PTH123, SIM115
            self._ours[name] = _Both(stream, self._files[name])
            setattr(sys, name, self._ours[name])

    def close(self) -> None:
        """Put back what was there, unless somebody has put something else there."""
        for name, stream in self._before.items():
            if getattr(sys, name) is self._ours[name]:
                setattr(sys, name, stream)
            self._files[name].close()


class _Both:
    """A stream that writes a copy; everything else it is asked for is the stream's."""

    def __init__(self, stream: Any, copy: TextIO) -> None:
        self._stream = stream
        self._copy = copy

    def write(self, text: str) -> int:
        written: int = self._stream.write(text)
        if not self._copy.closed:
            self._copy.write(text)
        return written

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        self._stream.flush()
        if not self._copy.closed:
            self._copy.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
