"""What running jobs tell of themselves: progress, status, checkpoint, metrics."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import zip_longest

from exs.errors import BrokenRecord
from exs.model import Json, Told
from exs.rows import Metric
from exs.store import records
from exs.store.base import Base
from exs.store.scripts import Arg

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
        pages = [jobs[at : at + size] for at in range(0, len(jobs), size)]
        replies = self._call_many([("metrics", ("1" if points else "", *page)) for page in pages]) if pages else []
        told = (one for reply in replies for one in reply)
        wanted = frozenset(name.encode("utf-8", "surrogateescape") for name in names)
        found = ((job, _metrics(one[0], one[1], wanted)) for job, one in zip(jobs, told, strict=True))
        return {job: metrics for job, metrics in found if metrics}


def _metrics(told: Sequence[bytes], points: Sequence[bytes], wanted: frozenset[bytes]) -> dict[str, Metric]:
    """The metrics of one job from `metrics.lua`; what cannot be read is left out (R12)."""
    found: dict[str, Metric] = {}
    for field, summary, series in zip_longest(told[::2], told[1::2], points, fillvalue=b""):
        if wanted and field not in wanted:
            continue
        try:
            if name := records.text(field):
                found[name] = _metric(name, records.loads(summary, "metric"), series)
        except (BrokenRecord, ValueError, TypeError, LookupError):
            continue
    return dict(sorted(found.items()))


def _metric(name: str, f: dict[str, Json], series: bytes) -> Metric:
    words = [line.split() for line in series.decode("ascii").splitlines()]
    return Metric(
        name,
        int(f["n"]),
        _point(f["first"]),
        _point(f["last"]),
        _point(f["min"]) if "min" in f else None,
        _point(f["max"]) if "max" in f else None,
        int(f["every"]),
        tuple((float(step), float(value)) for step, value in words),
    )


def _point(given: Json) -> tuple[float, Json]:
    step, value = given
    if not isinstance(value, (int, float)) and value not in ("nan", "inf", "-inf"):
        raise ValueError(f"{value!r} is no value of a metric")
    return float(step), value


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
