"""`exs worker`: one process per node that owns the slots. It starts them, restarts them, passes signals on,
and clears up after those that die. It runs no job itself and holds no lease.

The agent is a subreaper: whatever becomes its child without being a slot belonged to a slot that died, and is
killed with all below it within a second (F2, F3). When the agent dies, its slots finish their job and leave.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import FrameType

from exs.errors import EXIT_REFUSED, ExsError, RedisUnreachable
from exs.model import Failure
from exs.settings import ONE_PRESS, Settings
from exs.store.store import Store
from exs_worker import janitor, proctree
from exs_worker.config import EXIT_GPU, EXIT_TAKEN, FINISH, HAND_BACK
from exs_worker.devices import DeviceError, open_nvml
from exs_worker.gpulock import GpuLock, borrower_of
from exs_worker.gpuwatch import GpuWatch, Unusable
from exs_worker.leftovers import Leftovers
from exs_worker.logserve import LogServer
from exs_worker.seat import FIRST_WAIT, NodeConfig, Seat
from exs_worker.spool import Spool
from exs_worker.terms import Tenure

log = logging.getLogger("exs.worker")

#: A slot that ran at least this long is restarted at once; one that dies sooner waits `FIRST_WAIT`, doubling ...
STABLE = 10.0
#: ... up to this.
LONGEST_WAIT = 30.0
#: Seconds between two looks at a GPU that another process has.
TAKEN_WAIT = 1.0
#: How often the agent looks at its children while one is being cleared up; otherwise a signal wakes it.
LOOK = 0.02
#: The node of `exs run` gives up when slots died so often, one after the other, before any of them had a job.
BARREN = 3


@dataclass
class Agent:
    """Keeps the slots of a node running until it is told to stop; `run` is the whole life."""

    store: Store
    settings: Settings
    config: NodeConfig
    spool: Spool
    environment: Mapping[str, str]
    _seats: list[Seat] = field(default_factory=list)
    _ended_slots: list[str] = field(default_factory=list)
    _dead: dict[str, tuple[Failure, str]] = field(default_factory=dict)
    _watch: GpuWatch | None = None
    _report_at: float = 0.0
    _barren: int = 0
    _stops: int = 0
    _told_at: float = -ONE_PRESS

    def run(self) -> int:
        """Start everything, serve until a signal says stop and every slot has left; returns the exit code."""
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._lifeline_read, self._lifeline_write = os.pipe2(os.O_CLOEXEC)
        self._listen()
        proctree.become_subreaper()
        janitor.start_up(self.store, self.config.node, self.config.boot, self.spool)
        self._seats = [Seat(plan, number) for number, plan in enumerate(self.config.plans)]
        self._tenure = Tenure(self.config.terms, len(self._seats))
        self._leftovers = Leftovers(self._seats)
        self._watch_gpus()
        logs = LogServer(self.store, self.config.node, self.config.workdir)
        logs.start()
        told = 0
        while True:
            self._stops = self._tenure.stops(self._stops)
            while told < self._stops:
                told += 1
                self._pass_on(told)
            self._collect()
            self._vacate()
            clear = self._leftovers.end()
            if clear:
                self._report()
            self._fill_seats()
            if self._stops and clear and not any(seat.process for seat in self._seats):
                logs.stop()
                if self._watch:
                    self._watch.stop()
                return EXIT_REFUSED if self._given_up else 0
            self._sleep(self._until_due() if clear else LOOK)

    def _watch_gpus(self) -> None:
        """Know what is wrong with the GPUs before the first slot starts, and from then on."""
        plans = [plan for plan in self.config.plans if plan.devices]
        try:
            nvml = open_nvml(self.environment) if plans else None
        except DeviceError:
            return  # pinned by index on trust; the user was told
        if nvml is not None:
            self._watch = GpuWatch(
                self.store, self.config.node, nvml, plans, self._slots, self._wake, self.settings.timing.gpu_check,
                self.settings.timing.gpu_silence, self.config.share_gpus,
            )  # fmt: skip
            self._watch.look()
            self._watch.start()

    def _slots(self) -> list[int]:
        return [process.pid for seat in self._seats if (process := seat.process)]

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_write, b".")

    def _unusable(self, seat: Seat) -> Unusable | None:
        return self._watch.unusable(seat.plan) if self._watch else None

    def _vacate(self) -> None:
        """Take slots from GPUs that failed, at once, and from those on which others compute, after their job."""
        for seat in self._seats:
            found = self._unusable(seat) if seat.process else None
            if seat.process is None or found is None:
                continue
            if found.broken and not seat.failed:
                seat.failed = f"GPU {','.join(seat.plan.devices)} of {self.config.node} failed: {found.why}"
                seat.signal(signal.SIGKILL)
            elif not found.broken:
                seat.leave()

    def _listen(self) -> None:
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, FINISH, HAND_BACK):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup means it
                signal.signal(number, self._on_signal)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)  # its byte in the wake-up pipe is all we want

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number == HAND_BACK or signal.Signals(number).name in self.config.terms.last_words.split():
            self._stops = max(self._stops, 2)
        elif number in (FINISH, signal.SIGHUP):  # a terminal that closes says so twice, with a shell in between
            self._stops = max(self._stops, 1)
        elif time.monotonic() - self._told_at >= ONE_PRESS:
            self._told_at = time.monotonic()
            self._stops += 1

    def _pass_on(self, stop: int) -> None:
        """First stop: slots finish their jobs and leave. Each further one: they hand them back."""
        slots = self._slots()
        few = len(slots) == 1
        if stop == 1:
            what = "1 slot finishes its job and leaves" if few else f"{len(slots)} slots finish their jobs and leave"
            log.info("stop: %s; once more hands back what runs", what)
        else:
            log.info("stop now: %s", "1 slot hands its job back" if few else f"{len(slots)} slots hand their jobs back")
        for seat in self._seats:
            seat.leave(HAND_BACK if stop > 1 else signal.SIGTERM)

    def _collect(self) -> None:
        """Notice slots that ended, and bury adopted children."""
        slots = {seat.process.pid: seat for seat in self._seats if seat.process}
        known = self._leftovers.owned()
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None:
                return
            seat = slots.pop(found.si_pid, None)
            if seat is None or seat.process is None:
                os.waitpid(found.si_pid, 0)
            else:
                self._ended(seat, seat.process.wait())
                seat.left = self._leftovers.found() - known

    def _ended(self, seat: Seat, code: int) -> None:
        seat.process = None
        self._tenure.left(seat.number)
        self._ended_slots.append(seat.name)
        ran = time.monotonic() - seat.started
        told, failed, seat.leaving, seat.failed = seat.leaving, seat.failed, False, ""
        if code == EXIT_TAKEN:
            seat.due = time.monotonic() + TAKEN_WAIT
            return
        if code == EXIT_GPU or failed:
            self._dead[seat.name] = Failure.GPU, failed or f"a GPU of its slot on {self.config.node} failed"
        elif code == 0 or (told and code in (-signal.SIGTERM, -HAND_BACK)):  # told before it could listen
            seat.wait = FIRST_WAIT
            if not told:
                log.info("slot=%s left", seat.name)
        else:
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            log.error("slot=%s %s; its processes are ended, its job is put back", seat.name, how)
            self._dead[seat.name] = Failure.LOST, f"its slot on {self.config.node} died"
            seat.wait = FIRST_WAIT if ran > STABLE else min(seat.wait * 2, LONGEST_WAIT)
        if ran > STABLE:
            self._barren = 0
        seat.due = time.monotonic() + (0.0 if ran > STABLE else seat.wait)

    def _report(self) -> None:
        """Deliver what slots that ended had finished, then say which of them died; again later if Redis is away."""
        if not self._ended_slots or time.monotonic() < self._report_at:
            return
        try:
            janitor.deliver(self.store, self.spool)
            if self._dead:
                janitor.tidy_copies(self.store)
                jobs = 0
                for failure, why in sorted(set(self._dead.values())):
                    slots = [name for name, how in self._dead.items() if how == (failure, why)]
                    jobs += self.store.slot_dead(slots, why, failure)
                self._barren = 0 if jobs else self._barren + len(self._dead)
        except RedisUnreachable as error:
            log.warning("cannot report slots that ended: %s", error.message)
            self._report_at = time.monotonic() + self.settings.timing.reconnect
            return
        except Exception:  # the slots that live must not lose their agent over it
            log.exception("cannot report slots that ended")
            self._report_at = time.monotonic() + LONGEST_WAIT
            return
        self._dead.clear()
        self._ended_slots.clear()
        if self._given_up and not self._stops:
            log.error("give up: slots of this machine die before they take a job, %d in a row", self._barren)
            self._stops = 1

    @property
    def _given_up(self) -> bool:
        """True for a node that only its own `exs run` needs, and that gets nowhere."""
        return self.config.lifeline >= 0 and self._barren >= BARREN * len(self._seats)

    def _fill_seats(self) -> None:
        now = time.monotonic()
        for seat in self._to_fill():
            if now >= seat.due and self._gpus_free(seat, now):
                self._fill(seat, now)

    def _to_fill(self) -> list[Seat]:
        """Seats that want a slot. The others wait for something that wakes us when it changes."""
        if self._stops:
            return []
        return [seat for seat in self._seats if not (seat.process or seat.left or self._unusable(seat))]

    def _fill(self, seat: Seat, now: float) -> None:
        errors = self._watch.errors(seat.plan) if self._watch else ()
        try:
            seat.start(self.config, self._lifeline_read, self.environment, errors, self._tenure.ledger)
        except OSError as error:  # a job has taken every process that we may have, or all memory: that ends with it
            seat.wait = min(seat.wait * 2, LONGEST_WAIT)
            seat.due = now + seat.wait
            log.error("cannot start a slot for %s: %s; try again in %g s", seat.plan.suffix, error.strerror, seat.wait)

    def _gpus_free(self, seat: Seat, now: float) -> bool:
        """Look before a process is started for it; what matters is that the slot locks them."""
        holders = (*(GpuLock(name).holder_pid() for name in seat.plan.locks), borrower_of(seat.plan.locks))
        holder = next((pid for pid in holders if pid is not None), None)
        if holder is not None and holder != seat.taken_by:
            log.warning("wait for %s: process %s has it", seat.plan.suffix, holder or "of another user")
        free = holder is None and (seat.taken_by is None or self._take_over())
        if free or holder is not None:
            seat.taken_by = holder
        seat.due = now if free else now + TAKEN_WAIT
        return free

    def _take_over(self) -> bool:
        """Clear up after the slot that had the GPU. When its agent died before it, nobody else does (F5)."""
        try:
            janitor.start_up(self.store, self.config.node, self.config.boot, self.spool)
        except ExsError as error:
            log.warning("cannot clear up after another slot: %s", error.message)
            return False
        return True

    def _until_due(self) -> float:
        waiting = [seat.due for seat in self._to_fill()]
        if self._ended_slots:
            waiting.append(self._report_at)
        if self._leftovers.any:
            waiting.append(time.monotonic() + TAKEN_WAIT)
        due = min(waiting) - time.monotonic() if waiting else 60.0
        return max(LOOK, min(due, self._tenure.wait(self._stops)))

    def _sleep(self, seconds: float) -> None:
        lifeline = [self.config.lifeline] if self.config.lifeline >= 0 and not self._stops else []
        ready, _, _ = select.select([self._wake_read, *lifeline], [], [], seconds)
        if self._wake_read in ready:
            os.read(self._wake_read, 4096)
        if lifeline and lifeline[0] in ready and not self._stops:
            self._stops = 1
