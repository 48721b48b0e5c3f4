"""The maps of a DataFrame: (function, columns) or (function, columns, names), one or a list of them, as in MLXP."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from exs.reader.errors import InvalidMapError

Map = tuple[Any, ...] | list[tuple[Any, ...]]

#: How a map is applied: to all columns at once, to each column, to the values of each row, to each value.
GENERIC, COLUMNWISE, ROWWISE, POINTWISE = "Generic", "Columnwise", "Rowwise", "Pointwise"
KINDS = (GENERIC, COLUMNWISE, ROWWISE, POINTWISE)
#: Kinds that give one column for each that they take.
_EACH = (COLUMNWISE, POINTWISE)


@dataclass(frozen=True)
class Mapped:
    """One map, checked. `names`: of the columns that it makes."""

    function: Callable[..., Any]
    columns: tuple[str, ...]
    names: tuple[str, ...]

    def outputs(self, made: Any) -> dict[str, Any]:
        """The columns that were made, by name. Raises InvalidMapError for another number of them."""
        values = made if isinstance(made, tuple) else (made,)
        if len(values) != len(self.names):
            raise InvalidMapError(
                f"{_name(self.function)} made {len(values)} columns, and {len(self.names)} have a name."
            )
        return dict(zip(self.names, values, strict=True))


def checked(maps: Map, kind: str) -> list[Mapped]:
    """The maps, with names for what they make: `fmean.train.loss`. Raises InvalidMapError."""
    if kind not in KINDS:
        raise InvalidMapError(f"{kind!r} is no type of map.", f"There are: {', '.join(KINDS)}.")
    return [_checked(one, kind) for one in (maps if isinstance(maps, list) else [maps])]


def _checked(one: Any, kind: str) -> Mapped:
    if not isinstance(one, tuple) or len(one) not in (2, 3) or not callable(one[0]):
        raise InvalidMapError(f"{one!r} is no map.", "It is (function, columns) or (function, columns, names).")
    columns = _words(one[1])
    names = _words(one[2]) if len(one) == 3 else _invented(one[0], columns, kind)
    if kind in _EACH and len(names) != len(columns):
        raise InvalidMapError(f"{_name(one[0])} takes {len(columns)} columns one by one, and names {len(names)}.")
    return Mapped(one[0], columns, names)


def _words(given: Any) -> tuple[str, ...]:
    words = (given,) if isinstance(given, str) else given
    if not isinstance(words, (tuple, list)) or not words or not all(isinstance(word, str) for word in words):
        raise InvalidMapError(f"{given!r} names no columns.", "Give a name or a tuple of names.")
    return tuple(words)


def _invented(function: Callable[..., Any], columns: Sequence[str], kind: str) -> tuple[str, ...]:
    begin = f"f{_name(function)}."
    return tuple(begin + column for column in columns) if kind in _EACH else (begin + "_".join(columns),)


def _name(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def rows_of(columns: dict[str, Any], size: int) -> list[dict[str, Any]]:
    """One mapping per row where each column has `size` values, else a single one. Raises InvalidMapError for both."""
    whole = [_length(value) == size for value in columns.values()]
    if all(whole):
        return [{name: value[at] for name, value in columns.items()} for at in range(size)]
    if any(whole):
        raise InvalidMapError("some maps keep the number of rows and some do not.", "Apply them one after the other.")
    return [columns]


def _length(value: Any) -> int:
    return len(value) if isinstance(value, Iterable) and not isinstance(value, (str, bytes, dict)) else -1  # type: ignore[arg-type]
