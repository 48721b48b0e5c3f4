"""`${n}` and `${model.num_units}` in a configuration: the value of another key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from exs.command import text_of
from exs.errors import InputError
from exs.sweep.suggest import hint, shorten

_REFERENCE = re.compile(r"(?P<escaped>\\)?\$\{(?P<path>[^{}]*)\}")
#: Characters that a text may have with everything filled in: ${a}${a} of ${b}${b} of ... doubles each time.
LONGEST = 100_000


def resolve(config: dict[str, Any], where: str) -> dict[str, Any]:
    """`config` with every `${path.to.key}` filled in.

    A text that is nothing else has the value of that key, whatever it is; in a longer text stands its text. A `\\`
    before it leaves it as it stands. Raises InputError for a key that is not there, and for a circle.
    """
    found: dict[str, Any] = _Resolver(config, where).value(config, ())
    return found


class _Resolver:
    def __init__(self, root: Mapping[str, Any], where: str) -> None:
        self._root = root
        self._where = where
        self._done: dict[str, Any] = {}

    def value(self, value: Any, through: tuple[str, ...]) -> Any:
        if isinstance(value, dict):
            return {key: self.value(item, through) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item, through) for item in value]
        return self._text(value, through) if isinstance(value, str) and "${" in value else value

    def _text(self, text: str, through: tuple[str, ...]) -> Any:
        whole = _REFERENCE.fullmatch(text)
        if whole and not whole["escaped"]:
            return self._reference(whole["path"], through)

        def filled(match: re.Match[str]) -> str:
            if match["escaped"]:
                return match[0][1:]
            value = self._reference(match["path"], through)
            if isinstance(value, (dict, list)):
                raise InputError(f"{self._where}: {match[0]} in {shorten(text)} is no text but {shorten(value)}.")
            return "null" if value is None else text_of(value, match["path"])

        found = _REFERENCE.sub(filled, text)
        if len(found) > LONGEST:
            raise InputError(f"{self._where}: {shorten(text)} is longer than {LONGEST:,} characters when filled in.")
        return found

    def _reference(self, path: str, through: tuple[str, ...]) -> Any:
        path = path.strip()
        if path in self._done:
            return self._done[path]
        if path in through:
            circle = " -> ".join([*through[through.index(path) :], path])
            raise InputError(f"{self._where}: ${{{path}}} leads back to itself: {circle}.")
        found: Any = self._root
        for step in path.split("."):
            if isinstance(found, str) and "${" in found:
                found = self._text(found, (*through, path))
            if not isinstance(found, Mapping) or step not in found:
                raise InputError(f"{self._where}: ${{{path}}} names no key.", self._advice(path, step, found))
            found = found[step]
        self._done[path] = self.value(found, (*through, path))
        return self._done[path]

    @staticmethod
    def _advice(path: str, step: str, found: Any) -> str:
        if ":" in path:
            return "Only keys of the configuration can be named: no resolvers such as oc.env."
        if path.startswith("."):
            return "Name the key from the top of the configuration."
        return hint(step, found, "Keys") if isinstance(found, Mapping) else ""
