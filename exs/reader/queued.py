"""A job of the queue as a run: the keys that a run directory has, and those that only the queue knows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from exs.model import JobState, Json
from exs.reader.query import MISSING
from exs.reader.reducers import number
from exs.reader.run import Run, flattened, reduced
from exs.rows import JobRow, Metric
from exs.view.when import iso

#: MLXP's word for a state, in `info.status`; exs's own stands in `info.state`.
STATUS: Mapping[JobState, str] = {
    **{state: state.value for state in JobState},
    JobState.PAUSING: "RUNNING",
    JobState.DONE: "COMPLETE",
    JobState.CRASHED: "FAILED",
}
#: What is known of a metric without its points.
SUMMARY: Mapping[str, Callable[[Metric], Json]] = {
    "last": lambda metric: metric.last[1],
    "first": lambda metric: metric.first[1],
    "min": lambda metric: metric.lowest[1] if metric.lowest else None,
    "max": lambda metric: metric.highest[1] if metric.highest else None,
    "count": lambda metric: metric.count,
}

#: The attributes of a row that something is made of, and how.
_Made = tuple[tuple[str, ...], Callable[[JobRow], Json]]


def _is(attribute: str) -> _Made:
    return (attribute,), attrgetter(attribute)


def _if_any(attribute: str) -> _Made:
    return (attribute,), lambda row: getattr(row, attribute) or None


def _time(attribute: str) -> _Made:
    return (attribute,), lambda row: iso(getattr(row, attribute))


#: What `info.` has of a job. Times are ISO 8601 in UTC, which sorts as text.
_INFO: Mapping[str, _Made] = {
    "status": (("state",), lambda row: STATUS[row.state]),
    "state": (("state",), lambda row: row.state.value),
    "experiment": _is("experiment"),
    "index": _is("index"),
    "id": _is("id"),
    "name": _is("name"),
    "hostname": _if_any("node"),
    "gpus": _if_any("gpus"),
    "slot": _if_any("slot"),
    "created_at": _time("created_at"),
    "started_at": _time("started_at"),
    "ended_at": _time("ended_at"),
    "seconds": (("started_at", "ended_at"), lambda row: row.seconds if row.ended_at else None),
    "attempts": _is("attempts"),
    "lost": _is("lost"),
    "failure": _if_any("failure"),
    "detail": _if_any("detail"),
    "exit_code": _is("exit_code"),
    "progress": _is("progress"),
    "says": _if_any("said"),
    "max_rss": _if_any("max_rss"),
    "commands": (("commands",), lambda row: list(row.commands)),
    "log_dir": _if_any("directory"),
    "log": _if_any("log"),
    "spec": _if_any("spec"),
    "point": _if_any("point"),
    "checkpoint": (("checkpoint",), lambda row: row.checkpoint.get("path")),
}


def attributes(keys: Iterable[str]) -> list[str]:
    """Those of a row in which `keys` find something: parameters, results, metrics, and what `info.` words need."""
    needed = dict.fromkeys(("params", "result", "metrics"))
    for key in keys:
        needed.update(dict.fromkeys(_INFO.get(key.removeprefix("info."), ((),))[0]))
    return list(needed)


#: Job -> its metrics with their points.
Fetch = Callable[[str], Mapping[str, Metric]]


class JobSeries:
    """The metrics of a job: from its record, from `row.series` where that was asked for, from the queue at last.

    The queue has every `every`-th point of a long series: mean, std, median and sum are those of the points kept.
    """

    __slots__ = ("_fetch", "_points", "_row")

    def __init__(self, row: JobRow, fetch: Fetch | None) -> None:
        self._row = row
        self._fetch = fetch
        self._points: Mapping[str, Metric] | None = None

    def names(self) -> Sequence[str]:
        """See Series."""
        row = self._row
        return tuple({**row.metrics, **row.series}) if row.series else tuple(row.metrics)

    def has(self, name: str) -> bool:
        """See Series."""
        return name in self._row.metrics or name in self._row.series

    def values(self, name: str) -> list[Json]:
        """See Series."""
        return [value for _, value in self.points(name)]

    def points(self, name: str) -> list[tuple[float, Json]]:
        """See Series."""
        metric = self._with_points(name).get(name)
        if metric is None:
            return [(1, self._row.metrics[name])]
        return list(metric.points) or [metric.last]

    def reduced(self, name: str, how: str) -> float | None:
        """See Series."""
        row = self._row
        if how == "last" and name in row.metrics:
            return number(row.metrics[name])
        if how not in SUMMARY:
            return reduced(self.values(name), how)
        series = row.series if name in row.series else self._with_points(name)
        return number(SUMMARY[how](series[name])) if name in series else reduced(self.values(name), how)

    def _with_points(self, name: str) -> Mapping[str, Metric]:
        there = self._row.series
        if self._fetch is None or (name in there and there[name].points):
            return there
        if self._points is None:
            self._points = self._fetch(self._row.id)
        return self._points


class JobRun(Run):
    """One job. `row` has what lists show of it; its keys are made when somebody looks at all of them."""

    def __init__(self, row: JobRow, fetch: Fetch | None = None) -> None:
        self.row = row
        self._series = JobSeries(row, fetch)
        self._artifacts = {}
        self._made: dict[str, Any] | None = None

    @property
    def label(self) -> str:  # type: ignore[override]
        """NAME/17."""
        return f"{self.row.experiment}/{self.row.index}"

    @property
    def folder(self) -> str:  # type: ignore[override]
        """Its run directory, "" where that is not on this machine."""
        return self.row.directory if self.row.directory and os.path.isdir(self.row.directory) else ""

    def flat(self) -> dict[str, Any]:
        """See Run."""
        if self._made is None:
            self._made = {}
            flattened("config.", self.row.params, self._made)
            flattened("result.", self.row.result, self._made)
            self._made.update({f"info.{key}": made(self.row) for key, (_, made) in _INFO.items()})
        return self._made

    def config(self) -> Mapping[str, Any]:
        """See Run."""
        found: dict[str, Any] = {}
        flattened("config.", self.row.params, found)
        return found

    def set(self, values: Mapping[str, Any]) -> Run:
        """See Run."""
        return Run({**self.flat(), **values}, self._series, self._artifacts, self.label, self.folder)

    def _of_flat(self, key: str) -> Any:
        """One key, without making all of them: queries look at two or three of a hundred thousand jobs."""
        if self._made is not None:
            return self._made.get(key, MISSING)
        prefix, _, name = key.partition(".")
        if prefix == "info":
            return _INFO[name][1](self.row) if name in _INFO else MISSING
        if prefix not in ("config", "result"):
            return MISSING
        values = self.row.params if prefix == "config" else self.row.result
        found = values.get(name, MISSING)
        if found is MISSING or isinstance(found, dict):
            return self.flat().get(key, MISSING) if dict in map(type, values.values()) else found
        return found
