"""What running jobs tell of themselves: progress, status, checkpoint, metrics."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import zip_longest

from exs.model import Json, Told
from exs.rows import Metric
from exs.store import records
from exs.store.base import Base
from exs.store.scripts import Arg
from exs.store.series import metrics_from

#: Jobs per script call: 3 ms of Redis where each has all metrics that it may have.
_PAGE = 5


class Reports(Base):
    """Written by the slot that holds a job, read by lists and plots."""

    def report(self, job: str, attempt: str, report: Mapping[str, Json]) -> Told:
        """Store what an attempt has told since its last report, unless it was fenced out.

        `report` may hold `progress`, `status`, `checkpoint`, `result`, `metrics` (name -> [summary, base, points]) and
        `whole`: it is all that was told so far.
        """
        return Told(records.text(self._call("report", *_args(job, attempt, report))))

    def metrics(
        self, jobs: Sequence[str], points: bool = True, names: Collection[str] = ()
    ) -> dict[str, dict[str, Metric]]:
        """Job -> name -> metric, with its points if they are wanted, for jobs that have any; one round trip.

        `names`: only these, or all.
        """
        size = _PAGE if points else _PAGE * 20
        words = ("1" if points else "", len(names), *(name.encode("utf-8", "surrogateescape") for name in names))
        pages = [jobs[at : at + size] for at in range(0, len(jobs), size)]
        replies = self._call_many([("metrics", (*words, *page)) for page in pages]) if pages else []
        told = (one for reply in replies for one in reply)
        found = ((job, _metrics(*one)) for job, one in zip(jobs, told, strict=True))
        return {job: metrics for job, metrics in found if metrics}


def _metrics(told: Sequence[bytes], points: Sequence[bytes]) -> dict[str, Metric]:
    """The metrics of one job from `metrics.lua`, by name."""
    return dict(sorted(metrics_from(zip_longest(told[::2], told[1::2], points, fillvalue=b"")).items()))


def calls_for(job: str, attempt: str, report: Mapping[str, Json]) -> list[tuple[str, Sequence[Arg]]]:
    """The script calls that bring a report on its way in front of another; none if there is nothing to tell."""
    return [("report", _args(job, attempt, report))] if report else []


def _args(job: str, attempt: str, report: Mapping[str, Json]) -> Sequence[Arg]:
    words = [records.dumps(report[name]) if name in report else "" for name in ("checkpoint", "result", "last")]
    args: list[Arg] = [
        job, attempt, "1" if report.get("whole") else "", report.get("progress", ""), report.get("status", ""), *words,
    ]  # fmt: skip
    for name, (summary, base, points) in report.get("metrics", {}).items():
        args += [name, records.dumps(summary), base, points]
    return args
