"""A run that was read from files as a row of a list of jobs, for what shows rows."""

from __future__ import annotations

from exs.model import JobState, Json
from exs.reader.query import MISSING
from exs.reader.queued import STATUS, JobRun
from exs.reader.run import Run
from exs.rows import JobRow, Metric

_STATES = {word: state for state, word in STATUS.items() if state is not JobState.PAUSING}


def row_of(run: Run, index: int, source: str, metric: str = "") -> JobRow:
    """The row of the run that stands at `index` among those in `source`. Of metrics only `metric` is read, "" for all.

    A directory does not say at which step a value was: its series has no points. Raises BrokenRecord.
    """
    if isinstance(run, JobRun):
        return run.row
    row = JobRow(
        run.label, source, index, _STATES.get(str(run.flat().get("info.status")), JobState.RUNNING), run.label, {}
    )
    row.params, row.result = _below("config.", run), _below("result.", run)
    names = [name for name in run.metrics if metric in ("", name)]
    found = {name: run.find(f"metric.{name}") for name in names}
    row.metrics = {name: value for name, value in found.items() if value is not None and value is not MISSING}
    row.series = {name: _summary(run, name) for name in row.metrics}
    return row


def _below(prefix: str, run: Run) -> dict[str, Json]:
    return {key.removeprefix(prefix): value for key, value in run.flat().items() if key.startswith(prefix)}


def _summary(run: Run, name: str) -> Metric:
    values = run[name]
    low, high = run[f"{name}.min"], run[f"{name}.max"]
    return Metric(
        name,
        len(values),
        (0, values[0]),
        (len(values) - 1, values[-1]),
        None if low is None else (0, low),
        None if high is None else (0, high),
    )
