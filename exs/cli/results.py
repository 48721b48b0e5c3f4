"""`exs results`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from exs.cli.session import note, out_screen, put
from exs.cli.sources import reader_of

if TYPE_CHECKING:
    from exs.reader.answer import Answer
    from exs.reader.run import Run
    from exs.view.grid import Grid

_FORMS = ("table", "csv", "json", "parquet", "markdown")


@click.command("results")
@click.argument("names", nargs=-1, required=True, metavar="NAME|NAME/20-25|DIR|FILE ...")
@click.option("-q", "--query", default="", metavar="QUERY", help='Only runs of which it is true: "loss.min < 0.3".')
@click.option("--columns", metavar="KEY,...", help="These instead of status, parameters that differ, and results.")
@click.option("--group-by", metavar="KEY,...", help="One row for the runs with the same values.")
@click.option("--agg", metavar="HOW,...", help="mean,std,count unless you say: min max median sum first last too.")
@click.option("--best", metavar="KEY", help="Lowest value first; --best -KEY: highest first.")
@click.option("--max", "highest", is_flag=True, help="With --best: the highest value is the best.")
@click.option("--top", type=click.IntRange(1), metavar="N", help="The first N rows.")
@click.option("--diff", is_flag=True, help="The parameters that differ between the runs, with their values.")
@click.option("-o", "--output", "form", type=click.Choice(_FORMS), default="table", help="Form of the table.")
@click.option("--json", "as_json", is_flag=True, help="The same as -o json.")
@click.option("--csv", "as_csv", is_flag=True, help="The same as -o csv.")
@click.option("--to", "path", metavar="FILE", help="Write it there instead of printing it.")
@click.option(
    "--with", "examiner", metavar="MODULE:FUNCTION", help="Your function fills columns from the directory of each run."
)
@click.option(
    "--jobs", "workers", type=click.IntRange(0), default=0, metavar="N", help="With --with: in so many processes."
)
def command(
    names: tuple[str, ...],
    query: str,
    columns: str | None,
    group_by: str | None,
    agg: str | None,
    best: str | None,
    highest: bool,
    top: int | None,
    diff: bool,
    form: str,
    as_json: bool,
    as_csv: bool,
    path: str | None,
    examiner: str | None,
    workers: int,
) -> None:
    """The runs of experiments, of a directory of run directories, or of a file that `exs export` wrote.

    KEYs are like config.lr, info.status, result.accuracy, loss, loss.min (max mean std median sum first last count);
    the prefix may be left out. In a query conditions like KEY == VALUE or KEY in [1, 4] are joined by ~ & | or not,
    and, or; what a run does not have makes a condition false, and KEY == None finds it.
    """
    from exs.reader.answer import Question, Selection, answer, differing

    if highest and not best:
        raise click.UsageError("--max says which value is the best: give --best KEY.")
    form = _form(form, as_json, as_csv)
    if workers and not examiner:
        raise click.UsageError("--jobs is about --with: give --with MODULE:FUNCTION.")
    descends = bool(best) and str(best).startswith("-")
    question = Question(
        query,
        _listed(columns),
        _listed(group_by),
        _listed(agg),
        str(best or "").removeprefix("-"),
        highest or descends,
        top,
    )
    if diff and (question.grouped or question.columns or best or top):
        raise click.UsageError("--diff shows parameters: it goes with --query only.")
    keys = question.keys()  # says what is wrong with the query before anything is looked at
    reader = reader_of(names)
    runs: Iterable[Run] = reader.runs(keys, whole=examiner is not None)
    if examiner:
        from exs.cli.examining import examined

        runs = examined(runs, examiner, workers)
    found = differing(Selection(query, runs)) if diff else answer(question, runs)
    for problem in [*reader.problems[:5], *found.notes]:
        note(problem)
    if len(reader.problems) > 5:
        note(f"... and {len(reader.problems) - 5} more run directories that cannot be read whole.")
    _show(found, _title(names, found, question.grouped), form, path)


def _form(form: str, as_json: bool, as_csv: bool) -> str:
    asked = [name for name, given in (("json", as_json), ("csv", as_csv)) if given]
    if len(asked) > 1 or (asked and form not in ("table", *asked)):
        raise click.UsageError("--json, --csv and -o are forms of output: give one of them.")
    return asked[0] if asked else form


def _listed(words: str | None) -> list[str]:
    return [word.strip() for word in (words or "").split(",") if word.strip()]


def _title(names: tuple[str, ...], found: Answer, grouped: bool) -> str:
    runs = "1 run" if found.looked_at == 1 else f"{found.looked_at} runs"
    of = f"{found.found} of {runs}" if found.found != found.looked_at else runs
    parts = [" ".join(names), of]
    if grouped:
        parts.append("1 group" if len(found.rows) == 1 else f"{len(found.rows)} groups")
    elif len(found.runs) not in (0, found.found):
        parts.append(f"{len(found.runs)} shown")
    return "  |  ".join(parts)


def _show(found: Answer, title: str, form: str, path: str | None) -> None:
    from exs.view.grid import Grid

    grid = Grid(found.headers, found.rows, title, spare=found.spare, hint="--columns chooses, --json has all")
    if form == "parquet":
        from exs.cli.parquet import write

        write(grid, path)
        return
    lines = _lines(grid, form, path is not None)
    if path is None:
        put(lines)
    else:
        from exs.cli.files import write_new

        write_new(path, lines)


def _lines(grid: Grid, form: str, to_file: bool) -> Iterator[str]:
    from exs.view.grid import as_markdown
    from exs.view.render import as_csv, as_json
    from exs.view.screen import Screen

    if form == "table":
        return grid.lines(Screen() if to_file else out_screen())
    return {"csv": as_csv, "json": as_json, "markdown": as_markdown}[form](grid)
