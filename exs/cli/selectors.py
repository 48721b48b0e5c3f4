"""Which jobs a verb is about: `NAME`, an id or its beginning, `NAME/17`, `NAME/20-25`, `last`; `--status`."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

import click

from exs.errors import NotFound
from exs.model import JobState
from exs.rows import ExperimentRow, JobRow

if TYPE_CHECKING:
    from exs.store.store import Store

#: An id, or its beginning.
_JOB_ID = re.compile(r"[a-z2-7]{4,10}\Z")
#: Words that people use for states, besides the states' own names.
_SYNONYMS = {
    "WAITING": JobState.QUEUED,
    "STARTED": JobState.RUNNING,
    "FINISHED": JobState.DONE,
    "FAILED": JobState.CRASHED,
    "CANCELLED": JobState.CANCELED,
}


def _states(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> frozenset[JobState]:
    return frozenset(_state(word, ctx, param) for value in values for word in value.split(","))


def _state(word: str, ctx: click.Context, param: click.Parameter) -> JobState:
    name = word.strip().upper()
    if name in JobState.__members__:
        return JobState(name)
    if name in _SYNONYMS:
        return _SYNONYMS[name]
    known = [state.value.lower() for state in JobState]
    close = get_close_matches(word.lower(), known, n=1)
    meant = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(known)}."
    raise click.BadParameter(f"{word!r} is no status. {meant}", ctx, param)


status_option = click.option(
    "--status",
    "states",
    multiple=True,
    callback=_states,
    metavar="STATUS",
    help="Only jobs in this state (queued, running, done, crashed, ...); several with commas.",
)

selectors_argument = click.argument("selectors", nargs=-1, required=True, metavar="NAME|ID|NAME/17|NAME/20-25|last ...")


def experiment_or_none(store: Store, selector: str) -> ExperimentRow | None:
    """The experiment that `selector` names as a whole, by its name, its id or `last`; None if it names jobs."""
    if "/" in selector:
        return None
    try:
        return store.experiment(selector)
    except NotFound:
        return None


def schedys(store: Store, selectors: Sequence[str]) -> tuple[str, ...]:
    """`selectors`; of `NAME JOB`, with which Schedy named the job of an experiment, only the job."""
    if len(selectors) == 2 and _JOB_ID.match(selectors[1]):
        experiment = experiment_or_none(store, selectors[0])
        if experiment is not None and experiment_or_none(store, selectors[1]) is None:
            found = store.find(selectors[1])
            if len(found) == 1 and found[0].experiment == experiment.name:
                return (selectors[1],)
    return tuple(selectors)


def selected(store: Store, selectors: Sequence[str], states: Collection[JobState] = ()) -> list[JobRow]:
    """The jobs that `selectors` name, each once, in the order named. Raises NotFound, InputError."""
    rows: dict[str, JobRow] = {}
    for selector in selectors:
        for row in store.find(selector, states):
            rows.setdefault(row.id, row)
    return list(rows.values())
