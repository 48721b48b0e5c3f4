"""What a job tells of itself: JSON objects that it appends to `$EXS_REPORT`, one or many, mostly one per line.

    {"step": 3, "metrics": {"loss": 0.2}}        a point of each metric
    {"progress": 0.3}                            between 0 and 1
    {"status": "warming up"}                     one line for people
    {"checkpoint": {"path": "checkpoints/a"}}    something in the run directory from which it can go on
    {"result": {"val_loss": 0.3}}                merged in order
    {"val_loss": 0.3}                            is a result too: any object with a key that is no word of these
    {"ack": "ready"}                             it looks by itself whether it is asked to stop: no signal is needed
    {"ack": "stop"}                              it has seen that it is asked to stop

NaN and infinities, which JSON lacks, become the texts "nan", "inf" and "-inf".
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections import deque

from exs.model import Json
from exs.reported import READ, RESERVED, Objects, checked, reason, result_of, size
from exs_worker import plainfile
from exs_worker.checkpoints import checkpoint
from exs_worker.reportlines import Tail
from exs_worker.series import Metrics, is_number

#: Characters of a status.
STATUS = 200
#: Points found in the output that wait to be looked at.
MANY = 10_000
#: Steps before the first and after the last: of an attempt that goes on from nothing, and of one that keeps all.
NOWHERE, EVERYTHING = float("-inf"), float("inf")


class Report:
    """The report of one attempt, from any thread: `look` reads, `news` is what Redis does not know yet.

    Of the result, what earlier attempts reported for commands that are now skipped counts least, what `metrics` found
    in the output (`matched`) more, what the job wrote most. `root`: the run directory, in which checkpoints must lie.
    `limit`: bytes of JSON in a result. `problem`: what could not be read first. `metrics` takes those, and goes on with
    what earlier attempts left of them up to the step `go_on`; None if there was none.
    """

    def __init__(
        self, path: str, root: str, limit: int, metrics: Metrics | None = None, go_on: float | None = None
    ) -> None:
        self.path = path
        self.matched: dict[str, Json] = {}
        self.ready = False  #: the job has said that it looks whether it is to stop
        self.acknowledged = False  #: the job has said that it will stop
        self._root = root
        self._limit = limit
        self._problem = ""
        self._carried: dict[str, Json] = {}
        self._reported: dict[str, Json] = {}
        self._told: dict[str, Json] = {}
        self._news = False
        self._whole = True  # Redis has nothing of this attempt yet
        self._metrics = metrics
        self._go_on = go_on
        self._measured = False  # this attempt has told of a metric
        self._points: deque[tuple[str, Json, Json]] = deque()
        self._lock = threading.Lock()
        self._tail = Tail(path)
        self._objects = Objects()

    @property
    def problem(self) -> str:
        """What could not be used first, "" if all could."""
        lacking = self._metrics.problem if self._metrics is not None else ""
        return self._problem or self._objects.problem or lacking

    def carry(self, earlier: str, keep: bool) -> None:
        """Begin with what an earlier attempt reported; `keep` notes it for later attempts. Raises OSError."""
        before = Report(earlier, self._root, self._limit)
        before.look(final=True)
        self._carried = before._reported
        self._problem = before.problem
        if keep and self._carried:
            self._tail = Tail(self.path, self._append(self._carried))

    def look(self, final: bool = False) -> None:
        """Read what the job has written since the last look; `final`: its command has ended.

        A command may write the file anew: what an earlier one said stays.
        """
        with self._lock:
            try:
                self._take_points()
                for data, anew in self._tail.pieces(READ if final else 0):
                    if anew:
                        self._take_all(b"", final=True)
                        self._objects.restart()
                    self._take_all(data)
                if final:
                    self._take_all(b"", final=True)
                if self._tail.left_out:
                    self._problem = self._problem or f"{self._tail.left_out} bytes of it came too late to be read"
            except OSError as error:
                self._problem = self._problem or error.strerror or str(error)

    def point(self, name: str, step: Json, value: Json) -> None:
        """A value of a metric that was found in the output; `step` None to count. Never waits for those who look."""
        self._points.append((name, step, value))
        if len(self._points) >= MANY:  # nobody looks, or not often enough
            self.look()

    def news(self) -> dict[str, Json] | None:
        """What was told since `news` was last asked, for Redis; None for nothing."""
        with self._lock:
            if not self._news:
                return None
            told = dict(self._told)
            if self._metrics is not None and self._measured:
                told |= self._metrics.news(self._whole)
                if self._whole:
                    told["whole"] = True
                self._whole = False
            self._news = False
            return told

    def not_delivered(self) -> None:
        """Redis did not take the last news, or has not what they build upon: tell all of it next."""
        self._news = self._whole = True

    def whole(self) -> dict[str, Json]:
        """All that was told, {} for nothing: it goes with the outcome. Nothing is read or written after this."""
        with self._lock:
            told = dict(self._told)
            if self._metrics is not None and self._measured:
                self._metrics.close()
                told |= {**self._metrics.news(whole=True), "whole": True}
            return told

    def settle(self) -> dict[str, Json]:
        """The result. What the file does not hold of it is added there, for an attempt that skips these commands."""
        result = {**self._carried, **self.matched, **self._reported}
        if result and size(result) > self._limit:
            self._problem = self.problem or f"larger than {self._limit} bytes"
            return {}
        if all(self._reported.get(name) == value for name, value in self.matched.items()):
            return result
        with contextlib.suppress(OSError):  # a full disk: the result goes to Redis all the same
            self._append(result)
        return result

    def _append(self, result: dict[str, Json]) -> bytes:
        line = json.dumps({"result": result}, allow_nan=False).encode("ascii") + b"\n"
        plainfile.append(self.path, line)
        return line

    # ------------------------------------------------------------ one object

    def _take_points(self) -> None:
        if not self._points:
            return
        while self._points:
            name, step, value = self._points.popleft()
            with contextlib.suppress(ValueError):  # what is no number is a result, and no point
                self._measure(step, {name: value})
        self._write()

    def _write(self) -> None:
        if self._metrics is not None:
            self._metrics.write()

    def _measure(self, step: Json, values: Json) -> None:
        if not isinstance(values, dict):
            raise ValueError("metrics is no object")
        if self._metrics is None:
            return
        if not self._measured and self._go_on is not None:
            # A job that begins before its checkpoint, whatever its reason, says once more what comes after.
            before = step if is_number(step) and self._go_on < EVERYTHING else EVERYTHING
            self._metrics.begin(self._go_on, before)
        self._news = self._measured = True
        self._metrics.add(step, values)

    def _take_all(self, data: bytes, final: bool = False) -> None:
        for line, value in self._objects.feed(data, final):
            try:
                self._take(value)
            except (ValueError, RecursionError) as error:
                self._objects.bad(line, reason(error))
        self._write()

    def _take(self, value: Json) -> None:
        """Raises ValueError for what makes no sense; what else the object says counts all the same."""
        if not isinstance(value, dict):
            raise ValueError(f"not an object but {type(value).__name__}")
        if not RESERVED.issuperset(value):
            self._merge(value)
            return
        if "metrics" in value:
            self._measure(value.get("step"), value["metrics"])
        if value.get("ack") == "ready":
            self.ready = True
        if value.get("ack") == "stop":
            self.acknowledged = True
        if "result" in value:
            self._merge(value)
        if "progress" in value:
            self._tell("progress", _progress(value["progress"]))
        if "status" in value:
            self._tell("status", _status(value["status"]))
        if "checkpoint" in value:
            kept = checkpoint(value["checkpoint"], self._root)
            if "step" not in kept and self._metrics is not None and self._metrics.step is not None:
                kept["step"] = self._metrics.step  # it was made after what is known by now
            self._tell("checkpoint", kept)

    def _merge(self, value: dict[str, Json]) -> None:
        self._reported.update(checked_result(result_of(value) or {}, self._limit))

    def _tell(self, what: str, value: Json) -> None:
        self._told[what] = value
        self._news = True


def _progress(value: Json) -> float:
    if not is_number(value) or not 0 <= value <= 1:
        raise ValueError("progress is not a number from 0 to 1")
    return float(value)


def _status(value: Json) -> str:
    if not isinstance(value, str):
        raise ValueError("status is no text")
    size(value)
    return value[:STATUS]


def checked_result(given: dict[str, Json], limit: int) -> dict[str, Json]:
    """A result that can be stored, of at most `limit` bytes as JSON. Raises ValueError."""
    result: dict[str, Json] = checked(given)
    if size(result) > limit:
        raise ValueError(f"larger than {limit} bytes")
    return result
