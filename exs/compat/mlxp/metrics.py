"""Metrics of a run: `metrics/<log_name>.json`, one line of JSON per call, whole or not there."""

from __future__ import annotations

import json
import os
from typing import Any

from exs import job
from exs.compat.mlxp.files import write
from exs.errors import InputError
from exs.paths import LogDir, safe_file_name
from exs.settings import Limits
from exs.sweep import yamlfile
from exs.sweep.suggest import shorten
from exs.sweep.yamltext import dump
from exs.values import mapping

#: Names that a reader's columns begin with.
RESERVED = ("info", "config", "mlxp", "artifacts")
#: Files that stay open at once.
OPEN = 64

_PLAIN = {int, float, str}
_encode = json.JSONEncoder(allow_nan=False).encode


class Metrics:
    """The metrics of one run."""

    def __init__(self, place: LogDir) -> None:
        self._place = place
        self._open: dict[str, int] = {}
        self._keys: dict[str, set[str]] = {}

    def log(self, metrics: dict[str, Any], log_name: str) -> None:
        """Append a line. Raises InputError for what cannot be written, OSError, and then nothing of it is there."""
        fd = self._open.get(log_name)
        values = metrics
        text = _plain(metrics, self._keys[log_name]) if fd is not None else None
        if text is None:
            values = mapping(metrics, "metrics")
            text = _encode(values)
        if fd is None:
            fd = self._opened(log_name)
        line = text.encode("ascii") + b"\n"
        written = os.write(fd, line)
        if written < len(line):  # the disk is full
            os.ftruncate(fd, os.fstat(fd).st_size - written)
            raise OSError(f"the disk is full: a line of metrics of {log_name} was not written.")
        known = self._keys[log_name]
        if not known.issuperset(values):
            known.update(values)
            write(self._place.metric_key(log_name), dump(dict.fromkeys(sorted(known), "")))
        if job.id:
            self._report(metrics, values, log_name)

    def close(self) -> None:
        """Write no more."""
        for fd in self._open.values():
            os.close(fd)
        self._open.clear()

    def _opened(self, log_name: str) -> int:
        if not isinstance(log_name, str) or not safe_file_name(f"{log_name}.json") or log_name[:1] in (".", ""):
            raise InputError(f"{shorten(log_name)} cannot name a log of metrics.", "It names a file.")
        if log_name in RESERVED:
            raise InputError(f"{log_name!r} cannot name a log of metrics: other columns begin so.", "Write train.")
        if len(self._open) >= OPEN:
            os.close(self._open.pop(next(iter(self._open))))
        if log_name not in self._keys:
            self._keys[log_name] = _stored_keys(self._place.metric_key(log_name))
        os.makedirs(self._place.metrics, exist_ok=True)
        path = self._place.metric(log_name)
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        _mend(fd)
        self._open[log_name] = fd
        return fd

    @staticmethod
    def _report(metrics: dict[str, Any], values: dict[str, Any], log_name: str) -> None:
        """Tell the queue the numbers: `log_name.key`."""
        numbers = {
            f"{log_name}.{key}": metrics[key]
            for key, value in values.items()
            if isinstance(value, (int, float)) or (isinstance(value, str) and not isinstance(metrics[key], str))
        }
        if numbers:
            job.report(numbers)


def _plain(metrics: Any, known: set[str]) -> str | None:
    """The line of numbers and texts under keys that were there before; None for what has to be looked at closer."""
    if type(metrics) is not dict or not metrics.keys() <= known or not set(map(type, metrics.values())) <= _PLAIN:
        return None
    try:
        return _encode(metrics)
    except ValueError:  # NaN
        return None


def _mend(fd: int) -> None:
    """Cut off half a line: the process that wrote it was killed, and this one has the run's lock."""
    size = end = os.fstat(fd).st_size
    while end:
        start = max(0, end - 65536)
        at = os.pread(fd, end - start, start).rfind(b"\n")
        if at >= 0:
            end = start + at + 1
            break
        end = start
    if end < size:
        os.ftruncate(fd, end)


def _stored_keys(path: str) -> set[str]:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            documents = yamlfile.load(file.read(), path, "1.1", Limits())
    except (OSError, InputError):
        return set()
    return set(documents[0].value) if documents and isinstance(documents[0].value, dict) else set()
