"""A job of a pull experiment, as Schedy's client had it."""

from __future__ import annotations

import traceback
from types import TracebackType
from typing import TYPE_CHECKING, Any

from exs.errors import ExsError, InputError, NotFound, Refused, UnsafeUpdateError
from exs.model import Failure, JobState, Outcome
from exs.rows import JobRow
from exs.values import mapping

if TYPE_CHECKING:
    from exs.compat.schedy.experiments import Experiment
    from exs.pull import Held


class Job:
    """A job. `hyperparameters` and `results` are plain dicts of its own; what is changed in them is stored by `put`.

    As a context manager it is a job that `next_job` gave out: left as it should be it is DONE, left by an exception
    it is CRASHED, with the results that were there, and the exception goes on.
    """

    QUEUED = JobState.QUEUED.value
    RUNNING = JobState.RUNNING.value
    DONE = JobState.DONE.value
    CRASHED = JobState.CRASHED.value
    PRUNED = JobState.PRUNED.value

    def __init__(self, experiment: Experiment, row: JobRow, etag: str, held: Held | None = None) -> None:
        self.experiment = experiment
        self.job_id = row.id
        self.status: str = row.state.value
        self.hyperparameters: dict[str, Any] = dict(row.params)
        self.results: dict[str, Any] = dict(row.result)
        self.etag = etag
        self._stored = dict(row.params)
        self._held = held
        self._detail = ""
        self._tail = ""

    @property
    def id(self) -> str:
        """`job_id`."""
        return self.job_id

    def __repr__(self) -> str:
        return f"Job({self.experiment.name!r}, {self.job_id!r}, {self.status}, {self.hyperparameters})"

    def should_stop(self) -> bool:
        """True when somebody canceled this job, or its lease was lost and its results no longer count."""
        return self._held is not None and (self._held.lost or bool(self._held.want))

    def put(self, safe: bool = True) -> None:
        """Store status, hyperparameters and results.

        Raises UnsafeUpdateError where somebody else changed the job since it was read, and changes nothing then.
        `safe=False` overwrites; only a job that somebody else holds by now cannot be written by who held it before.
        """
        state = self._state()
        params, results = mapping(self.hyperparameters, "hyperparameters"), mapping(self.results, "results")
        held = self._held
        if held is None or state is JobState.RUNNING or params != self._stored:
            self._write(JobState.RUNNING if held else state, safe, params, results)
        if held is not None and state is not JobState.RUNNING:
            self._end(held, state, results)

    def delete(self, ensure: bool = True) -> None:
        """Remove the job. Raises UnsafeUpdateError if it is not there any more, with `ensure=False` not."""
        store = self.experiment.store
        if self._held is not None:
            self._held.give_back("deleted by its holder")
            self._held = None
        counts = store.remove([self.job_id])
        if counts["running"]:
            raise Refused(f"job {self.job_id} is held by somebody: it is not removed.", f"exs cancel {self.job_id}")
        if ensure and counts["missing"]:
            raise UnsafeUpdateError(f"Job {self.job_id} is not there any more.")

    def __enter__(self) -> Job:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._held is None:
            return
        if error is None:
            if self.status == self.RUNNING:
                self.status = self.DONE
            self.put()
            return
        self.status = self.CRASHED
        self._detail = "".join(traceback.format_exception_only(error)).strip().rsplit("\n", 1)[-1]
        self._tail = "".join(traceback.format_exception(error))
        try:
            self.put()
        except ExsError as other:
            # The exception of the job goes on; the lease ends by itself where this could not be said.
            error.__context__ = error.__context__ or other

    def _state(self) -> JobState:
        try:
            return JobState(self.status)
        except ValueError:
            words = ", ".join((self.QUEUED, self.RUNNING, self.DONE, self.CRASHED, self.PRUNED))
            raise InputError(f"{str(self.status)[:60]!a} is no status of a job.", f"There are: {words}.") from None

    def _write(self, state: JobState, safe: bool, params: dict[str, Any], results: dict[str, Any]) -> None:
        attempt = self._held.claim.attempt if self._held else ""
        store, etag = self.experiment.store, self.etag if safe else ""

        def write() -> str | None:
            return store.put(self.job_id, etag, attempt, state, params, results)

        try:
            found = self._held.patiently(write) if self._held else write()
        except NotFound:
            raise UnsafeUpdateError(f"Job {self.job_id} was removed.") from None
        if found is None:
            raise self._unsafe()
        self.etag, self._stored = found, params

    def _end(self, held: Held, state: JobState, results: dict[str, Any]) -> None:
        """Hand the job over in its last state, once."""
        store = self.experiment.store
        if state is JobState.QUEUED:
            ours = held.give_back("given back by its holder")
        else:
            crashed = state is JobState.CRASHED
            outcome = Outcome(
                state,
                Failure.ERROR if crashed else None,
                self._detail[:500],
                seconds=held.seconds,
                result=results,
                tail=self._tail[-store.settings.limits.tail_bytes :],
            )
            ours = held.finish(outcome)
        self._held = None
        if not ours:
            raise self._unsafe()
        try:
            row, self.etag = store.job_and_etag(self.job_id)
            self.status = row.state.value
        except ExsError:
            pass  # it is stored; who writes to it once more hears that it was changed

    def _unsafe(self) -> UnsafeUpdateError:
        return UnsafeUpdateError(
            f"Job {self.job_id} was changed by somebody else since it was read, or has another holder; "
            "nothing was stored."
        )
