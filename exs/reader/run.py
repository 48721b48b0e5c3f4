"""One run, wherever it was read from: flat keys, of which metrics and artifacts are read when they are looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

from exs.model import Json
from exs.reader.query import MISSING
from exs.reader.reducers import REDUCERS, number, split

#: What stands in place of what has not been read.
METRIC, ARTIFACT = "METRIC", "ARTIFACT"
#: Keys of one run; a mapping of aliases could be made of billions.
MOST_KEYS = 10_000
#: Prefixes that may be left out, in the order in which they are tried.
IMPLIED = ("", "result.", "config.", "info.")
#: Prefixes of `exs list`, and the ones that they mean here.
_PREFIXES = {"param.": "config.", "hyperparameter.": "config.", "metric.": ""}


class Series(Protocol):
    """The metrics of one run."""

    def names(self) -> Sequence[str]:
        """Their names."""

    def has(self, name: str) -> bool:
        """Whether `name` is one of them."""

    def values(self, name: str) -> list[Json]:
        """All values of one, in the order in which they were logged. Raises KeyError."""

    def points(self, name: str) -> list[tuple[float, Json]]:
        """The same with the step of each. Raises KeyError."""

    def reduced(self, name: str, how: str) -> float | None:
        """One number for all of them, by a name of REDUCERS. Raises KeyError."""


class NoSeries:
    """The metrics of a run that has none."""

    def names(self) -> Sequence[str]:
        """See Series."""
        return ()

    def has(self, name: str) -> bool:
        """See Series."""
        return False

    def values(self, name: str) -> list[Json]:
        """See Series."""
        raise KeyError(name)

    def points(self, name: str) -> list[tuple[float, Json]]:
        """See Series."""
        raise KeyError(name)

    def reduced(self, name: str, how: str) -> float | None:
        """See Series."""
        raise KeyError(name)


class Run(Mapping[str, Any]):
    """A mapping with keys like `config.optimizer.lr`, `info.status`, `result.accuracy`; `label` names it in lists.

    `run["train.loss"]` is the list of all values of a metric, `run["train.loss.min"]` one number;
    `run["artifact.numpy."]` maps the names of artifacts to what loads them. Metrics are printed as METRIC and
    artifacts as ARTIFACT until then. `folder` is the directory of the run, "" where that is not here.
    """

    def __init__(
        self,
        flat: dict[str, Any],
        series: Series | None = None,
        artifacts: Mapping[str, Mapping[str, Any]] | None = None,
        label: str = "",
        folder: str = "",
    ) -> None:
        self._flat = flat
        self._series: Series = series or NoSeries()
        self._artifacts = artifacts or {}
        self.label = label
        self.folder = folder

    def flat(self) -> dict[str, Any]:
        """What needs no reading: all but metrics and artifacts."""
        return self._flat

    def points(self, metric: str) -> list[tuple[float, Json]]:
        """All values of a metric with the step of each. Raises KeyError."""
        return self._series.points(metric)

    def config(self) -> Mapping[str, Any]:
        """Its parameters, with the prefix `config.`."""
        return {key: value for key, value in self.flat().items() if key.startswith("config.")}

    @property
    def metrics(self) -> Sequence[str]:
        """The names of its metrics."""
        return self._series.names()

    def __getitem__(self, key: str) -> Any:
        flat = self.flat()
        if key in flat:
            return flat[key]
        if key in self._artifacts:
            return self._artifacts[key]
        if self._series.has(key):
            return self._series.values(key)
        name, how = split(key)
        if self._series.has(name):
            return self._series.reduced(name, how)
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        yield from self.flat()
        yield from self.metrics
        yield from self._artifacts

    def __len__(self) -> int:
        return len(self.flat()) + len(self.metrics) + len(self._artifacts)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and (key in self.flat() or self._series.has(key) or key in self._artifacts)

    def lazy(self) -> dict[str, Any]:
        """As it is printed: nothing is read for it."""
        shown = dict(self.flat())
        shown.update(dict.fromkeys(self.metrics, METRIC))
        shown.update(dict.fromkeys(self._artifacts, ARTIFACT))
        return shown

    def __repr__(self) -> str:
        return repr(self.lazy())

    def set(self, values: Mapping[str, Any]) -> Run:
        """The same run with these columns added or replaced."""
        return Run({**self.flat(), **values}, self._series, self._artifacts, self.label, self.folder)

    def find(self, key: str) -> Any:
        """What a query means by `key`, MISSING for nothing: one value, of a metric its last.

        A key without a prefix is a metric or a part of one, else a result, a parameter, or a word about the run.
        """
        flat, key, name, how = _meant(key)
        if flat:
            return self._of_flat(key)
        found = self._of_metrics(key, name, how)
        for prefix in IMPLIED:
            if found is MISSING:
                found = self._of_flat(prefix + key)
        return found

    def _of_flat(self, key: str) -> Any:
        return self.flat().get(key, MISSING)

    def _of_metrics(self, key: str, name: str, how: str) -> Any:
        series = self._series
        if series.has(key):
            return series.reduced(key, "last")
        return series.reduced(name, how) if name and series.has(name) else MISSING


@lru_cache(1000)  # a query asks for the same few keys of every run
def _meant(key: str) -> tuple[bool, str, str, str]:
    """Whether a key has the prefix of what needs no reading; its full name; the metric and the reducer in it."""
    of_metric, key = key.startswith("metric."), full_name(key)
    if not of_metric and key.startswith(("config.", "info.", "result.")):
        return True, key, "", ""
    return False, key, *split(key)


def full_name(key: str) -> str:
    """A key with the prefix that its own means: `param.lr` is config.lr, and `metric.loss` is loss."""
    for prefix, meant in _PREFIXES.items():
        if key.startswith(prefix):
            return meant + key[len(prefix) :]
    return key


def reduced(values: Sequence[Json], how: str) -> float | None:
    """One number for the values of a metric; what is no number among them is left out."""
    return REDUCERS[how]([value for value in map(number, values) if value is not None])


def flattened(prefix: str, values: Mapping[Any, Json], into: dict[str, Any]) -> None:
    """Add nested mappings as keys with dots; at most MOST_KEYS. Lists stay lists."""
    for name, value in values.items():
        if len(into) >= MOST_KEYS:
            return
        if isinstance(value, dict) and value:
            flattened(f"{prefix}{name}.", value, into)
        else:
            into[f"{prefix}{name}"] = value
