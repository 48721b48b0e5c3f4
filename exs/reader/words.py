"""The words of a query: keys, values, operators. No regular expression of them backtracks."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from exs.model import Json
from exs.reader.errors import QuerySyntaxError

#: Characters of one query.
LONGEST = 10_000
#: Digits of a whole number; Python refuses to read more than 4300.
_DIGITS = 400

_SPACE = re.compile(r"[ \t\r\n]+")
_NUMBER = re.compile(r"[+-]?(?:inf\b|(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")
#: MLXP's, and `-` inside of a part; parts may be digits alone: config.layers.0
_KEY = re.compile(r"[^\W\d][\w-]*(?:\.[\w-]+)*")
_OPERATOR = re.compile(r"==|!=|<=|>=|&&?|\|\|?|[<>~()\[\],]")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
#: Words with a meaning of their own, unless they are in backquotes.
_VALUES: dict[str, Json] = {
    "true": True, "True": True, "false": False, "False": False, "None": None, "null": None,
    "nan": math.nan, "inf": math.inf,
}  # fmt: skip
_OPERATORS = {"and": "&", "or": "|", "not": "~", "in": "in", "&&": "&", "||": "|"}


@dataclass(frozen=True)
class Word:
    """One word at a place of the query. `kind`: "key", "value", "end", or the operator itself."""

    kind: str
    at: int
    text: str
    value: Json = None


def words(query: str) -> Iterator[Word]:
    """The words of a query; the last is of kind "end". Raises QuerySyntaxError."""
    if len(query) > LONGEST:
        raise QuerySyntaxError(f"a query has at most {LONGEST} characters, this one {len(query)}.", query, LONGEST)
    at = 0
    while at < len(query):
        if space := _SPACE.match(query, at):
            at = space.end()
            continue
        word = _word(query, at)
        yield word
        at += len(word.text)
    yield Word("end", len(query), "")


def _word(query: str, at: int) -> Word:
    first = query[at]
    if first in "'\"`":
        return _quoted(query, at, first)
    if found := _NUMBER.match(query, at):
        return _number(query, at, found[0])
    if found := _KEY.match(query, at):
        text = found[0]
        if text in _VALUES:
            return Word("value", at, text, _VALUES[text])
        return Word(_OPERATORS.get(text, "key"), at, text)
    if found := _OPERATOR.match(query, at):
        return Word(_OPERATORS.get(found[0], found[0]), at, found[0])
    if first == "=":
        raise QuerySyntaxError("a single = compares nothing.", query, at, "Two values are equal with ==.")
    if first == "!":
        raise QuerySyntaxError("! is no operator.", query, at, "Unequal is !=, and the opposite of a condition is ~.")
    raise QuerySyntaxError(f"{first!a} means nothing here.", query, at)


def _quoted(query: str, at: int, quote: str) -> Word:
    end = at + 1
    while end < len(query) and query[end] != quote:
        end += 2 if query[end] == "\\" and quote != "`" else 1
    if end >= len(query):
        raise QuerySyntaxError(f"nothing closes this {quote}.", query, at)
    text, inner = query[at : end + 1], query[at + 1 : end]
    if quote == "`":
        if not inner:
            raise QuerySyntaxError("the key between the backquotes is empty.", query, at)
        return Word("key", at, text, inner)
    return Word("value", at, text, _ESCAPE.sub(r"\1", inner))


def _number(query: str, at: int, text: str) -> Word:
    end = at + len(text)
    if end < len(query) and (query[end].isalnum() or query[end] in "_."):
        raise QuerySyntaxError("this is no number.", query, at, "Text stands in quotes: 'abc'.")
    if text.lstrip("+-").isdigit():
        if len(text) > _DIGITS:
            raise QuerySyntaxError(f"a whole number has at most {_DIGITS} digits.", query, at)
        return Word("value", at, text, int(text))
    return Word("value", at, text, float(text))
