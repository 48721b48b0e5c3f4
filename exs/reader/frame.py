"""Tables of runs: MLXP's DataFrame and GroupedDataFrame. No call changes the table that it is made on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

from exs.errors import InputError
from exs.reader.errors import InvalidMapError, NoColumn
from exs.reader.maps import COLUMNWISE, GENERIC, POINTWISE, ROWWISE, Map, Mapped, checked, rows_of
from exs.reader.query import same
from exs.reader.run import Run

if TYPE_CHECKING:
    from exs.reader.groups import GroupedDataFrame

#: Rows and columns of a table that is printed in Python.
_ROWS, _COLUMNS = 20, 12


class DataFrame(list[Run]):
    """A list of runs: `df[0]` is one, `df["train.loss"]` a column (`df[:]["train.loss"]` too), `df[2:5]` a part.

    A column of a metric is read from its files when it is asked for. A run that lacks a column has None there.
    """

    @overload
    def __getitem__(self, at: SupportsIndex) -> Run: ...
    @overload
    def __getitem__(self, at: slice) -> DataFrame: ...
    @overload
    def __getitem__(self, at: str) -> list[Any]: ...
    def __getitem__(self, at: SupportsIndex | slice | str) -> Any:
        if isinstance(at, str):
            return self.column(at)
        return DataFrame(super().__getitem__(at)) if isinstance(at, slice) else super().__getitem__(at)

    def column(self, key: str) -> list[Any]:
        """The values of one column; of a metric a list per run. Raises NoColumn if no run has it."""
        found = [_value(run, key) for run in self]
        if self and all(value is None for value in found) and not any(_has(run, key) for run in self):
            known = self.keys()
            close = get_close_matches(key, known, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(known[:30])}."
            raise NoColumn(f"no run has {key!r}.", hint)
        return found

    def keys(self) -> list[str]:
        """The names of all columns, in the order of their first appearance."""
        return list(dict.fromkeys(key for run in self for key in run))

    def diff(self, start_key: str = "config") -> list[str]:
        """The columns of which the name begins with `start_key` and that are not the same in all runs.

        They stand in the order of the first run; those that it lacks come last.
        """
        differing: dict[str, None] = {}
        flats = [run.flat() for run in self]
        for flat in flats[1:]:
            for key in {**flats[0], **flat}:
                if key.startswith(start_key) and key not in differing:
                    there = key in flat and key in flats[0]
                    if not there or not same(flat[key], flats[0][key]):
                        differing[key] = None
        places = {key: at for at, key in enumerate(flats[0])} if differing else {}
        return sorted(differing, key=lambda key: places.get(key, len(places)))

    def toPandas(self, lazy: bool = True) -> Any:
        """A pandas DataFrame; unless `lazy`, with what metrics and artifacts hold. Raises InputError without pandas."""
        rows = [run.lazy() if lazy else {key: run[key] for key in run} for run in self]
        return pandas().DataFrame(rows)

    def groupby(self, group_keys: str | Sequence[str]) -> GroupedDataFrame:
        """The runs by the values of these columns, groups in the order of their first run. Raises NoColumn."""
        from exs.reader.groups import GroupedDataFrame

        names = [group_keys] if isinstance(group_keys, str) else list(group_keys)
        columns = [self.column(name) for name in names]
        groups: dict[tuple[Any, ...], DataFrame] = {}
        for at, run in enumerate(self):
            key = tuple(_hashable(column[at]) for column in columns)
            groups.setdefault(key, DataFrame()).append(run)
        return GroupedDataFrame(names, groups)

    def aggregate(self, maps: Map) -> DataFrame:
        """One row: each function gets all values of each of its columns. Raises InvalidMapError, NoColumn."""
        made: dict[str, Any] = {}
        for one in checked(maps, COLUMNWISE):
            made |= one.outputs(tuple(one.function(self.column(key)) for key in one.columns))
        return DataFrame([Run(made)])

    def transform(self, maps: Map) -> DataFrame:
        """A row for each: every function gets all values of a column and returns as many. Raises InvalidMapError."""
        made = self.apply(maps, COLUMNWISE)
        if len(made) != len(self):
            raise InvalidMapError("a transformation returns as many values as it gets.", "aggregate() returns one.")
        return made

    def map(self, maps: Map) -> DataFrame:
        """A row for each: every function gets one value and returns one."""
        return self.apply(maps, POINTWISE)

    def apply(self, maps: Map, map_type: str = GENERIC) -> DataFrame:
        """Apply functions to all their columns at once ("Generic"), "Columnwise", "Rowwise" or "Pointwise".

        The first two give one row where no value has the length of the table, else as many as there are. Raises
        InvalidMapError, NoColumn.
        """
        all_ = checked(maps, map_type)
        if map_type in (ROWWISE, POINTWISE):
            return DataFrame(Run(_row(all_, run, map_type == POINTWISE)) for run in self)
        made: dict[str, Any] = {}
        for one in all_:
            columns = [self.column(key) for key in one.columns]
            if map_type == COLUMNWISE:
                made |= one.outputs(tuple(map(one.function, columns)))
            else:
                made |= one.outputs(one.function(*columns))
        return DataFrame(map(Run, rows_of(made, len(self))))

    def filter(self, filter_map: Map, bygroups: str | Sequence[str] | None = None) -> DataFrame:
        """The rows for which the function, given all its columns, returns true; within groups where these are named.

        Raises InvalidMapError for more than one map and for another number of answers than rows.
        """
        if bygroups:
            kept: DataFrame = self.groupby(bygroups).filter(filter_map).ungroup()
            return kept
        one, *more = checked(filter_map, GENERIC)
        if more or len(one.names) != 1:
            raise InvalidMapError("filter takes one function that answers with one list.")
        answers = list(one.function(*[self.column(key) for key in one.columns]))
        if len(answers) != len(self):
            raise InvalidMapError(f"the filter answered {len(answers)} times for {len(self)} rows.")
        return DataFrame(run for run, kept in zip(self, answers, strict=True) if kept)

    def sort(self, by: str | Sequence[str], ascending: bool = True) -> DataFrame:  # type: ignore[override]
        """The rows by these columns: numbers before texts, and last those that have none. Raises NoColumn."""
        columns = [self.column(key) for key in ([by] if isinstance(by, str) else by)]
        order = list(range(len(self)))
        for column in reversed(columns):
            keyed = [rank(value) for value in column]
            order.sort(key=lambda at: keyed[at], reverse=not ascending)
            order.sort(key=lambda at: keyed[at][0] == 2)
        return DataFrame(self[at] for at in order)

    def merge(self, new_df: Iterable[Run]) -> DataFrame:
        """This table with the columns of another one beside it. Raises InputError unless it is as long."""
        others = list(new_df)
        if len(others) != len(self):
            raise InputError(f"a table of {len(self)} rows cannot be merged with one of {len(others)}.")
        return DataFrame(run.set(dict(other.items())) for run, other in zip(self, others, strict=True))

    def __repr__(self) -> str:
        from exs.view.grid import Grid
        from exs.view.screen import Screen

        keys = sorted(self.keys(), key=lambda key: key.startswith("info."))
        rows = [[run.lazy().get(key) for key in keys[:_COLUMNS]] for run in self[:_ROWS]]
        lines = list(Grid(keys[:_COLUMNS], rows).lines(Screen(None, False)))
        lines.append(f"[{len(self)} rows, {len(keys)} columns]")
        return "\n".join(lines)


def _row(maps: Iterable[Mapped], run: Run, each: bool) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for one in maps:
        values = [_value(run, key) for key in one.columns]
        made |= one.outputs(tuple(map(one.function, values)) if each else one.function(*values))
    return made


def _value(run: Run, key: str) -> Any:
    try:
        return run[key]
    except KeyError:
        return None


def _has(run: Run, key: str) -> bool:
    try:
        run[key]
    except KeyError:
        return False
    return True


def _hashable(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, (list, dict)) else value


def rank(value: Any) -> tuple[int, Any]:
    """What sorts values of any type: numbers, then texts, then nothing (2)."""
    if value is None or value != value:
        return (2, "")
    if isinstance(value, (int, float)):
        return (0, value)
    return (1, value if isinstance(value, str) else str(value))


def pandas() -> Any:
    """The library. Raises InputError where it is not installed."""
    try:
        import pandas as found
    except ImportError:
        raise InputError("this makes a pandas DataFrame, and pandas is not installed.", "pip install pandas") from None
    return found
