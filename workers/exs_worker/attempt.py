"""One attempt of one job: prepare, run, outcome. Knows no Redis; the slot and the local test mode both call it."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace

from exs.model import Claim, Failure, JobState, Json, Outcome, Spec
from exs_worker import control, launch, plainfile
from exs_worker.control import stop_signal
from exs_worker.judgement import judged
from exs_worker.launch import BAD_JOB, explain
from exs_worker.logpump import LogPump
from exs_worker.metrics import Scanner
from exs_worker.outcome import Exit, device_memory, failure_of, signal_name
from exs_worker.place import Place
from exs_worker.prepare import Command, Prepared, prepare
from exs_worker.report import Report
from exs_worker.resultsblock import ResultsBlock
from exs_worker.stops import PLANNED, WORDS, Stops
from exs_worker.supervise import Ended, Supervisor

#: Seconds in which a slot is told what killed its job, where that was a warning of a batch scheduler to all.
TOLD = 2.0
#: Bytes of the end of a log in which the cause of a failure on a GPU is looked for.
LAST_WORDS = 32 * 1024


@dataclass(frozen=True)
class _Ran:
    """How one command went. `oom_kills`: the kernel's, meanwhile. `dropped`: bytes of output that were not kept."""

    ended: Ended
    recent: bytes
    dropped: int
    oom_kills: int


class Attempt:
    """One execution of one job: `prepare`, then `run`, in the main thread of a process without other children.

    `directory`, and `log` of the command that runs or ran last, are absolute paths for whoever reads meanwhile.
    `bad_block`: why a block of results that it printed could not be read, "" if it could.
    `stuck` holds the pids that could not be ended: while one of them lives, its GPU must not be used.
    `stops`: what was asked of it, see `request_stop`.
    """

    def __init__(self, claim: Claim, spec: Spec, place: Place) -> None:
        self.claim = claim
        self.directory = ""
        self.log = ""
        self.stuck: tuple[int, ...] = ()
        self.bad_block = ""
        self.stops = Stops(kept=spec.on_lost == "keep")
        self._spec = spec
        self._place = place
        self._prepared: Prepared | None = None
        self._code = contextlib.ExitStack()
        self._problem = "the attempt was not prepared."
        self._notes: list[str] = []
        self._hits: dict[int, str] = {}
        self._max_rss = 0
        self._dropped = 0

    @property
    def logs(self) -> list[str]:
        """The log of each command that it runs, in order; one that has not started has no file yet."""
        return [command.log for command in self._prepared.commands] if self._prepared else []

    @property
    def typed(self) -> dict[str, str]:
        """Name of each command that it runs -> its words as a person would type them, in order."""
        return {command.name: command.rendered.typed for command in self._prepared.commands} if self._prepared else {}

    @property
    def report(self) -> Report | None:
        """What the job tells of itself; None before `prepare`."""
        return self._prepared.report if self._prepared else None

    @property
    def acknowledged(self) -> bool:
        """True once the job has said `{"ack": "stop"}`: it ends because it was asked to."""
        return self._prepared is not None and self._prepared.report.acknowledged

    def request_stop(self, kind: str) -> None:
        """Ask for the end of the attempt, from any thread or signal handler; then write to the `wake` of `run`.

        "kill": SIGKILL; "fenced": SIGKILL, unless the sweep keeps what was lost, and the outcome is void; all others: a
        line in `$EXS_CONTROL`, the stop signal, grace, SIGKILL.
        Raises ValueError for another word.
        """
        self.stops.ask(kind)

    def prepare(self) -> None:
        """Make the run directory, choose what runs, bring its code; what makes that impossible, `run` reports."""
        try:
            prepared = prepare(self.claim, self._spec, self._place)
            self.directory = prepared.directory.files.root
            if (self._spec.capsule or self._spec.python) and prepared.commands:
                from exs_worker import code

                entered = code.enter(prepared, self.claim, self._spec, self._place, lambda: bool(self.stops.want()))
                prepared = self._code.enter_context(entered)
            self._prepared = prepared
        except BAD_JOB as error:
            self._problem = explain(error)

    def run(self, wake: int) -> Outcome:
        """Run the commands in order, stopping at the first failure; returns how the attempt ended.

        `wake`: a descriptor that becomes readable after `request_stop`. Nothing that the job does raises.
        """
        try:
            return self._run_prepared(wake)
        finally:
            self._code.close()

    def _run_prepared(self, wake: int) -> Outcome:
        began = time.monotonic()
        prepared = self._prepared
        if prepared is None and self.stops.want():
            return self._stopped("before it began", Exit())
        if prepared is None:
            return judged(self._outcome(JobState.CRASHED, self._problem, Failure.SPAWN), self._spec, {})
        if not prepared.commands:
            outcome = self._outcome(JobState.DONE, "skipped: done before")
        else:
            outcome = self._run_all(prepared, wake, began)
        result: dict[str, Json] = {}
        told = prepared.report.whole()
        if not self.stops.void:
            result = prepared.report.settle()
            if prepared.report.problem:
                self._notes.append(f"report not readable: {prepared.report.problem}")
        else:
            told = {}
        if outcome.state is JobState.CRASHED:
            ids = (self.claim.job, self.claim.attempt)
            outcome = judged(outcome, self._spec, self._hits, ids)
        return replace(
            outcome,
            detail="; ".join(filter(None, (outcome.detail, *self._notes))),
            seconds=time.monotonic() - began,
            result=result,
            report=told,
            max_rss=self._max_rss,
            log_dropped=self._dropped,
        )

    def _run_all(self, prepared: Prepared, wake: int, began: float) -> Outcome:
        deadline = None if self._spec.timeout is None else began + self._spec.timeout
        outcome = self._outcome(JobState.DONE)
        for command in prepared.commands:
            if self.stops.want():
                outcome = self._stopped("before its next command" if self.log else "before it began", Exit())
                break
            self.log = command.log
            try:
                ran = self._run_one(prepared, command, wake, deadline)
            except BAD_JOB as error:
                outcome = self._outcome(JobState.CRASHED, explain(error), Failure.SPAWN)
            else:
                self._dropped += ran.dropped
                self._max_rss = max(self._max_rss, ran.ended.exit.max_rss)
                prepared.report.look(final=True)
                outcome = self._judge(ran)
            if not self.stops.void:
                self._note_end(prepared, command.name, outcome)
            if outcome.state is not JobState.DONE:
                break
        return outcome

    def _run_one(self, prepared: Prepared, command: Command, wake: int, deadline: float | None) -> _Ran:
        """Run one command to the end of its tree. Raises what `launch.BAD_JOB` lists if it cannot be started."""
        limits, spec, oom = self._place.limits, self._spec, self._place.oom
        kills = oom.count()
        prepared.report.ready = False  # the command before it said so
        report, block = prepared.report, ResultsBlock(limits.result_bytes)
        patterns = [policy["pattern"] for policy in spec.log_policies]
        looks = Scanner(spec.metrics, patterns, report.point) if spec.metrics or patterns else contextlib.nullcontext()
        with looks as scanner:
            listen = (scanner.feed, block.feed) if scanner else (block.feed,)
            file = plainfile.create(command.log)
            pump = LogPump(file, limits.log_bytes, limits.log_tail_bytes, limits.tail_bytes, listen)
            try:
                env = {**prepared.env, **command.rendered.env}
                child = launch.spawn(command.rendered.argv, env, prepared.cwd, pump.writer)
                pump.close_writer()
                grace = self._place.timing.grace if spec.grace is None else spec.grace
                stop, want = stop_signal(spec.stop_signal), self.stops.want
                ended = Supervisor(child, pump, want, wake, deadline, grace, stop, self._tell, self._heeds).run()
            finally:
                pump.close()
            if scanner:
                scanner.finish()
                report.matched |= scanner.values
                self._hits |= scanner.hits
                slow = [f"metric {name}" for name in scanner.dropped]
                slow += [f"log policy {spec.log_policies[at]['pattern']}" for at in scanner.slow]
                self._notes += [f"{what} given up: its expression is too slow" for what in slow]
        block.finish()
        report.matched |= block.values
        if block.problem:
            self.bad_block = block.problem
            self._notes.append(f"its RESULTS block is not readable: {block.problem}")
        return _Ran(ended, pump.recent, pump.dropped, 0 if ended.exit.code == 0 else oom.count() - kills)

    def _note_end(self, prepared: Prepared, command: str, outcome: Outcome) -> None:
        if outcome.requeue:
            return
        gpu = ",".join(self._place.devices)
        try:
            code = 0 if outcome.state is JobState.DONE else 1
            prepared.directory.set_stat(command, code, gpu, self.claim.attempt)
        except OSError as error:  # a full disk is no reason to call the job failed
            self._notes.append(f"stat.json not written: {error.strerror}")

    def _judge(self, ran: _Ran) -> Outcome:
        ended = ran.ended
        if ended.leftovers:
            plural = "process" if ended.leftovers == 1 else "processes"
            self._notes.append(f"ended {ended.leftovers} {plural} that it left behind")
        if ended.stuck:
            self.stuck += ended.stuck
            self._notes.append(f"stuck: SIGKILL does not end {', '.join(map(str, ended.stuck))}")
        want = self.stops.want()
        if ended.timed_out and want in ("", *PLANNED):
            detail = f"ran longer than its timeout of {self._spec.timeout:g} s"
            outcome = self._outcome(JobState.CRASHED, detail, Failure.TIMEOUT, ended.exit)
        elif self._swept(ended) or (ended.stopped and not self._finished(ended, want)):
            outcome = self._stopped(_manner(ended.exit), ended.exit)
        else:
            recent = self._last_words(ran)
            failure, detail = failure_of(ended.exit, recent, ran.oom_kills)
            state = JobState.CRASHED if failure else JobState.DONE
            outcome = self._outcome(state, detail, failure, ended.exit)
            if failure is Failure.OOM and not ran.oom_kills and self._place.devices:
                outcome = replace(outcome, device_memory=device_memory(recent))
        if outcome.state is JobState.DONE:
            return outcome
        return replace(outcome, tail=ran.recent.decode("utf-8", "replace"))

    def _swept(self, ended: Ended) -> bool:
        """Whether a batch scheduler ended it with all of its allocation, and its slot was told to hand it back.

        The signal goes to every process of a step, whatever its session (measured with Slurm 22.05), so that a job may
        be dead before its slot hears of it from the agent: that is waited for.
        """
        if not self._place.warnings or ended.stopped or ended.exit.code == 0:
            return False
        number = ended.exit.signal or (ended.exit.code or 0) - 128  # as a shell says it of its last command
        give_up = time.monotonic() + (TOLD if number in self._place.warnings else 0.0)
        while not self.stops.want() and time.monotonic() < give_up:
            time.sleep(0.01)
        return bool(self.stops.want())

    def _finished(self, ended: Ended, want: str) -> bool:
        """Whether a command that was told to stop has done its work instead: exit 0, and it did not say it stops."""
        planned = want in PLANNED and want != "requeue" and ended.exit.code == 0
        return planned and not self.acknowledged

    def _tell(self, want: str) -> None:
        """Say in `$EXS_CONTROL` what is wanted, before the signal comes."""
        if self._prepared is not None:
            control.tell(self._prepared.env["EXS_CONTROL"], want)

    def _heeds(self) -> str:
        """What the job says of what it was told: "stop" that it stops, "ready" that it looks for it."""
        report = self.report
        if report is None or self._spec.stop_signal != "SIGTERM":
            return ""
        report.look()
        return "stop" if report.acknowledged else "ready" if report.ready else ""

    def _last_words(self, ran: _Ran) -> bytes:
        """The end of the output in which a failure is looked for: JAX says why before it lists all its buffers."""
        if ran.ended.exit.code == 0 or not self._place.devices:
            return ran.recent
        try:
            return plainfile.read_end(self.log, LAST_WORDS)[0] or ran.recent
        except OSError:
            return ran.recent

    def _stopped(self, manner: str, end: Exit) -> Outcome:
        want = self.stops.want()
        back = want in PLANNED
        detail = f"{WORDS[want]} ({manner})"
        return replace(self._outcome(JobState.QUEUED if back else JobState.CANCELED, detail, None, end), requeue=back)

    def _outcome(
        self, state: JobState, detail: str = "", failure: Failure | None = None, end: Exit | None = None
    ) -> Outcome:
        return Outcome(
            state,
            failure,
            detail,
            exit_code=end.code if end else None,
            signal=end.signal if end else None,
            directory=self.directory,
            log=self.log,
        )


def _manner(end: Exit) -> str:
    if end.signal is not None:
        return f"ended by {signal_name(end.signal)}"
    return "still there" if end.code is None else f"exit code {end.code}"
