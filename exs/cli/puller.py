"""What `exs pull` does: take a job, run the command, hand over its results; until none is left.

A guard beside it ends the command and puts the job back at once when the process is killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass, replace
from types import FrameType
from typing import TYPE_CHECKING

from exs.cli import session
from exs.cli.debug import Tee
from exs.cli.pull import filled
from exs.errors import EXIT_INTERRUPTED, EXIT_JOB_FAILED, EXIT_OK, ExsError
from exs.model import Failure, JobState, Outcome, Spec
from exs.settings import Settings

if TYPE_CHECKING:
    from exs.pull import Held
    from exs_worker.attempt import Attempt
    from exs_worker.place import Place


@dataclass(frozen=True)
class Order:
    """What was asked for on the command line; `words` is the command with its tokens."""

    name: str
    words: list[str]
    output: str
    once: bool = False
    wait: float = 0.0
    ignore_errors: bool = False
    allow_empty: bool = False


def run(order: Order, settings: Settings) -> int:
    """Run jobs until none is left; the exit code. Raises NotFound, Refused, RedisUnreachable."""
    from exs_worker import proctree
    from exs_worker.guard import Guard

    guard = Guard(settings.timing.grace, lambda: _put_back(settings))
    proctree.become_subreaper()
    try:
        return _Runner(order, settings).run()
    finally:
        guard.dismiss()


def _put_back(settings: Settings) -> None:
    """In the guard: the job of the killed process is queued again."""
    from exs.pull import Puller
    from exs.store.store import open_store

    with contextlib.suppress(ExsError):
        Puller(open_store(settings.redis_url, settings), settings).put_back_lost()


class _Runner:
    """Takes jobs and runs them, one after the other, in the main thread."""

    def __init__(self, order: Order, settings: Settings) -> None:
        from exs.compat.schedy.core import SchedyDB
        from exs_worker.place import make_place

        self._order = order
        self._settings = settings
        self._experiment = SchedyDB(config_override={"root": settings.redis_url}).get_experiment(order.name)
        self._place: Place = make_place(session.host(), "pull", (), settings.timing, settings.limits)
        self._wake_read, self._wake_write = os.pipe()
        self._attempt: Attempt | None = None
        self._waiting = False
        self._presses = 0
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._stop)

    def run(self) -> int:
        """Until no job is left, one crashed, or a signal says to leave; the exit code."""
        failed = False
        while not self._presses:
            held = self._take()
            if held is None:
                if not self._presses:
                    session.note(f"no job left for experiment {self._order.name}.")
                break
            outcome = self._run_one(held)
            self._deliver(held, outcome)
            if outcome.state is JobState.CRASHED:
                failed = True
                session.note(f"job {held.claim.job} crashed: {outcome.detail}")
            if self._order.once or (failed and not self._order.ignore_errors):
                break
        if self._presses:
            return EXIT_INTERRUPTED
        return EXIT_JOB_FAILED if failed and not self._order.ignore_errors else EXIT_OK

    def _take(self) -> Held | None:
        self._waiting = True
        try:
            return None if self._presses else self._experiment.take(self._order.wait)
        except KeyboardInterrupt:
            return None
        finally:
            self._waiting = False

    def _run_one(self, held: Held) -> Outcome:
        from exs_worker.attempt import Attempt

        # Anew in any case: where there were no results, a command that ended well has not done its work.
        claim = replace(held.claim, name=held.claim.job, force=True)
        try:
            words = filled(self._order.words, claim.experiment, claim.job, dict(claim.params))
        except ExsError as error:
            return Outcome(JobState.CRASHED, Failure.SPAWN, error.message)
        spec = Spec({"run": {"argv": [[word] for word in words]}}, os.getcwd(), output=self._order.output)
        attempt = self._attempt = Attempt(claim, spec, self._place)
        held.told = lambda: self._tell(held, attempt)
        if held.want or held.lost or self._presses:
            held.told()
        attempt.prepare()
        held.directory, held.log = attempt.directory, next(iter(attempt.logs), "")
        tee = Tee(attempt)
        tee.start()
        try:
            outcome = attempt.run(self._wake_read)
        finally:
            self._attempt = None
            tee.finish()
        if self._presses and outcome.state is not JobState.DONE:
            return replace(outcome, state=JobState.QUEUED, failure=None, requeue=True)
        return outcome if outcome.state is not JobState.DONE else self._with_results(attempt, outcome)

    def _with_results(self, attempt: Attempt, outcome: Outcome) -> Outcome:
        """A job whose results could not be read has crashed, as one without any, unless that is allowed."""
        if attempt.bad_block:
            return replace(outcome, state=JobState.CRASHED, failure=Failure.ERROR)
        if outcome.result or self._order.allow_empty:
            return outcome
        detail = "no results: it printed no --- RESULTS --- and wrote none to $EXS_REPORT"
        return replace(outcome, state=JobState.CRASHED, failure=Failure.ERROR, detail=detail)

    def _deliver(self, held: Held, outcome: Outcome) -> None:
        if not held.finish(outcome):
            session.note(f"job {held.claim.job} has another holder by now: what it gave here does not count.")

    def _tell(self, held: Held, attempt: Attempt) -> None:
        attempt.request_stop("fenced" if held.lost else held.want or "requeue")
        with contextlib.suppress(OSError):
            os.write(self._wake_write, b".")

    def _stop(self, number: int, frame: FrameType | None) -> None:
        """First signal: end the job politely and give it back; a second one: at once."""
        self._presses += 1
        if self._attempt is not None:
            self._attempt.request_stop("requeue" if self._presses == 1 else "kill")
            os.write(self._wake_write, b".")
        elif self._waiting:
            raise KeyboardInterrupt
