"""What a plot needs of each job, wherever it comes from: two or three values, how it went, its parameters, a series."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from exs.model import FINAL, JobState, Json
from exs.rows import JobRow
from exs.view.columns import Choice
from exs.view.fields import Field, part_of_metric
from exs.view.text import safe, shown

#: Parameters that repeat an experiment and are no subject of one.
_REPEATS = re.compile(r"(?:.*[._-])?(?:(?:random_?|rng_?)?seed|repeat|replicate|trial|fold|run)\Z", re.IGNORECASE)


@dataclass(frozen=True)
class Sample:
    """One job. `values`: field name -> value. `points`: (step, value) of the metric that is drawn."""

    job: str
    state: JobState
    params: Mapping[str, Json]
    values: Mapping[str, Json]
    points: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True)
class Wish:
    """What is to be drawn. `x`: one name, two of a heat map, or the axes of a parallel plot. `color`: "" for none.

    `log_x`, `log_y`: None leaves it to the values. `raw`: single jobs instead of means. `unfinished`: jobs that failed
    or run are drawn like those that are done, because they were asked for. `meaning`: of y, one clause for the caption.
    """

    experiment: str
    x: tuple[str, ...]
    y: str
    color: str = ""
    kind: str = ""
    log_x: bool | None = None
    log_y: bool | None = None
    raw: bool = False
    unfinished: bool = False
    meaning: str = ""


@dataclass
class Tally:
    """How many jobs are drawn, and why the others are not."""

    drawn: int = 0
    left: Counter[str] = field(default_factory=Counter)

    def sentence(self) -> str:
        """`12 jobs: 9 drawn, 2 failed, 1 not finished.`"""
        total = self.drawn + sum(self.left.values())
        jobs = f"{total} job{'' if total == 1 else 's'}"
        if not self.left:
            return f"{jobs}, {'it is' if total == 1 else 'all'} drawn."
        return f"{jobs}: {self.drawn} drawn, {', '.join(f'{n} {why}' for why, n in self.left.items())}."


def is_repeat(name: str) -> bool:
    """Whether a parameter of this name only repeats an experiment, as a seed does."""
    return bool(_REPEATS.match(name))


def why_not(state: JobState, live: bool = False) -> str:
    """Why a job in this state is not drawn, "" if it is; those that run are where it is about curves (`live`)."""
    if state is JobState.CRASHED:
        return "failed"
    if state is JobState.CANCELED:
        return "canceled"
    if state in FINAL or (live and state is not JobState.QUEUED):
        return ""
    return "not finished"


def samples(rows: Sequence[JobRow], fields: Mapping[str, Field], series: str = "") -> list[Sample]:
    """Samples of jobs with the values of `fields`, secrets masked, and the points of the metric `series`."""
    return [
        Sample(
            f"{safe(row.experiment)}/{row.index}",
            row.state,
            row.params,
            {name: one.shown(row) for name, one in fields.items()},
            row.series[series].points if series in row.series else (),
        )
        for row in rows
    ]


def meaning(rows: Sequence[JobRow], choice: Choice, name: str) -> str:
    """What a number of this name is of a job, where it is one of many: the reducer of a metric."""
    words = {"last": "last", "first": "first", "min": "lowest", "max": "highest"}
    part = part_of_metric(choice, name)
    if name not in choice.results and part is not None:
        return f"{safe(name)} is the {words[part[1]]} {safe(part[0])} of a job" if part[1] in words else ""
    of_metric = any(name in row.metrics and name not in row.result for row in rows)
    return f"{safe(name)} is the last of a job" if of_metric else ""


def varying(groups: Sequence[Sequence[Sample]]) -> list[str]:
    """Names of the parameters that differ inside some group: what a mean is taken over."""
    found: dict[str, None] = {}
    for group in groups:
        names = {name: None for sample in group for name in sample.params}
        for name in names:
            if name not in found and len({shown(sample.params.get(name)) for sample in group}) > 1:
                found[name] = None
    return list(found)
