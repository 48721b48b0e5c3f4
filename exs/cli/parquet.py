"""A table as a Parquet file, which pyarrow writes: pip install 'exs[frames]'."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING, Any

import click

from exs.cli.files import write_bytes
from exs.errors import InputError
from exs.model import Json

if TYPE_CHECKING:
    from exs.view.grid import Grid


def write(grid: Grid, path: str | None) -> None:
    """Write it to a file, or to standard output unless that is a terminal. Raises InputError without pyarrow."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise InputError(
            "-o parquet is written by pyarrow, which is not installed.", "pip install 'exs[frames]', or take -o csv."
        ) from None
    if path is None and sys.stdout.isatty():
        raise click.UsageError("Parquet is no text for a terminal: give --to FILE.")
    records = list(grid.records())
    columns = {name: _column([record[name] for record in records]) for name in grid.headers}
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), buffer)
    if path is None:
        sys.stdout.buffer.write(buffer.getvalue())
    else:
        write_bytes(path, [buffer.getvalue()])


def _column(values: list[Json]) -> list[Any]:
    """Values of one type: numbers, truths or texts; a column of several becomes text, nested values JSON."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} or (len(kinds) == 1 and kinds <= {bool, str}):
        return [float(value) if value is not None and float in kinds else value for value in values]
    return [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
