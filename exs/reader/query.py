"""The query language: MLXP's grammar and precedence, and what its users missed.

    config.seed in [1, 4] & info.status == 'COMPLETE' | loss.min < 0.3

A condition is KEY op VALUE with == != < <= > >=, KEY in [VALUES] or KEY not in [VALUES]. `~` (not) binds closer than
`&` (and), and that closer than `|` (or); parentheses group. A value is a number (1e-3 too), a text in quotes, True,
False, None, nan or inf. A key that is no word stands in backquotes.

A condition about something that a run does not have is false, `!=` too, as in MLXP; `KEY == None` finds the runs that
lack it or have None there, `KEY != None` the others. Values of two types are unequal (1 and '1', 1 and True), and to
ask which is less raises QueryTypeError. `&` and `|` go from left to right and stop when the answer is known.
Numbers are numbers: 1 == 1.0. `KEY == nan` finds NaN.

Nothing is evaluated as Python. A query has at most 10,000 characters, and conditions nest at most 50 deep.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from exs.model import Json
from exs.reader.errors import QuerySyntaxError, QueryTypeError
from exs.reader.words import Word, words

#: How deep conditions may nest.
DEEPEST = 50


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


#: The value of a key that a run does not have.
MISSING: Final = _Missing()

#: Looks a key up in one run; `at` is where it stands in the query.
Lookup = Callable[[str], Any]


class Condition(Protocol):
    """Part of a query."""

    def holds(self, lookup: Lookup) -> bool:
        """Whether it is true of the run in which `lookup` finds keys. Raises QueryTypeError."""

    def asks(self) -> list[tuple[str, int]]:
        """The keys in it, with their places in the query."""


@dataclass(frozen=True)
class Compare:
    """KEY op VALUE."""

    key: str
    op: str
    value: Json
    query: str
    at: int  #: of the key
    op_at: int

    def holds(self, lookup: Lookup) -> bool:
        """See Condition."""
        found = lookup(self.key)
        if self.value is None:
            return (found is MISSING or found is None) == (self.op == "==")
        if found is MISSING:
            return False
        if self.op in ("==", "!="):
            return same(found, self.value) == (self.op == "==")
        if found is None:
            return False
        numbers = _number(found) and _number(self.value)
        if numbers or (isinstance(found, str) and isinstance(self.value, str)):
            return _ORDER[self.op](found, self.value)
        raise QueryTypeError(
            f"{self.key} is {kind(found)} in a run, and {kind(self.value)} is neither less nor greater.",
            self.query,
            self.op_at,
        )

    def asks(self) -> list[tuple[str, int]]:
        """See Condition."""
        return [(self.key, self.at)]


@dataclass(frozen=True)
class Member:
    """KEY in [VALUES]."""

    key: str
    values: tuple[Json, ...]
    at: int

    def holds(self, lookup: Lookup) -> bool:
        """See Condition. None in the list finds the runs that lack the key, too."""
        found = lookup(self.key)
        if found is MISSING or found is None:
            return any(value is None for value in self.values)
        return any(same(found, value) for value in self.values)

    def asks(self) -> list[tuple[str, int]]:
        """See Condition."""
        return [(self.key, self.at)]


@dataclass(frozen=True)
class Not:
    """~ CONDITION."""

    of: Condition

    def holds(self, lookup: Lookup) -> bool:
        """See Condition."""
        return not self.of.holds(lookup)

    def asks(self) -> list[tuple[str, int]]:
        """See Condition."""
        return self.of.asks()


@dataclass(frozen=True)
class Several:
    """CONDITION & CONDITION ..., or with |. Without one, true of everything."""

    parts: tuple[Condition, ...]
    every: bool

    def holds(self, lookup: Lookup) -> bool:
        """See Condition."""
        for part in self.parts:
            if part.holds(lookup) is not self.every:
                return not self.every
        return self.every

    def asks(self) -> list[tuple[str, int]]:
        """See Condition."""
        return [pair for part in self.parts for pair in part.asks()]


_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
_KINDS = {str: "text", list: "a list", dict: "an object"}
_COMPARISONS = ("==", "!=", *_ORDER)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal and of one type; all numbers are of one, and NaN equals NaN."""
    if _number(a) and _number(b):
        return bool(a == b or (a != a and b != b))
    return type(a) is type(b) and bool(a == b)


def kind(value: Any) -> str:
    """The type of a value in words."""
    if value is None or isinstance(value, bool):
        return str(value)
    if _number(value):
        return f"the number {value:g}" if isinstance(value, float) or abs(value) < 10**15 else "a number"
    for type_, word in _KINDS.items():
        if isinstance(value, type_):
            return word
    return "something else"


def parse(query: str) -> Condition:
    """What a query says; an empty one is true of every run. Raises QuerySyntaxError."""
    return _Parser(query).whole()


class _Parser:
    """Recursive descent, one method per level of precedence."""

    def __init__(self, query: str) -> None:
        self._query = query
        self._words = list(words(query))
        self._next = 0
        self._depth = 0

    def whole(self) -> Condition:
        if self._word.kind == "end":
            return Several((), True)
        found = self._either()
        if self._word.kind != "end":
            advice = "Conditions are joined by & and |."
            raise self._error("nothing opens this )." if self._word.kind == ")" else "the query ended before.", advice)
        return found

    @property
    def _word(self) -> Word:
        return self._words[self._next]

    def _take(self) -> Word:
        word = self._word
        if word.kind != "end":
            self._next += 1
        return word

    def _either(self) -> Condition:
        parts = [self._both()]
        while self._word.kind == "|":
            self._take()
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Several(tuple(parts), False)

    def _both(self) -> Condition:
        parts = [self._one()]
        while self._word.kind == "&":
            self._take()
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else Several(tuple(parts), True)

    def _one(self) -> Condition:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._error(f"conditions nest at most {DEEPEST} deep.")
        try:
            if self._word.kind == "~":
                self._take()
                return Not(self._one())
            if self._word.kind == "(":
                return self._group()
            return self._comparison()
        finally:
            self._depth -= 1

    def _group(self) -> Condition:
        opened = self._take()
        found = self._either()
        if self._word.kind != ")":
            if self._word.kind == "end":
                raise QuerySyntaxError("nothing closes this (.", self._query, opened.at)
            raise self._error("here should be ), & or |.")
        self._take()
        return found

    def _comparison(self) -> Condition:
        key = self._take()
        if key.kind != "key":
            self._next -= key.kind != "end"
            raise self._error("here should be a key.", "A condition is like config.lr == 0.1 or loss.min < 0.3.")
        name = str(key.value or key.text)
        op = self._take()
        if op.kind == "~" and self._word.kind == "in":
            self._take()
            return Not(Member(name, self._list(), key.at))
        if op.kind == "in":
            return Member(name, self._list(), key.at)
        if op.kind not in _COMPARISONS:
            self._next -= op.kind != "end"
            raise self._error("here should be == != < <= > >= or in.", f"To ask for a true value: {name} == True")
        value = self._value()
        if value is None and op.kind not in ("==", "!="):
            raise QuerySyntaxError("None is neither less nor greater than anything.", self._query, op.at)
        return Compare(name, op.kind, value, self._query, key.at, op.at)

    def _value(self) -> Json:
        word = self._take()
        if word.kind == "value":
            return word.value
        self._next -= word.kind != "end"
        advice = f"Text stands in quotes: {word.text!r}" if word.kind == "key" else ""
        raise self._error("here should be a value.", advice)

    def _list(self) -> tuple[Json, ...]:
        if self._word.kind != "[":
            raise self._error("here should be a list.", "For example: config.seed in [1, 4]")
        self._take()
        values: list[Json] = []
        while self._word.kind != "]":
            values.append(self._value())
            if self._word.kind == ",":
                self._take()
            elif self._word.kind != "]":
                raise self._error("here should be , or ].")
        self._take()
        return tuple(values)

    def _error(self, message: str, advice: str = "") -> QuerySyntaxError:
        return QuerySyntaxError(message, self._query, self._word.at, advice)
