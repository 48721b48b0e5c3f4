"""The command line of a launched function: Hydra's overrides, as a list of points.

optimizer.lr=10.,1. seed=1,2     # four points, the last key fastest
seed=range(1,4)  x=choice(7,8)   # 1 2 3; 7 8
+new=1                           # a key that the configuration has not
++any=1                          # whether it has it or not
~key                             # without it
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from exs.errors import InputError
from exs.model import Json
from exs.settings import Limits
from exs.sweep.commandline import Parameter, read_parameter
from exs.sweep.suggest import shorten

_REMOVAL = re.compile(r"~(?P<name>[A-Za-z_][\w.-]*)\Z")


@dataclass(frozen=True)
class Override:
    """One change of the configuration. `prefix`: "" sets a key that is there, "+" a new one, "++" any, "~" removes."""

    prefix: str
    path: tuple[str, ...]
    value: Json = None

    @property
    def name(self) -> str:
        """The keys on the way down, with dots."""
        return ".".join(self.path)

    @property
    def shown(self) -> str:
        """The beginning of it as typed."""
        return f"{self.prefix}{self.name}{'' if self.prefix == '~' else '='}"


@dataclass(frozen=True)
class Words:
    """Overrides with all their values. `given`: as typed."""

    given: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    removals: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many points."""
        total = 1
        for each in self.parameters:
            total *= len(each.values)
        return total

    def points(self) -> Iterator[tuple[Override, ...]]:
        """Every combination, in the order written, the last key fastest."""
        for values in product(*(each.values for each in self.parameters)):
            yield self._point(values)

    def probes(self, groups: Sequence[str]) -> Iterator[tuple[Override, ...]]:
        """Enough points to find out whether all can be composed.

        Those of every combination of what is chosen from `groups`, each other value once.
        """
        firsts = [each.values[0] for each in self.parameters]
        chosen = [each.values if each.name in groups else each.values[:1] for each in self.parameters]
        for values in product(*chosen):
            yield self._point(values)
        for at, each in enumerate(self.parameters):
            if each.name in groups or isinstance(each.values, range):
                continue
            for value in each.values[1:]:
                if not isinstance(value, (int, float)):  # a number cannot be wrong
                    yield self._point([*firsts[:at], value, *firsts[at + 1 :]])

    def _point(self, values: Sequence[Json]) -> tuple[Override, ...]:
        pairs = zip(self.parameters, values, strict=True)
        sets = [Override(each.prefix, tuple(each.name.split(".")), value) for each, value in pairs]
        return (*sets, *(Override("~", tuple(name.split("."))) for name in self.removals))


def read(words: Sequence[str], limits: Limits) -> Words:
    """The overrides that the words of a command line stand for. Raises InputError, naming the word."""
    parameters: list[Parameter] = []
    removals: list[str] = []
    for word in words:
        removal = _REMOVAL.match(word)
        parameter = None if removal else read_parameter(word, limits)
        if removal:
            removals.append(removal["name"])
        elif parameter:
            parameters.append(parameter)
        else:
            raise InputError(
                f"the word {shorten(word)} is no override.", "Write key=value, +new=value or ~key; --help says more."
            )
    names = [*(each.name for each in parameters), *removals]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"the key {name!r} is given twice.", "Put its values into one word, with commas.")
    found = Words(tuple(words), tuple(parameters), tuple(removals))
    if found.count > limits.sweep_jobs:
        raise InputError(f"these are {found.count:,} runs, more than the limit of {limits.sweep_jobs:,}.")
    return found
