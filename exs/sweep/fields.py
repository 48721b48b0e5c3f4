"""Typed access to one mapping of a sweep file; every error names file and line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from exs.errors import InputError
from exs.model import WEIGHT_MOST, Json
from exs.sweep import units
from exs.sweep.suggest import shorten, unknown_key
from exs.sweep.yamlfile import Document


@dataclass(frozen=True)
class Fields:
    """The mapping at `path` of a document. A key whose value is null counts as not written."""

    document: Document
    path: tuple[str | int, ...]
    data: dict[str, Json]

    @classmethod
    def of(cls, document: Document, *path: str | int) -> Fields:
        """The mapping at `path`, empty if it is not written; raises InputError if something else stands there."""
        value = document.value
        for step in path:
            value = value.get(step) if isinstance(value, dict) else value[int(step)]
        if value is not None and not isinstance(value, dict):
            name = f"{path[-1]!r} must be" if path else "the file must hold"
            raise InputError(f"{document.where(*path)}: {name} a mapping, not {shorten(value)}.")
        return cls(document, path, value or {})

    def at(self, *keys: str | int) -> str:
        """`file:line` of what stands below this mapping at `keys`."""
        return self.document.where(*self.path, *keys)

    def check_known(self, known: Iterable[str]) -> None:
        """Raises InputError for the first key that is not in `known`, with the one that was meant."""
        known = tuple(known)
        for key in self.data:
            if key not in known:
                raise unknown_key(key, known, self.at(key))

    def __contains__(self, key: str) -> bool:
        return self.data.get(key) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self.data)

    def get(self, key: str) -> Json:
        return self.data.get(key)

    def section(self, key: str) -> Fields:
        """The mapping under `key`."""
        return Fields.of(self.document, *self.path, key)

    def wrong(self, key: str, wanted: str) -> InputError:
        """The error for a value of the wrong type: `wanted` completes "must be"."""
        return InputError(f"{self.at(key)}: {key!r} must be {wanted}, not {shorten(self.data[key])}.")

    def text(self, key: str) -> str | None:
        value = self.get(key)
        if value is not None and (not isinstance(value, str) or not value):
            raise self.wrong(key, "text")
        return value

    def integer(self, key: str, low: int, high: int = 2**53) -> int | None:
        value = self.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            span = f"from {low} to {high}" if high < 2**53 else f"of at least {low}"
            raise self.wrong(key, f"a whole number {span}")
        return value

    def number(self, key: str) -> float | None:
        value = self.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise self.wrong(key, "a number")
        return value

    def weight(self, key: str) -> float | None:
        """A share of a fair-share pool, relative to others'."""
        value = self.number(key)
        if value is not None and not 0 < value <= WEIGHT_MOST:
            raise self.wrong(key, f"a number above 0, at most {WEIGHT_MOST:,.0f}")
        return value

    def flag(self, key: str) -> bool | None:
        value = self.get(key)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def items(self, key: str, *, empty: bool = False) -> list[Json] | None:
        """The list under `key`, which must not be empty unless that is allowed."""
        value = self.get(key)
        if value is not None and (not isinstance(value, list) or not (value or empty)):
            raise self.wrong(key, "a list" if empty else "a list of at least one item")
        return value

    def duration(self, key: str) -> float | None:
        return units.duration(self.data[key], self.at(key)) if key in self else None

    def size(self, key: str) -> int | None:
        return units.size(self.data[key], self.at(key)) if key in self else None
