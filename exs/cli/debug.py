"""`exs run -d`: runner's debug mode. The first job alone, here, with its output on the screen; no queue, no Redis."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from exs.cli import session
from exs.errors import EXIT_INTERRUPTED, EXIT_JOB_FAILED, EXIT_OK, InputError
from exs.model import Claim, JobState, NewJob, Outcome
from exs.sweep.model import Sweep
from exs.view.when import duration

if TYPE_CHECKING:
    from exs_worker.attempt import Attempt
    from exs_worker.slotplan import SlotPlan

#: Seconds between two looks at the log.
_LOOK = 0.05
_CHUNK = 1 << 20


def run_first(sweep: Sweep, plan: SlotPlan) -> int:
    """Run the first job of `sweep` on `plan` through the same code as a worker; returns the exit code.

    Its stat.json is as before afterwards: a job that was only debugged counts neither as done nor as failed.
    """
    from exs_worker import proctree
    from exs_worker.attempt import Attempt
    from exs_worker.place import make_place

    job = next(sweep.jobs(), None)
    if job is None:
        raise InputError(f"{sweep.source} has no job to debug.")
    settings = session.settings()
    claim = claim_of(sweep, job)
    proctree.become_subreaper()
    place = make_place(session.host(), "debug", plan.devices, settings.timing, settings.limits)
    attempt = Attempt(claim, sweep.spec, place)
    stat = _Stat(sweep, claim)
    attempt.prepare()
    tee = Tee(attempt)
    tee.start()
    try:
        outcome = interruptible(attempt)
    finally:
        stat.restore()
        tee.finish()
    return _report(job.name, outcome)


def claim_of(sweep: Sweep, job: NewJob) -> Claim:
    """What a slot would be given."""
    from exs.store.push import new_id

    return Claim(
        job=new_id(),
        attempt=new_id(),
        number=1,
        experiment=sweep.name,
        index=0,
        name=job.name,
        params=job.params,
        point=job.point,
        spec="",
        commands=job.commands,
        force=True,
    )


def interruptible(
    attempt: Attempt, begin: Callable[[int], None] = lambda wake: None, end: Callable[[], None] = lambda: None
) -> Outcome:
    """Run it; Ctrl-C ends it as a cancel would, a second one at once. So do SIGTERM and a terminal that closes: in a
    session of its own, the job would run on without us.

    `begin` hears what to write to behind another `request_stop`, until `end` was called.
    """
    wake, interrupt = os.pipe()
    presses = 0

    def stop(number: int, frame: object) -> None:
        nonlocal presses
        presses += 1
        attempt.request_stop("cancel" if presses == 1 else "kill")
        os.write(interrupt, b".")

    nohup = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    numbers = (signal.SIGINT, signal.SIGTERM, *(() if nohup else (signal.SIGHUP,)))
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        begin(interrupt)
        return attempt.run(wake)
    finally:
        end()
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(wake)
        os.close(interrupt)


def _report(name: str, outcome: Outcome) -> int:
    """One line about how it went, and where its log is; returns the exit code."""
    detail = f": {outcome.detail}" if outcome.detail else ""
    session.note(f"{name}: {outcome.state.value} after {duration(outcome.seconds)}{detail}")
    if outcome.log:
        session.note(f"  log  {outcome.log}")
    if outcome.state is JobState.CANCELED:
        return EXIT_INTERRUPTED
    return EXIT_OK if outcome.state is JobState.DONE else EXIT_JOB_FAILED


class _Stat:
    """The stat.json that the job is going to find, to be put back as it was."""

    def __init__(self, sweep: Sweep, claim: Claim) -> None:
        from exs_worker import rundir
        from exs_worker.launch import BAD_JOB

        self._path: Path | None = None
        self._before: bytes | None = None
        try:
            cwd = rundir.working_directory(sweep.spec, "")
            self._path = Path(rundir.find(cwd, sweep.spec.output, claim, sweep.spec.job_dirs).files.stat)
            self._before = self._path.read_bytes()
        except FileNotFoundError:
            pass
        except BAD_JOB:  # the attempt will fail for the same reason, and say so
            self._path = None

    def restore(self) -> None:
        """Put it back."""
        if self._path is None:
            return
        if self._before is None:
            self._path.unlink(missing_ok=True)
        else:
            self._path.write_bytes(self._before)


class Tee(threading.Thread):
    """Copies the attempt's logs to standard output while they grow, one after the other, byte for byte."""

    def __init__(self, attempt: Attempt) -> None:
        super().__init__(daemon=True)
        self._paths = [Path(log) for log in attempt.logs]
        self._over = threading.Event()
        self._offset = 0

    def run(self) -> None:
        with contextlib.suppress(OSError):  # whoever reads it has gone, which `finish` tells the main thread
            while not self._over.wait(_LOOK):
                self._copy()

    def finish(self) -> None:
        """Copy what is left."""
        self._over.set()
        self.join()
        self._copy()

    def _copy(self) -> None:
        """Copy what is new. Where the next log exists, the one before it is complete."""
        while self._paths:
            complete = len(self._paths) > 1 and self._paths[1].exists()
            self._drain(self._paths[0])
            if not complete:
                return
            self._offset = 0
            del self._paths[0]

    def _drain(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                file.seek(self._offset)
                while data := file.read(_CHUNK):
                    self._offset += len(data)
                    sys.stdout.buffer.write(data)
        except FileNotFoundError:
            return
        sys.stdout.buffer.flush()
