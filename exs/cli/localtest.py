"""`exs run --local --test`: does the first job of a sweep do what a queue asks of it? Here, without a queue or Redis.

It is run twice through the code of a worker: once to its end, or for as long as was said; and once more, going on from
its checkpoint, to be asked to stop. Only what could never work is a failure: a script need not tell anything.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from exs.cli import session
from exs.cli.debug import claim_of, interruptible
from exs.errors import EXIT_INTERRUPTED, EXIT_JOB_FAILED, EXIT_OK, InputError
from exs.model import Claim, JobState, Json, Outcome, Spec
from exs.sweep.model import Sweep
from exs.view.text import safe, safe_lines, without_secrets
from exs.view.when import duration

if TYPE_CHECKING:
    from exs.api.context import Wish
    from exs.capsule.pack import Capsule
    from exs.settings import Settings
    from exs_worker.attempt import Attempt
    from exs_worker.place import Place
    from exs_worker.slotplan import SlotPlan
    from exs_worker.workshop import Workshop

#: In the environment of the job: it may do one step of everything instead of a thousand.
MODE = "EXS_TEST_MODE"
#: Seconds after which a first run that goes on is asked to stop instead.
PATIENCE = 60.0
#: Seconds after which a second run is asked to stop; sooner if it says that it looks for that.
_WARM_UP = 2.0
_LOOK = 0.02
#: Of the output of what failed, so much is shown.
_TAIL_BYTES = 4096
_TAIL_LINES = 20


def run_test(sweep: Sweep, plan: SlotPlan, patience: float = PATIENCE, wish: Wish | None = None) -> int:
    """Test the first job of `sweep` on `plan`, saying stage by stage what was found; returns the exit code.

    `wish`: the code that it is to run in a copy of, as a node would; None for where it stands.
    """
    from exs_worker import proctree
    from exs_worker.place import make_place

    job = next(sweep.jobs(), None)
    if job is None:
        raise InputError(f"{sweep.source} has no job to test.")
    settings = session.settings()
    scratch = Path(tempfile.mkdtemp(prefix="exs-test-"))
    spec = replace(sweep.spec, output=str(scratch), env={**sweep.spec.env, MODE: "1"})
    proctree.become_subreaper()
    place = make_place(session.host(), "test", plan.devices, settings.timing, settings.limits)
    if wish is not None:
        from exs.api.code import packed

        found, capsule = packed(sweep, wish, settings)
        session.put([f"code: {found.files} files of {safe(found.root)}"])
        spec = replace(spec, capsule=capsule.name)
        place = replace(place, workshop=cache(lambda: _workshop(capsule, scratch, settings)))
    test = _Test(claim_of(sweep, job), spec, place)
    session.put([f"test {safe(without_secrets(job.name, job.params))} of {safe(sweep.name)}, in {scratch}"])
    try:
        code = test.run(patience)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    if code == EXIT_JOB_FAILED:
        session.put([f"its files are kept in {scratch}"])
    else:
        shutil.rmtree(scratch, ignore_errors=True)
    return code


def _workshop(capsule: Capsule, scratch: Path, settings: Settings) -> Workshop:
    from exs.paths import StateDir
    from exs_worker.workshop import Workshop

    return Workshop(StateDir(scratch / "state"), _JustPacked(capsule), settings.limits.capsule_cache, 0.1)


class _JustPacked:
    """A capsule that nobody has sent anywhere, for who unpacks it."""

    def __init__(self, capsule: Capsule) -> None:
        self._capsule = capsule

    def capsule(self, name: str) -> bytes:
        """Its manifest."""
        return self._capsule.manifest.text().encode()

    def chunks(self, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """These chunks, compressed."""
        from exs.capsule.chunks import compressed

        for name in names:
            yield name, compressed(self._capsule.chunks[name])


@dataclass
class _Ran:
    """One of the runs. `asked`: it was asked to stop, after so many seconds of its life; None if it never was."""

    attempt: Attempt
    outcome: Outcome
    started: bool
    asked: float | None
    took: float  #: seconds from there to its end


class _Test:
    """The stages. `failed` is set by each that fails."""

    def __init__(self, claim: Claim, spec: Spec, place: Place) -> None:
        self._claim = claim
        self._spec = spec
        self._place = place
        self.failed = False
        self._log = ""

    def run(self, patience: float) -> int:
        """Both runs, and the verdict."""
        first = self._attempt(self._claim, lambda watch: watch.age > patience)
        if self._interrupted(first):
            return EXIT_INTERRUPTED
        self._first(first)
        if first.asked is not None:
            self._stopping(first)
        elif not self.failed:
            from exs.store.push import new_id

            checkpoint = first.outcome.report.get("checkpoint") or {}
            again = replace(self._claim, attempt=new_id(), number=2, checkpoint=checkpoint, force=True)
            second = self._attempt(again, lambda watch: watch.looks or watch.age > _WARM_UP)
            if self._interrupted(second):
                return EXIT_INTERRUPTED
            self._stopping(second)
        if not self.failed:
            session.put(["passed"])
            return EXIT_OK
        session.put([*self._last_words(), "failed"])
        return EXIT_JOB_FAILED

    # ------------------------------------------------------------ stages

    def _first(self, ran: _Ran) -> None:
        outcome, told = ran.outcome, ran.outcome.report
        last = self._commands(ran)
        if not ran.started:
            return
        size = sum(os.path.getsize(log) for log in ran.attempt.logs if os.path.exists(log))
        self._say(True if size else None, "output seen", f"{size:,} bytes" if size else "it printed nothing")
        self._metrics(told, outcome.result)
        self._checkpoint(ran)
        report = ran.attempt.report
        if report is not None and report.problem:
            self._say(False, "report readable", report.problem)
        if ran.asked is not None:
            self._say(None, "exit code", f"it still ran after {duration(ran.asked)}; {MODE}=1 could make it shorter")
        else:
            done = outcome.state in (JobState.DONE, JobState.PRUNED)
            what = f"0 after {duration(outcome.seconds)}" if done else f"{last}{outcome.detail}"
            self._say(done, "exit code", what)

    def _commands(self, ran: _Ran) -> str:
        """Say of each command whether it started; returns the name of the last that did, where there are several."""
        typed, started, last = ran.attempt.typed, "command started", ""
        if not typed:
            self._say(False, started, ran.outcome.detail)
        for (name, words), log in zip(typed.items(), ran.attempt.logs, strict=True):
            label = f"{name}: " if len(typed) > 1 else ""
            if not os.path.exists(log):
                self._say(None, started, f"{label}not begun")
            elif not ran.started and log == ran.outcome.log:
                self._say(False, started, f"{label}{ran.outcome.detail}")
            else:
                last = label
                self._say(True, started, label + without_secrets(words, self._claim.params))
        return last

    def _metrics(self, told: Mapping[str, Json], result: Mapping[str, Json]) -> None:
        names = [*(told.get("metrics") or {}), *result]
        lacking = [name for name in self._spec.metrics if name not in names]
        if lacking:
            self._say(False, "metric reported", f"nothing in the output matches the pattern of {', '.join(lacking)}")
        else:
            shown = ", ".join(dict.fromkeys(names))
            self._say(True if names else None, "metric reported", safe(shown) or "none: exs.job.report(), or metrics:")

    def _checkpoint(self, ran: _Ran) -> None:
        from exs_worker.checkpoints import to_go_on_from

        kept = ran.outcome.report.get("checkpoint")
        if not kept:
            self._say(None, "checkpoint written", "none: interrupted, it would begin anew (exs.job.checkpoint())")
            return
        path, step = to_go_on_from(kept, ran.attempt.directory)
        problem = _unreadable(path) if path else "it is gone"
        at = "" if step is None else f" at step {step:g}"
        self._say(not problem, "checkpoint written and readable", problem or f"{safe(str(kept['path']))}{at}")

    def _stopping(self, ran: _Ran) -> None:
        """What it did when it was asked to stop."""
        outcome = ran.outcome
        if ran.asked is None:
            self._say(
                None if outcome.state is JobState.DONE else False,
                "stopped when asked",
                "it ended before it could be asked" if outcome.state is JobState.DONE else outcome.detail,
            )
            return
        grace = self._place.timing.grace if self._spec.grace is None else self._spec.grace
        heard = "it answered (ack)" if ran.attempt.acknowledged else f"by {self._spec.stop_signal}"
        killed = outcome.signal == 9 and ran.took >= grace
        if killed:
            why = f"it went on for {duration(grace)} (grace:) and was killed: look at exs.job.should_stop(), or end at"
            self._say(False, "stopped when asked", f"{why} {self._spec.stop_signal}")
        else:
            self._say(True, "stopped when asked", f"{heard}, {ran.took:.1f} s later")

    # ------------------------------------------------------------ running

    def _last_words(self) -> Iterator[str]:
        """The end of what the run printed last."""
        from exs_worker import plainfile

        with suppress(OSError):
            text = plainfile.read_end(self._log, _TAIL_BYTES)[0].decode("utf-8", "replace")
            yield from (f"  | {line}" for line in safe_lines(text).splitlines()[-_TAIL_LINES:])

    def _attempt(self, claim: Claim, due: _Due) -> _Ran:
        from exs_worker.attempt import Attempt

        attempt = Attempt(claim, self._spec, self._place)
        attempt.prepare()
        watch = _Watch(attempt, due)
        outcome = interruptible(attempt, watch.begin, watch.finish)
        started = watch.started or any(os.path.exists(log) for log in attempt.logs)
        spawned = started and not (outcome.failure is not None and outcome.failure.value == "spawn")
        self._log = outcome.log
        took = 0.0 if watch.asked_at is None else time.monotonic() - watch.asked_at
        asked = None if watch.asked_at is None or not outcome.requeue else watch.asked_at - watch.began
        return _Ran(attempt, outcome, spawned, asked, took)

    def _interrupted(self, ran: _Ran) -> bool:
        return ran.outcome.state is JobState.CANCELED

    def _say(self, good: bool | None, stage: str, found: str) -> None:
        """A line; None is neither good nor bad."""
        word = {True: "ok", False: "FAIL", None: "-"}[good]
        self.failed = self.failed or good is False
        session.put([f"  {word:<4}  {stage:<31}  {safe(found)}"])


class _Watch(threading.Thread):
    """Looks at a run while it goes on, and asks it to stop when `due` says so."""

    def __init__(self, attempt: Attempt, due: _Due) -> None:
        super().__init__(daemon=True)
        self.began = time.monotonic()
        self.asked_at: float | None = None
        self.started = False
        self._attempt = attempt
        self._due = due
        self._wake = -1
        self._over = threading.Event()

    @property
    def age(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.began

    @property
    def looks(self) -> bool:
        """True once the job has said that it looks whether it is to stop."""
        report = self._attempt.report
        if report is not None:
            report.look()
        return report is not None and report.ready

    def begin(self, wake: int) -> None:
        """Start looking; `wake` interrupts the run."""
        self._wake = wake
        self.start()

    def run(self) -> None:
        while not self._over.wait(_LOOK):
            self.started = self.started or any(os.path.exists(log) for log in self._attempt.logs)
            if self.started and self._due(self):
                self._attempt.request_stop("preempt")
                self.asked_at = time.monotonic()
                os.write(self._wake, b".")
                return

    def finish(self) -> None:
        """It is over."""
        self._over.set()
        if self.is_alive():
            self.join()


def _unreadable(path: str) -> str:
    """Why a checkpoint, a file or a directory of files, cannot be read; "" if it can."""
    place = Path(path)
    files = [entry for entry in place.rglob("*") if entry.is_file()] if place.is_dir() else [place]
    try:
        for file in files:
            with file.open("rb") as opened:
                while opened.read(1 << 20):
                    pass
    except OSError as error:
        return f"{error.filename or path} cannot be read: {error.strerror or error}"
    return "" if files else "it is an empty directory"


if TYPE_CHECKING:
    from collections.abc import Callable

    _Due = Callable[[_Watch], bool]
