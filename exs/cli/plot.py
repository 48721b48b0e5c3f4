"""`exs plot`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from exs.cli.output import show_json
from exs.cli.selectors import Statuses, nothing_there, selected, status_option
from exs.cli.session import open_store, out_screen, put
from exs.cli.sources import is_path
from exs.errors import InputError, NotFound, RedisUnreachable
from exs.rows import JobRow
from exs.view.plots.chart import Plot, document
from exs.view.plots.samples import Wish
from exs.view.text import safe

if TYPE_CHECKING:
    from exs.store.store import Store

KINDS = ("scatter", "line", "heatmap", "parallel", "curves")
#: Endings of a file and what is written into it.
FORMS = {".png": "png", ".svg": "svg", ".pdf": "pdf", ".html": "html", ".htm": "html"}
_ENDINGS = ", ".join(FORMS)


@click.command("plot")
@click.argument("names", nargs=-1, required=True, metavar="NAME|DIR|FILE ...")
@click.option(
    "-x",
    "xs",
    multiple=True,
    metavar="FIELD",
    help="Across: a parameter, or `step` for curves; two for a heat map, any number for parallel.",
)
@click.option("-y", "y", metavar="FIELD", help="Up: a result, a metric or its loss.min, max, first, last; or seconds.")
@click.option("--color", "--colour", "color", metavar="FIELD", help="What has a colour and marker of its own.")
@click.option(
    "--log",
    type=click.Choice(["x", "y", "xy", "none"]),
    help="Logarithmic axes. By itself x is for a parameter whose values are powers.",
)
@click.option("--kind", type=click.Choice(KINDS), help="Else points, or lines where they say more.")
@click.option(
    "--raw", is_flag=True, help="Single jobs instead of the mean and spread of those that differ in the rest."
)
@status_option
@click.option("-o", "--output", "file", metavar="FILE", help="Into a .png, .svg, .pdf or .html file, not the terminal.")
@click.option("--width", type=click.IntRange(min=1), help="Columns of the terminal, or pixels of the file.")
@click.option("--height", type=click.IntRange(min=1), help="Lines of the terminal, or pixels of the file.")
@click.option("--json", "as_json", is_flag=True, help="The numbers that would be drawn, as JSON.")
def command(
    names: tuple[str, ...],
    xs: tuple[str, ...],
    y: str | None,
    color: str | None,
    log: str | None,
    kind: str | None,
    raw: bool,
    states: Statuses,
    file: str | None,
    width: int | None,
    height: int | None,
    as_json: bool,
) -> None:
    """A picture of what jobs came to: results over parameters, or metrics over steps.

    Jobs that differ in nothing that is drawn, as those of several seeds, are drawn as their mean with its standard
    deviation. The caption says how many jobs are drawn, which not, and why. Files need: pip install 'exs[plot]'
    """
    form, path = _target(file) if file is not None else ("", None)
    if path is not None and as_json:
        raise click.UsageError("--json and -o are two forms of output: give one of them.")
    store, rows = _jobs(names, [name for name in (y, *xs, color) if name] if y else [], states)
    if not rows:
        raise nothing_there(names, states)
    log_x, log_y = (False, False) if log == "none" else ("x" in log or None, "y" in log) if log else (None, False)
    title = ", ".join(dict.fromkeys(row.experiment for row in rows))
    plot = _plot(store, rows, Wish(title, xs, y or "", color or "", kind or "", log_x, log_y, raw, bool(states)))
    if as_json:
        show_json(document(plot))
    elif path is None:
        _print(plot, width, height)
    else:
        _write(path, _drawn(plot, form, width, height))
        put([f"{safe(str(path))}: {plot.caption[0]}"])


def _jobs(names: tuple[str, ...], fields: Sequence[str], states: Statuses) -> tuple[Store | None, list[JobRow]]:
    """The jobs that the words of the command name, and the queue that they are in.

    `fields`: all that is to be drawn, none where that is to be chosen. Raises NotFound, InputError, RedisUnreachable.
    """
    if not is_path(names[0]):
        try:
            store = open_store()
            return store, selected(store, names, states)
        except (NotFound, RedisUnreachable):
            if len(names) > 1 or not os.path.exists(names[0]):
                raise
    return None, _from_files(names, fields, states)


def _from_files(names: tuple[str, ...], fields: Sequence[str], states: Statuses) -> list[JobRow]:
    """The runs of a directory, or of a file of `exs export`, as rows. Raises NotFound, InputError."""
    from exs.api.reader import Reader
    from exs.reader.asrow import row_of

    if len(names) > 1:
        raise InputError(f"{names[0]} is a path, and nothing can be drawn beside it.", "Name one, or experiments only.")
    source = Path(names[0]).resolve().name
    runs = list(Reader(names[0]).runs())
    metrics = {name for run in runs for name in run.metrics}
    bare = [name.removeprefix(kind) for name in fields for kind in ("", "result.", "metric.")]
    wanted = metrics & {part for name in bare for part in (name, name.rpartition(".")[0])}
    rows = [row_of(run, at, source, wanted) for at, run in enumerate(runs)]
    return [row for row in rows if states.names(row)]


def _plot(store: Store | None, rows: list[JobRow], wish: Wish) -> Plot:
    """What is to be drawn of these jobs. One round trip more where it is about parts of metrics, or their points."""
    from exs.cli.fields import add_series, fields_of
    from exs.view.plots.samples import samples
    from exs.view.plots.wanted import completed, draw

    if not wish.color and len({row.experiment for row in rows}) > 1:
        wish = replace(wish, color="experiment")
    wish = completed(rows, wish)
    curves = wish.kind == "curves"
    names = list(dict.fromkeys(name for name in (*(() if curves else (*wish.x, wish.y)), wish.color) if name))
    if store is not None:
        add_series(store, rows, names, wish.y if curves else "")
    now = store.now() if store is not None else 0.0
    fields = dict(zip(names, fields_of(rows, names, "cannot plot", now), strict=True))
    return draw(samples(rows, fields, wish.y if curves else ""), wish)


def _print(plot: Plot, width: int | None, height: int | None) -> None:
    from exs.view.plots import terminal

    screen = out_screen()
    size = terminal.Size(
        max(width or min(screen.width or terminal.WIDTH, 120), terminal.LEAST_WIDTH),
        max(height or terminal.HEIGHT, terminal.LEAST_HEIGHT),
    )
    put(terminal.lines(plot, screen, size, _plain(sys.stdout.encoding)))


def _plain(encoding: str) -> bool:
    """Whether the output has no other characters than ASCII."""
    try:
        "─⣿█±".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return True
    return False


def _target(file: str) -> tuple[str, Path]:
    """The form and path of the file to write. Raises InputError before anything is asked or drawn."""
    path = Path(file)
    form = FORMS.get(path.suffix.lower(), "")
    if not form:
        raise InputError(
            f"cannot write a plot into {file!r}: its ending says no form of picture.", f"There are: {_ENDINGS}."
        )
    if path.is_dir() or not path.parent.is_dir():
        raise InputError(f"cannot write {file!r}: {path if path.is_dir() else path.parent} is {_wrong(path)}.")
    return form, path


def _wrong(path: Path) -> str:
    return "a directory" if path.is_dir() else "no directory"


def _drawn(plot: Plot, form: str, width: int | None, height: int | None) -> bytes:
    from exs.view.plots import picture

    size = picture.Size(width or picture.WIDTH, height or picture.HEIGHT)
    if not picture.LEAST_WIDTH <= size.width <= picture.MOST or not picture.LEAST_HEIGHT <= size.height <= picture.MOST:
        least = f"{picture.LEAST_WIDTH} x {picture.LEAST_HEIGHT}"
        raise InputError(
            f"a picture has {least} to {picture.MOST} x {picture.MOST} pixels, not {size.width} x {size.height}."
        )
    if form == "html":
        from exs.view.plots.page import page

        return page(plot, size)
    return picture.picture(plot, form, size)


def _write(path: Path, data: bytes) -> None:
    """The whole file or none: whoever looks at it meanwhile sees the one before."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(data)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise InputError(f"cannot write {str(path)!r}: {error.strerror}.") from None
