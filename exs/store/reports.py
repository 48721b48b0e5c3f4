"""What running jobs tell of themselves: progress, status, checkpoint, metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from exs.model import Json, Told
from exs.store import records
from exs.store.base import Base
from exs.store.scripts import Arg


class Reports(Base):
    """Written by the slot that holds a job, read by lists and plots."""

    def report(self, job: str, attempt: str, report: Mapping[str, Json]) -> Told:
        """Store what an attempt has told since its last report, unless it was fenced out.

        `report` may hold `progress`, `status`, `checkpoint`, `result`, `metrics` (name -> [summary, base, points]) and
        `whole`: it is all that was told so far.
        """
        return Told(records.text(self._call("report", *_args(job, attempt, report))))


def calls_for(job: str, attempt: str, report: Mapping[str, Json]) -> list[tuple[str, Sequence[Arg]]]:
    """The script calls that bring a report on its way in front of another; none if there is nothing to tell."""
    return [("report", _args(job, attempt, {**report, "whole": True}))] if report else []


def _args(job: str, attempt: str, report: Mapping[str, Json]) -> Sequence[Arg]:
    words = [records.dumps(report[name]) if name in report else "" for name in ("checkpoint", "result", "last")]
    args: list[Arg] = [
        job, attempt, "1" if report.get("whole") else "", report.get("progress", ""), report.get("status", ""), *words,
    ]  # fmt: skip
    for name, (summary, base, points) in report.get("metrics", {}).items():
        args += [name, records.dumps(summary), base, points]
    return args
