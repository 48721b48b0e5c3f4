"""Random values: what `uniform`, `log_uniform`, `int_uniform` and `normal` draw."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

from exs.errors import InputError
from exs.model import Json
from exs.sweep.suggest import shorten

Draw = Callable[[Random], Json]

KINDS = ("uniform", "log_uniform", "int_uniform", "normal")


def uniform(low: float, high: float) -> Draw:
    """Draws a float from [low, high)."""
    return lambda random: low + (high - low) * random.random()


def int_uniform(low: int, high: int) -> Draw:
    """Draws a whole number from low to high, both included."""
    return lambda random: low + random.randrange(high - low + 1)


def power(base: float, low: float, high: float) -> Draw:
    """Draws `base` to the power of a float from [low, high)."""
    return lambda random: float(base ** (low + (high - low) * random.random()))


def log_uniform(low: float, high: float) -> Draw:
    """Draws a float from [low, high) whose logarithm is uniform."""
    return power(math.e, math.log(low), math.log(high))


def normal(mean: float, deviation: float) -> Draw:
    """Draws from the normal distribution."""
    return lambda random: random.normalvariate(mean, deviation)


def choice(values: list[Json]) -> Draw:
    """Draws one of `values`."""
    return lambda random: values[random.randrange(len(values))]


def parse(kind: str, arguments: Json, where: str) -> Draw:
    """The distribution `kind` with its two numbers; raises InputError if they do not fit it."""
    numbers = arguments if isinstance(arguments, list) else []
    if len(numbers) != 2 or any(isinstance(n, bool) or not isinstance(n, int | float) for n in numbers):
        wanted = "[mean, deviation]" if kind == "normal" else "[low, high]"
        raise InputError(f"{where}: {kind} takes {wanted}, not {shorten(arguments)}.")
    low, high = numbers
    if not math.isfinite(10 * (abs(low) + abs(high))):  # beyond it a draw may be infinite
        raise InputError(f"{where}: the numbers {shorten(arguments)} are too large.")
    if kind == "normal":
        if high < 0:
            raise InputError(f"{where}: the deviation of a normal distribution is at least 0, not {high}.")
        return normal(low, high)
    if low > high:
        raise InputError(f"{where}: {kind} goes from low to high, not from {low} to {high}.")
    if kind == "int_uniform":
        if not (isinstance(low, int) and isinstance(high, int)):
            raise InputError(f"{where}: int_uniform takes whole numbers, not {shorten(arguments)}.")
        return int_uniform(low, high)
    if kind == "log_uniform":
        if low <= 0:
            raise InputError(f"{where}: log_uniform takes numbers greater than 0, not {low}.")
        return log_uniform(low, high)
    return uniform(low, high)
