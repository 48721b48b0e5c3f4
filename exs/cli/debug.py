"""`exs run -d`: runner's debug mode. The first job alone, here, with its output on the screen; no queue, no Redis."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from exs.cli import session
from exs.errors import EXIT_JOB_FAILED, EXIT_OK, InputError
from exs.model import Claim, JobState, Outcome
from exs.sweep.model import Sweep

if TYPE_CHECKING:
    from exs_worker.attempt import Attempt
    from exs_worker.slotplan import SlotPlan

_LOOK = 0.05


def run_first(sweep: Sweep, plan: SlotPlan) -> int:
    """Run the first job of `sweep` on `plan` through the same code as a worker; returns the exit code.

    Its stat.json is as before afterwards: a job that was only debugged counts neither as done nor as failed.
    """
    from exs.store.push import new_id
    from exs_worker import proctree
    from exs_worker.attempt import Attempt
    from exs_worker.place import make_place

    job = next(iter(sweep.jobs()), None)
    if job is None:
        raise InputError(f"{sweep.source} has no job to debug.")
    settings = session.settings()
    claim = Claim(
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
        created_at=0.0,
    )
    proctree.become_subreaper()
    place = make_place(session.host(), "debug", plan.devices, settings.timing, settings.limits)
    attempt = Attempt(claim, sweep.spec, place)
    wake, interrupt = os.pipe()
    attempt.prepare()
    kept = _Stat(attempt, sweep, job.name)
    tee = _Tee(attempt)
    tee.start()
    try:
        outcome = _interruptible(attempt, wake, interrupt)
    finally:
        tee.finish()
        kept.restore()
    if outcome.state is not JobState.DONE:
        session.note(f"{job.name}: {outcome.state.value} after {outcome.seconds:.1f} s: {outcome.detail}")
        return EXIT_JOB_FAILED
    session.note(f"{job.name}: DONE after {outcome.seconds:.1f} s. Log: {attempt.log}")
    return EXIT_OK


def _interruptible(attempt: Attempt, wake: int, interrupt: int) -> Outcome:
    """Run it; Ctrl-C ends it as a cancel would."""

    def stop(number: int, frame: object) -> None:
        attempt.request_stop("cancel")
        os.write(interrupt, b".")

    before = signal.signal(signal.SIGINT, stop)
    try:
        return attempt.run(wake)
    finally:
        signal.signal(signal.SIGINT, before)


class _Stat:
    """Puts stat.json back as it was."""

    def __init__(self, attempt: Attempt, sweep: Sweep, name: str) -> None:
        from exs.paths import RunDir

        self._path = RunDir(Path(attempt.directory), "" if sweep.spec.job_dirs else name).stat
        self._before = self._path.read_bytes() if attempt.directory and self._path.is_file() else None

    def restore(self) -> None:
        if self._before is not None:
            self._path.write_bytes(self._before)
        else:
            self._path.unlink(missing_ok=True)


class _Tee(threading.Thread):
    """Copies the attempt's logs to standard output while they grow, byte for byte."""

    def __init__(self, attempt: Attempt) -> None:
        super().__init__(daemon=True)
        self._attempt = attempt
        self._over = threading.Event()
        self._path = ""
        self._offset = 0

    def run(self) -> None:
        while not self._over.wait(_LOOK):
            self._copy()

    def finish(self) -> None:
        """Copy what is left."""
        self._over.set()
        self.join()
        self._copy()
        sys.stdout.buffer.flush()

    def _copy(self) -> None:
        path = self._attempt.log
        if self._path and path != self._path:
            self._drain(self._path)
            self._offset = 0
        self._path = path
        if path:
            self._drain(path)

    def _drain(self, path: str) -> None:
        try:
            with Path(path).open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except OSError:
            return
        self._offset += len(data)
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
