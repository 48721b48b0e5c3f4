"""What is wrong with a query, and at which character of it; what is wrong with a map of a DataFrame."""

from __future__ import annotations

from exs.errors import InputError

#: Characters of a long query that are shown around the place.
_WINDOW = 70


class QueryError(InputError):
    """A query that cannot be answered. `query[at:]` begins with what is wrong."""

    def __init__(self, message: str, query: str, at: int, advice: str = "") -> None:
        start = max(0, at - _WINDOW // 2)
        shown = query[start : start + _WINDOW].translate(dict.fromkeys(range(32), " "))
        super().__init__(f"query, character {at + 1}: {message}", f"{shown}\n{' ' * (at - start)}^")
        if advice:
            self.hint += f"\n{advice}"
        self.query = query
        self.at = at

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}"


class QuerySyntaxError(QueryError, SyntaxError):
    """Not a query: the grammar is that of `exs.reader.query`."""


class QueryTypeError(QueryError, TypeError):
    """A value of a run and the one in the query have no order: 0.1 < 'a'."""


class InvalidKeyError(QueryError, KeyError):
    """Nothing that a run could have is called so."""


class InvalidMapError(InputError, ValueError):
    """What is no map of a DataFrame: (function, columns) or (function, columns, names)."""


class NoColumn(InputError, KeyError):
    """A DataFrame has no such column."""

    def __str__(self) -> str:
        return f"{self.message} {self.hint}"
