"""`exs worker`: one process per node that owns the slots. It starts them, restarts them, passes signals on,
and clears up after those that die. It runs no job itself and holds no lease.

The agent is a subreaper: whatever becomes its child without being a slot belonged to a slot that died, and is
killed with all below it within a second (F2, F3). When the agent dies, its slots finish their job and leave.
"""

from __future__ import annotations

import logging
import os
import secrets
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType

from exs.errors import RedisUnreachable
from exs.settings import Settings
from exs.store.store import Store
from exs_worker import janitor, proctree
from exs_worker.config import SlotConfig
from exs_worker.logserve import LogServer
from exs_worker.main import EXIT_TAKEN
from exs_worker.slotplan import SlotPlan
from exs_worker.spool import Spool

log = logging.getLogger("exs.worker")

#: A slot that ran at least this long is restarted at once; one that dies sooner waits, doubling ...
STABLE = 10.0
FIRST_WAIT = 0.5
#: ... up to this.
LONGEST_WAIT = 30.0
#: How often the agent looks at its children while one is being cleared up; otherwise a signal wakes it.
LOOK = 0.02


@dataclass(frozen=True)
class NodeConfig:
    """What one agent serves. `only`: one experiment alone. `workdir`: run every job there.

    `lifeline`: a descriptor whose end of file means stop. `quiet`: slots log only what goes wrong.
    """

    node: str
    boot: str
    pools: tuple[str, ...]
    plans: Sequence[SlotPlan]
    only: str = ""
    workdir: str = ""
    lifeline: int = -1
    quiet: bool = False


@dataclass
class _Seat:
    """A slot to keep filled, and the process in it."""

    plan: SlotPlan
    name: str = ""
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    wait: float = FIRST_WAIT
    due: float = 0.0


@dataclass
class Agent:
    """Keeps the slots of a node running until it is told to stop; `run` is the whole life."""

    store: Store
    settings: Settings
    config: NodeConfig
    spool: Spool
    environment: Mapping[str, str]
    _seats: list[_Seat] = field(default_factory=list)
    _dead: list[str] = field(default_factory=list)
    _stops: int = 0

    def run(self) -> int:
        """Start everything, serve until a signal says stop and every slot has left; returns the exit code."""
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._lifeline_read, self._lifeline_write = os.pipe2(os.O_CLOEXEC)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)  # its byte in the wake-up pipe is all we want
        proctree.become_subreaper()
        janitor.start_up(self.store, self.config.node, self.config.boot, self.spool)
        self._seats = [_Seat(plan) for plan in self.config.plans]
        logs = LogServer(self.store, self.config.node, self.config.workdir)
        logs.start()
        told = 0
        while True:
            if self._stops > told:
                told = self._stops
                self._pass_on()
            self._collect()
            clear = self._clear_up()
            self._fill_seats()
            if self._stops and not any(seat.process for seat in self._seats) and clear:
                logs.stop()
                return 0
            self._sleep(LOOK if not clear else self._until_due())

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stops += 1

    def _pass_on(self) -> None:
        """First stop: slots finish their jobs and leave. Each further one: they hand them back."""
        busy = [seat for seat in self._seats if seat.process]
        if self._stops == 1:
            log.info("stop: %d slots finish their jobs and leave; once more hands the jobs back", len(busy))
        else:
            log.info("stop now: %d slots hand their jobs back", len(busy))
        for seat in busy:
            if seat.process is not None:
                seat.process.send_signal(signal.SIGTERM)

    def _collect(self) -> None:
        """Notice slots that ended, and bury adopted children."""
        slots = {seat.process.pid: seat for seat in self._seats if seat.process}
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

    def _ended(self, seat: _Seat, code: int) -> None:
        seat.process = None
        ran = time.monotonic() - seat.started
        if code == 0:
            seat.wait = FIRST_WAIT
            if not self._stops:
                log.info("slot=%s left", seat.name)
        elif code == EXIT_TAKEN:
            seat.wait = max(seat.wait, 2.0)
        else:
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            log.error("slot=%s %s; its processes are ended, its job is put back", seat.name, how)
            self._dead.append(seat.name)
            seat.wait = FIRST_WAIT if ran > STABLE else min(seat.wait * 2, LONGEST_WAIT)
        seat.due = time.monotonic() + (0.0 if ran > STABLE else seat.wait)

    def _clear_up(self) -> bool:
        """End what dead slots left, then report them; False while something is left to do."""
        if janitor.end_orphans(seat.process.pid for seat in self._seats if seat.process):
            return False
        if self._dead:
            try:
                self.store.slot_dead(self._dead, f"its slot on {self.config.node} died")
            except RedisUnreachable as error:
                log.warning("cannot report dead slots: %s", error.message)
                self._sleep(self.settings.timing.reconnect)
                return False
            self._dead.clear()
        return True

    def _fill_seats(self) -> None:
        now = time.monotonic()
        for seat in self._seats:
            if seat.process is None and not self._stops and now >= seat.due:
                self._start(seat, now)

    def _start(self, seat: _Seat, now: float) -> None:
        config, plan = self.config, seat.plan
        seat.name = f"{config.node}:{plan.suffix}@{secrets.token_hex(2)}"
        word = SlotConfig(
            name=seat.name,
            node=config.node,
            boot=config.boot,
            pools=config.pools,
            devices=plan.devices,
            memory=plan.memory,
            locks=plan.locks,
            only=config.only,
            workdir=config.workdir,
            lifeline=self._lifeline_read,
            quiet=config.quiet,
        ).to_word()
        # -c would put the current directory first on the path: a user's own redis.py must not become ours.
        code = "import sys; sys.path[:1] = []; from exs_worker.main import main; main()"
        seat.process = subprocess.Popen(
            [sys.executable, "-c", code, word],
            stdin=subprocess.DEVNULL,
            env=dict(self.environment),
            start_new_session=True,
            pass_fds=(self._lifeline_read,),
        )
        seat.started = now

    def _until_due(self) -> float:
        waiting = [seat.due for seat in self._seats if seat.process is None and not self._stops]
        return max(LOOK, min(waiting) - time.monotonic()) if waiting else 60.0

    def _sleep(self, seconds: float) -> None:
        lifeline = [self.config.lifeline] if self.config.lifeline >= 0 and not self._stops else []
        ready, _, _ = select.select([self._wake_read, *lifeline], [], [], seconds)
        if self._wake_read in ready:
            os.read(self._wake_read, 4096)
        if lifeline and lifeline[0] in ready and not self._stops:
            self._stops = 1
