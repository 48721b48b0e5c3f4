"""What is drawn where a person did not say: the first parameter that differs, the first result, a fitting kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from exs.errors import InputError
from exs.model import JobState
from exs.rows import JobRow
from exs.view.columns import Choice, choose, results_of
from exs.view.fields import part_of_metric
from exs.view.plots import curves, heatmap, parallel, points
from exs.view.plots.chart import Plot
from exs.view.plots.samples import Sample, Tally, Wish, is_repeat, meaning, why_not
from exs.view.plots.scale import number

#: What curves are drawn over.
STEP = "step"
#: Axes of a parallel plot that are chosen here; more than that cannot be read.
_AXES = 7


def completed(rows: Sequence[JobRow], wish: Wish) -> Wish:
    """`wish` with everything chosen that it leaves open. Raises InputError where the jobs have nothing to choose."""
    choice = choose(rows, everything=len(rows) == 1)
    subjects = [name for name in choice.params if not is_repeat(name)]
    if not wish.kind and wish.x == (STEP,) and STEP not in {*choice.params, *choice.constants, *choice.results}:
        wish = replace(wish, kind="curves")
    if wish.kind == "curves":
        return _curves(rows, choice, wish, subjects)
    _refuse_unfinished(rows, wish)
    if not wish.y:
        wish = replace(wish, y=_first_result(rows, choice))
    if wish.kind in ("", "line", "scatter"):  # a number says more on an axis than a word
        subjects.sort(key=lambda name: any(number(row.params.get(name)) is None for row in rows))
    wish = replace(wish, x=_across(wish, subjects or list(choice.params)), meaning=meaning(rows, choice, wish.y))
    return wish


def draw(samples: Sequence[Sample], wish: Wish) -> Plot:
    """The plot that `wish` describes, to be drawn. Raises InputError where these jobs cannot be drawn so."""
    if wish.kind == "curves":
        return curves.chart(samples, wish)
    values = [sample.values.get(wish.y) for sample in samples]
    if all(number(value) is None for value in values) and any(isinstance(value, (str, list, dict)) for value in values):
        raise InputError(f"cannot plot {wish.y!r}: none of its values is a number.", "Choose another one with -y.")
    if wish.kind == "heatmap":
        return heatmap.heatmap(samples, wish)
    return parallel.parallel(samples, wish) if wish.kind == "parallel" else points.chart(samples, wish)


def _curves(rows: Sequence[JobRow], choice: Choice, wish: Wish, subjects: Sequence[str]) -> Wish:
    metrics = list(dict.fromkeys(name for row in rows for name in row.metrics))
    if wish.x not in ((), (STEP,)):
        raise InputError(f"curves are drawn over the step, not over {wish.x[0]!r}.", "Leave out -x, or choose a kind.")
    if not metrics:
        raise InputError(
            "there are no curves to draw: no job has reported a metric yet.",
            "In Python: exs.job.report(step=3, loss=0.25)",
        )
    part = part_of_metric(choice, wish.y)
    if wish.y not in metrics and part is not None:
        raise InputError(f"curves have all of a metric, not {wish.y!r}.", f"Give -y {part[0]}")
    if wish.y and wish.y not in metrics:
        only = "has one value per job" if wish.y in choice.results else "is reported by no job"
        raise InputError(f"cannot draw curves of {wish.y!r}: it {only}.", f"There are: {', '.join(metrics[:30])}.")
    color = wish.color or (subjects[0] if subjects and len(rows) > 1 else "")
    return replace(wish, x=(STEP,), y=wish.y or metrics[0], color=color)


def _refuse_unfinished(rows: Sequence[JobRow], wish: Wish) -> None:
    if not wish.unfinished and all(row.state not in (JobState.DONE, JobState.PRUNED) for row in rows):
        tally = Tally()
        tally.left.update(why_not(row.state) for row in rows)
        raise InputError(
            f"there is nothing to plot yet: {tally.sentence()}",
            "exs wait waits for it; --status running draws what there is, -x step the curves.",
        )


def _first_result(rows: Sequence[JobRow], choice: Choice) -> str:
    told = dict.fromkeys(name for row in rows for name in row.result)
    for name in dict.fromkeys([*told, *choice.results]):
        if any(number(results_of(row).get(name)) is not None for row in rows):
            return name
    raise InputError("no job has a result that is a number.", "Name what to draw: -y seconds")


def _across(wish: Wish, subjects: Sequence[str]) -> tuple[str, ...]:
    """The x axes: as many as the kind has."""
    free = [name for name in subjects if name not in (*wish.x, wish.y, wish.color)]
    if wish.kind == "parallel":
        return wish.x or tuple(name for name in subjects if name != wish.y)[:_AXES] or _nothing_differs()
    wanted = 2 if wish.kind == "heatmap" else 1
    if len(wish.x) > wanted:
        raise InputError(
            f"a {'heat map has two x axes' if wanted == 2 else 'plot of this kind has one x axis'}, "
            f"and {len(wish.x)} were given.",
            "--kind parallel takes any number, --kind heatmap two.",
        )
    given = wish.x
    if wanted == 2 and wish.color and len(given) == 1:
        given = (*given, wish.color)
    chosen = (*given, *free)[:wanted]
    if len(chosen) < wanted:
        _nothing_differs(wanted - len(chosen))
    return chosen


def _nothing_differs(lacking: int = 1) -> tuple[str, ...]:
    what = "no parameter differs" if lacking == 1 else "no two parameters differ"
    raise InputError(f"{what} between these jobs that could be drawn over.", "Name something: -x seed, -x index")
