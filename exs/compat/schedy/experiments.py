"""Schedy's experiments: jobs by hand, or drawn at random when none is queued."""

from __future__ import annotations

import random as randomness
from collections.abc import Iterator, Mapping
from typing import Any

from exs import person
from exs.compat.schedy import random
from exs.compat.schedy.jobs import Job
from exs.errors import InputError, NoJobError, NotFound, UnsafeUpdateError
from exs.model import JobState, Json
from exs.pull import Draw, Held, puller_at
from exs.store.store import Store
from exs.values import mapping

_MANUAL = "Manual"
_RANDOM = "RandomSearch"


class Experiment:
    """An experiment whose jobs processes of yours take one by one. `status` is RUNNING, or DONE: it gives out none.

    Make a ManualSearch or a RandomSearch and hand it to `SchedyDB.add_experiment`, or get one from there.
    """

    RUNNING = "RUNNING"
    DONE = "DONE"
    #: What Schedy calls its scheduler.
    scheduler = _MANUAL

    def __init__(self, name: str, status: str = RUNNING) -> None:
        if status not in (self.RUNNING, self.DONE):
            raise InputError(f"{status!r} is no status of an experiment.", f"There are: {self.RUNNING}, {self.DONE}.")
        self.name = name
        self.status = status
        self._store: Store | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self.status})"

    @property
    def store(self) -> Store:
        """The queue in which it is. Raises InputError for one that was not added."""
        if self._store is None:
            raise InputError(f"experiment {self.name} is in no database yet.", "SchedyDB().add_experiment(experiment)")
        return self._store

    def add_job(
        self,
        hyperparameters: Mapping[str, Any],
        status: str = Job.QUEUED,
        results: Mapping[str, Any] | None = None,
    ) -> Job:
        """Add a job. With DONE, CRASHED or PRUNED it stands for one that was run elsewhere, with its `results`.

        Raises InputError, Refused, NotFound.
        """
        params = mapping(hyperparameters, "hyperparameters")
        self._check(params)
        try:
            state = JobState(status)
        except ValueError:
            raise InputError(f"{str(status)[:60]!a} is no status of a job.") from None
        added = self.store.add_job(self.name, params, state, mapping(results or {}, "results"))
        assert added is not None
        return Job(self, *self.store.job_and_etag(added[0]))

    def next_job(self, wait: float = 0.0) -> Job:
        """The next job, leased to this process until it is put back in a final state: use it with `with`.

        `wait`: seconds to wait for one, float("inf") for ever. Raises NoJobError when there is none.
        """
        held = self.take(wait)
        if held is None:
            self.store.scheduler(self.name)  # says if there is no such experiment, or it is no pull experiment
            raise NoJobError(self.name)
        try:
            row, etag = self.store.job_and_etag(held.claim.job)
        except NotFound:  # removed in this moment
            raise NoJobError(self.name) from None
        return Job(self, row, etag, held)

    def take(self, wait: float = 0.0) -> Held | None:
        """`next_job` without what is around it: the lease alone; None when there is no job."""
        return puller_at(self.store).next(self.name, wait, self._draw())

    def all_jobs(self) -> Iterator[Job]:
        """All jobs, in the order in which they were added, a page at a time."""
        return (Job(self, row, etag) for row, etag in self.store.jobs_and_etags(self.name))

    def get_job(self, job_id: str) -> Job:
        """One job. Raises NotFound."""
        row, etag = self.store.job_and_etag(job_id)
        if row.experiment != self.name:
            raise NotFound(f"experiment {self.name} has no job {job_id!r}.", f"It is a job of {row.experiment}.")
        return Job(self, row, etag)

    def push_updates(self) -> None:
        """Store `status`: DONE keeps its jobs from being given out, RUNNING gives them out again. Raises NotFound."""
        if self.status == self.DONE:
            code, _ = self.store.pause_experiment(self.name, person.user())
        else:
            code, _ = self.store.activate_experiment(self.name)
        if code == "missing":
            self.store.experiment(self.name)  # names those that are close

    def delete(self, ensure: bool = True) -> None:
        """Remove the experiment and its jobs. Raises UnsafeUpdateError if it is not there or a job of it is running,
        with `ensure=False` only the latter."""
        store = self.store
        try:
            store.experiment(self.name)
        except NotFound:
            if ensure:
                raise UnsafeUpdateError(f"Experiment {self.name} is not there any more.") from None
            return
        if not store.forget([self.name], store.ids(self.name))[1]:
            raise UnsafeUpdateError(f"Jobs of experiment {self.name} are running: it is not removed.")

    def definition(self) -> dict[str, Json] | None:
        """How it draws jobs, for the record; None for jobs by hand."""
        return None

    def _draw(self) -> Draw | None:
        return None

    def _check(self, params: Mapping[str, Json]) -> None:
        """Raise InputError for hyperparameters that a job of it cannot have."""


class ManualSearch(Experiment):
    """Jobs are added by hand."""


class RandomSearch(Experiment):
    """What is queued comes first; then each job is drawn when it is asked for, so that it never runs out.

    `distributions`: name -> one of `random`'s. Jobs that are added by hand have exactly these hyperparameters.
    """

    scheduler = _RANDOM

    def __init__(
        self, name: str, distributions: Mapping[str, random.Distribution], status: str = Experiment.RUNNING
    ) -> None:
        super().__init__(name, status)
        if not distributions:
            raise InputError(f"the RandomSearch {name} has no distribution to draw from.")
        for parameter, drawn in distributions.items():
            if not isinstance(drawn, random.Distribution):
                raise InputError(f"{parameter} must be a distribution, such as exs.random.Normal(0, 1), not {drawn!r}.")
        self.distributions = dict(distributions)
        self._random = randomness.Random()

    def definition(self) -> dict[str, Json] | None:
        drawn = {name: {found.kind: found.arguments} for name, found in self.distributions.items()}
        return {_RANDOM: mapping(drawn, "distributions")}

    def _draw(self) -> Draw | None:
        return lambda: {name: found.sample(self._random) for name, found in self.distributions.items()}

    def _check(self, params: Mapping[str, Json]) -> None:
        if set(params) != set(self.distributions):
            wanted = ", ".join(self.distributions)
            raise InputError(f"a job of the RandomSearch {self.name} has the hyperparameters {wanted}, and no others.")


def from_record(name: str, scheduler: Mapping[str, Json], status: str, store: Store) -> Experiment:
    """The experiment that a record describes. Raises InputError for a scheduler of another version."""
    experiment: Experiment
    if not scheduler:
        experiment = ManualSearch(name, status)
    elif list(scheduler) == [_RANDOM] and isinstance(scheduler[_RANDOM], dict):
        found = {}
        for parameter, written in scheduler[_RANDOM].items():
            kind, arguments = next(iter(written.items())) if isinstance(written, dict) and written else ("", None)
            found[parameter] = random.distribution(kind, arguments, f"{name}: {parameter}")
        experiment = RandomSearch(name, found, status)
    else:
        raise InputError(f"experiment {name} has a scheduler that this exs does not know: {', '.join(scheduler)[:60]}.")
    experiment._store = store
    return experiment
