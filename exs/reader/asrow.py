"""A run that was read from files as a row of a list of jobs, for what shows rows."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from operator import itemgetter

from exs.model import JobState, Json
from exs.reader.queued import STATUS, JobRun
from exs.reader.reducers import number
from exs.reader.run import Run
from exs.rows import JobRow, Metric

#: Points of a metric that are kept to be drawn; of longer ones every so many-th and the last.
POINTS = 500

_STATES = {word: state for state, word in STATUS.items() if state is not JobState.PAUSING}


def row_of(run: Run, index: int, source: str, metrics: Collection[str] = ()) -> JobRow:
    """The row of the run that stands at `index` among those in `source`. Only `metrics` are read, () for all.

    Raises BrokenRecord.
    """
    if isinstance(run, JobRun):
        return run.row
    row = JobRow(
        run.label, source, index, _STATES.get(str(run.flat().get("info.status")), JobState.RUNNING), run.label, {}
    )
    row.params, row.result = _below("config.", run), _below("result.", run)
    found = {name: _summary(name, run.points(name)) for name in run.metrics if not metrics or name in metrics}
    row.series = {name: one for name, one in found.items() if one is not None}
    row.metrics = {name: one.last[1] for name, one in row.series.items()}
    return row


def _below(prefix: str, run: Run) -> dict[str, Json]:
    return {key.removeprefix(prefix): value for key, value in run.flat().items() if key.startswith(prefix)}


def _summary(name: str, told: Sequence[tuple[float, Json]]) -> Metric | None:
    """What the queue would have of a metric; None where nothing of it is a number."""
    points = tuple((step, value) for step, said in told if (value := number(said)) is not None)
    if not points:
        return None
    finite = [point for point in points if math.isfinite(point[1])]
    every = math.ceil(len(points) / POINTS)
    return Metric(
        name,
        len(points),
        points[0],
        points[-1],
        min(finite, key=itemgetter(1), default=None),
        max(finite, key=itemgetter(1), default=None),
        every,
        points if every == 1 else (*points[:-1:every], points[-1]),
    )
