"""What a job's output is searched for while it passes: metrics (each match is a point, the last one a result) and log
policies (the first match counts)."""

from __future__ import annotations

import contextlib
import re
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType, TracebackType
from typing import Any

from exs.model import Json

#: A longer line is cut: no result stands behind so many bytes, and a line without end must not fill the memory.
LINE = 4096
#: CPU seconds of matching per chunk of output (at most 1 MiB), after which an expression is given up. An honest one
#: needs 0.1 s for a chunk of short lines, and the slot's other threads must not wait longer than they can bear.
BUDGET = 2.0


class _TooSlow(Exception):
    pass


class Scanner:
    """Looks for `metrics` (name -> regular expression with one group) and `policies` (regular expressions) in output
    that passes in chunks. `values` holds what the metrics found, `hits` the line in which each policy was found first.

    `point` is called with name, step and value of each match: the step is what a group named `step` holds, else None.

    Lines end at a newline or a carriage return (progress bars). Used as a context manager, in the main thread, it
    interrupts an expression that backtracks for ever: `re` holds the interpreter lock but looks at signals.
    `dropped` then names it, `slow` has the number of a policy. Raises ValueError for what cannot be compiled.
    """

    def __init__(
        self,
        metrics: Mapping[str, str],
        policies: Sequence[str] = (),
        point: Callable[[str, Json, Json], None] = lambda name, step, value: None,
    ) -> None:
        self.values: dict[str, Json] = {}
        self.hits: dict[int, str] = {}
        self.dropped: list[str] = []
        self.slow: list[int] = []
        self._patterns: dict[str, re.Pattern[bytes]] = {}
        self._point = point
        for name, text in metrics.items():
            try:
                pattern = re.compile(text.encode("utf-8"))
            except (re.error, OverflowError) as error:
                raise ValueError(f"metrics: {name}: {text!r} is not a regular expression: {error}") from None
            if pattern.groups - ("step" in pattern.groupindex) < 1:
                raise ValueError(f"metrics: {name}: {text!r} needs a group ( ) around the value")
            self._patterns[name] = pattern
        self._policies = {at: _findable(text) for at, text in enumerate(policies)}
        self._rest = b""
        self._trying = False
        self._previous: Any = None
        self._guarded = False

    def __enter__(self) -> Scanner:
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGVTALRM, self._alarm)
            self._guarded = True
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._guarded:
            signal.signal(signal.SIGVTALRM, self._previous or signal.SIG_DFL)
            self._guarded = False

    def feed(self, data: bytes) -> None:
        """Look at the complete lines of what was printed so far."""
        lines = (self._rest + data).replace(b"\r", b"\n").split(b"\n")
        self._rest = lines.pop()[:LINE]
        self._search(lines)

    def finish(self) -> None:
        """Look at the last line too, which no newline ended."""
        if self._rest:
            self._search([self._rest])
            self._rest = b""

    def _search(self, lines: list[bytes]) -> None:
        for name, pattern in list(self._patterns.items()):
            try:
                with self._limited():
                    self._matches(name, pattern, lines)
            except _TooSlow:
                del self._patterns[name]
                self.dropped.append(name)
        for at, pattern in list(self._policies.items()):
            try:
                with self._limited():
                    line = next((line for line in lines if pattern.search(line, 0, LINE)), None)
            except _TooSlow:
                self.slow.append(at)
            else:
                if line is None:
                    continue
                self.hits[at] = line[:LINE].decode("utf-8", "replace")
            del self._policies[at]

    def _matches(self, name: str, pattern: re.Pattern[bytes], lines: list[bytes]) -> None:
        step = pattern.groupindex.get("step", 0)
        value = 2 if step == 1 else 1
        for line in lines:
            for match in pattern.finditer(line[:LINE]):
                if match[value] is not None:
                    found = self.values[name] = number(match[value].decode("utf-8", "replace"))
                    at = number(match[step].decode("utf-8", "replace")) if step and match[step] else None
                    self._point(name, None if isinstance(at, str) else at, _plain(found))

    @contextlib.contextmanager
    def _limited(self) -> Iterator[None]:
        """Raises _TooSlow in what is done meanwhile once it has taken its budget."""
        try:
            self._trying = True
            if self._guarded:
                signal.setitimer(signal.ITIMER_VIRTUAL, BUDGET)
            yield
        finally:
            self._trying = False
            if self._guarded:
                signal.setitimer(signal.ITIMER_VIRTUAL, 0)

    def _alarm(self, signum: int, frame: FrameType | None) -> None:
        if self._trying:
            raise _TooSlow


def _findable(text: str) -> re.Pattern[bytes]:
    """A pattern that is found in the same lines as `text`. Raises ValueError for what is no regular expression.

    Determined's examples begin with `.*`, which says nothing where a pattern may be found anywhere, and makes a line
    that lacks it cost the square of its length.
    """
    plain = re.sub(r"\A(?:\.\*(?![?+*{]))+", "", text)
    try:
        return re.compile(plain.encode("utf-8"))
    except (re.error, OverflowError) as error:
        raise ValueError(f"log policy {text!r} is not a regular expression: {error}") from None


def _plain(value: Json) -> Json:
    """A number that is not finite under its one name."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return str(float(value))
    return value


def number(text: str) -> Json:
    """`text` as a whole number or a finite float where it is one; what is no number, and nan and inf, stays text."""
    for kind in (int, float):
        try:
            value = kind(text)
        except (ValueError, OverflowError):
            continue
        return value if abs(value) < float("inf") else text
    return text
