"""Which jobs a verb is about: `NAME`, an id or its beginning, `NAME/17`, `NAME/20-25`, `last`; `--status`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

import click

from exs.errors import NotFound
from exs.model import Failure, JobState
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


#: A job that was lost with its slot runs again until its crash budget is spent; it is poison then.
_LOST = frozenset({Failure.LOST, Failure.POISON})


@dataclass(frozen=True)
class Statuses:
    """What --status names: states, and ways in which a job has CRASHED. Without either it is false and names all."""

    states: frozenset[JobState] = frozenset()
    failures: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.states or self.failures)

    @property
    def asked(self) -> frozenset[JobState]:
        """The states in which such jobs are; none for all."""
        return self.states | {JobState.CRASHED} if self.failures else self.states

    def names(self, row: JobRow) -> bool:
        """Whether a job is one of them."""
        failed = row.state is JobState.CRASHED and row.failure in self.failures
        return not self or failed or row.state in self.states

    def __str__(self) -> str:
        return " or ".join(sorted(state.value.lower() for state in self.states) + sorted(self.failures))


#: Jobs in whatever state.
EVERY = Statuses()


def _statuses(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> Statuses:
    words = [word.strip() for value in values for word in value.split(",")]
    found = [_status(word, ctx, param) for word in words]
    states = frozenset(one for one in found if isinstance(one, JobState))
    return Statuses(states, frozenset(failure.value for one in found if isinstance(one, frozenset) for failure in one))


def _status(word: str, ctx: click.Context, param: click.Parameter) -> JobState | frozenset[Failure]:
    name = word.upper()
    if name in JobState.__members__:
        return JobState(name)
    if name in _SYNONYMS:
        return _SYNONYMS[name]
    if name in Failure.__members__:
        return _LOST if name == "LOST" else frozenset({Failure[name]})
    known = [*(state.value.lower() for state in JobState), *(failure.value for failure in Failure)]
    close = get_close_matches(word.lower(), known, n=1)
    meant = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(known)}."
    raise click.BadParameter(f"{word!r} is no status. {meant}", ctx, param)


status_option = click.option(
    "--status",
    "states",
    multiple=True,
    callback=_statuses,
    metavar="STATUS",
    help="Only jobs in this state (queued, running, done, crashed, ...), or that crashed in this way "
    "(error, timeout, oom, spawn, lost, ...); several with commas.",
)

selectors_argument = click.argument("selectors", nargs=-1, required=True, metavar="NAME|ID|NAME/17|NAME/20-25|last ...")


experiments_argument = click.argument("names", nargs=-1, required=True, metavar="NAME|last ...")


def whole_and_rest(store: Store, selectors: Sequence[str], states: Statuses = EVERY) -> tuple[list[str], list[str]]:
    """Names of the experiments that are meant as a whole, and the selectors that name jobs; with --status all do."""
    names: list[str] = []
    rest: list[str] = []
    for selector in selectors:
        experiment = None if states else experiment_or_none(store, selector)
        if experiment is None:
            rest.append(selector)
        elif experiment.name not in names:
            names.append(experiment.name)
    return names, rest


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


def selected(store: Store, selectors: Sequence[str], states: Statuses = EVERY) -> list[JobRow]:
    """The jobs that `selectors` name, each once, in the order named. Raises NotFound, InputError."""
    rows: dict[str, JobRow] = {}
    for selector in selectors:
        for row in store.find(selector, states.asked):
            if states.names(row):
                rows.setdefault(row.id, row)
    return list(rows.values())


def nothing_there(selectors: Sequence[str], states: Statuses = EVERY) -> NotFound:
    """What a verb says that has nothing to show, because `selectors` and --status name no job."""
    named = ", ".join(selectors)
    if states:
        return NotFound(f"no job of {named} has status {states}.", "exs list shows how many there are of which.")
    return NotFound(f"{named} has no jobs.", "exs list shows how many there are.")


def selected_ids(store: Store, selectors: Sequence[str], states: Statuses = EVERY) -> list[str]:
    """The ids of `selected`; of an experiment that is meant as a whole no more than these is read."""
    found: dict[str, None] = {}
    for selector in selectors:
        experiment = None if states else experiment_or_none(store, selector)
        if experiment is None:
            found.update((row.id, None) for row in selected(store, [selector], states))
        else:
            found.update((job, None) for job in store.ids(experiment.name))
    return list(found)
