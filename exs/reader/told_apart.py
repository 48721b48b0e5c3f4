"""Which parameters tell runs apart that pass by and are not kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from exs.reader.query import same
from exs.reader.run import Run


class ToldApart:
    """Parameters that are not the same in all runs that were watched, or that some of them lack."""

    def __init__(self) -> None:
        self._first: Mapping[str, Any] = {}
        self._more: dict[str, None] = {}  # parameters that the first run lacks, as they came
        self._differing: set[str] = set()
        self._runs = 0

    def watch(self, runs: Iterable[Run]) -> Iterator[Run]:
        """The same runs."""
        for run in runs:
            self._see(run.config())
            yield run

    def names(self) -> list[str]:
        """Their keys, in the order in which the first run has them; of a single run all."""
        if self._runs < 2:
            return list(self._first)
        return [*(key for key in self._first if key in self._differing), *self._more]

    def _see(self, config: Mapping[str, Any]) -> None:
        self._runs += 1
        if self._runs == 1:
            self._first = config
            return
        for key, value in config.items():
            if key not in self._first:
                self._more[key] = None
            elif key not in self._differing and not same(value, self._first[key]):
                self._differing.add(key)
        if len(config) < len(self._first) + len(self._more):
            self._differing.update(self._first.keys() - config.keys())
