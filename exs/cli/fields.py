"""The fields of jobs that a command names: `lr`, `result.loss`, `loss.min`, `seconds`."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from exs.errors import InputError
from exs.rows import JobRow
from exs.view.columns import choose
from exs.view.fields import Field, field, known, part_of_metric

if TYPE_CHECKING:
    from exs.store.store import Store


def add_series(store: Store, rows: list[JobRow], names: Sequence[str], curve: str = "") -> None:
    """Ask for what is known of metrics where a field like `loss.min` is wanted: the rows have the last values alone.

    `curve`: a metric of which the points are wanted. Of other metrics nothing is asked for.
    """
    wanted = [curve] if curve else []
    if any("." in name for name in names):
        choice = choose(rows)
        wanted += [part[0] for name in names if (part := part_of_metric(choice, name))]
    if wanted:
        found = store.metrics([row.id for row in rows if row.metrics], points=bool(curve), names=wanted)
        for row in rows:
            row.series = found.get(row.id, {})


def fields_of(rows: list[JobRow], names: Sequence[str], what: str, now: float) -> list[Field]:
    """The fields of these names. Raises InputError that begins with `what`."""
    if not names or not rows:
        return []
    choice, found = choose(rows), []
    for name in names:
        one = field(rows, choice, name, now)
        if one is None:
            words = known(choice)
            close = get_close_matches(name, words, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(words[:30])}."
            raise InputError(f"{what} {name!r}: no job has such a parameter or result.", hint)
        found.append(one)
    return found
