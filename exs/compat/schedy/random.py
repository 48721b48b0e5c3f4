"""What a RandomSearch draws from, under Schedy's names. Each refuses at once what it cannot draw from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, ClassVar

from exs.errors import InputError
from exs.model import Json
from exs.values import jsonable


class Distribution:
    """A distribution. `kind` is its name on the command line and in a record, `arguments` its numbers by name."""

    kind: ClassVar[str]
    names: ClassVar[tuple[str, ...]]

    def __init__(self, **arguments: Json) -> None:
        self.arguments = arguments

    def sample(self, random: Random) -> Json:
        """Draw one value."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.arguments.items())})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Distribution) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))


class Uniform(Distribution):
    """Floats from [low, high)."""

    kind = "uniform"
    names = ("low", "high")

    def __init__(self, low: float, high: float) -> None:
        super().__init__(low=_number(low, "low"), high=_number(high, "high"))
        if low > high:
            raise InputError(f"{self.kind} goes from low to high, not from {low} to {high}.")

    def sample(self, random: Random) -> Json:
        low, high = self.arguments.values()
        return low + (high - low) * random.random()


class LogUniform(Uniform):
    """Floats from [low, high) whose logarithm is uniform."""

    kind = "loguniform"

    def __init__(self, low: float, high: float) -> None:
        super().__init__(low, high)
        if low <= 0:
            raise InputError(f"loguniform takes numbers greater than 0, not {low}.")

    def sample(self, random: Random) -> Json:
        low, high = (math.log(bound) for bound in self.arguments.values())
        return math.exp(low + (high - low) * random.random())


class Normal(Distribution):
    """The normal distribution."""

    kind = "normal"
    names = ("mean", "std")

    def __init__(self, mean: float, std: float) -> None:
        super().__init__(mean=_number(mean, "mean"), std=_number(std, "std"))
        if std < 0:
            raise InputError(f"the std of a normal distribution is at least 0, not {std}.")

    def sample(self, random: Random) -> Json:
        return random.normalvariate(*self.arguments.values())


class Choice(Distribution):
    """One of `values`, each as likely as its weight says; alike without weights."""

    kind = "choice"
    names = ("values", "weights")

    def __init__(self, values: Sequence[Any], weights: Sequence[float] | None = None) -> None:
        chosen = jsonable(values, "choice")
        if not isinstance(chosen, list) or not chosen:
            raise InputError("choice takes a list of at least one value.")
        arguments: dict[str, Json] = {"values": chosen}
        if weights is not None:
            given = jsonable(weights, "weights")
            if not isinstance(given, list) or len(given) != len(chosen):
                raise InputError(f"choice has {len(chosen)} values and needs as many weights.")
            arguments["weights"] = [_number(weight, "a weight") for weight in given]
            if min(arguments["weights"]) < 0 or not sum(arguments["weights"]) > 0:
                raise InputError("the weights of a choice are at least 0, and not all of them 0.")
        super().__init__(**arguments)

    def sample(self, random: Random) -> Json:
        return random.choices(self.arguments["values"], self.arguments.get("weights"))[0]


class Constant(Distribution):
    """Always the same value."""

    kind = "const"
    names = ("value",)

    def __init__(self, value: Any) -> None:
        super().__init__(value=jsonable(value, "value"))

    def sample(self, random: Random) -> Json:
        return self.arguments["value"]


KINDS: Mapping[str, type[Distribution]] = {cls.kind: cls for cls in (LogUniform, Uniform, Choice, Normal, Constant)}


def distribution(kind: str, arguments: Json, where: str) -> Distribution:
    """The distribution of that name with these arguments. Raises InputError that begins with `where`."""
    if kind not in KINDS:
        raise InputError(f"{where}: {kind!r} is no distribution.", f"There are: {', '.join(KINDS)}.")
    cls = KINDS[kind]
    shown = "{" + ", ".join(f'"{name}": ...' for name in cls.names) + "}"
    if not isinstance(arguments, dict) or not set(arguments) <= set(cls.names):
        raise InputError(f"{where}: {kind} takes {shown}.")
    try:
        return cls(**arguments)
    except TypeError:
        raise InputError(f"{where}: {kind} takes {shown}.") from None
    except InputError as error:
        raise InputError(f"{where}: {error.message}", error.hint) from None


def _number(value: Any, name: str) -> float:
    value = jsonable(value, name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > 1e300:
        raise InputError(f"{name} must be a number, not {str(value)[:60]!r}.")
    return value
