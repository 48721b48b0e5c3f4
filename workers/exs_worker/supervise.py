"""Watching one running command: its output, its time, what others want of it, and the end of its whole tree."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from exs_worker import proctree
from exs_worker.logpump import LogPump
from exs_worker.outcome import Exit

#: Processes that a command leaves behind often end by themselves in this time, in seconds; they are not mentioned.
SETTLE = 0.1
#: What is left after that has this long to answer SIGTERM: the GPU waits.
LEFTOVER_GRACE = 2.0
#: A process that survives SIGKILL for so long hangs in the kernel.
STUCK_AFTER = 10.0
#: SIGKILL is repeated this often: a tree may still be forking.
KILL_AGAIN = 0.05
#: The longest sleep; poll() takes 24 days at most.
LONGEST = 3600.0

NOW = frozenset({"kill", "fenced"})  #: wants that leave no grace


@dataclass(frozen=True)
class Ended:
    """How a command and its tree ended.

    `stopped`: we signalled it, for what was wanted or, with `timed_out`, for its time. `leftovers`: processes that
    it left behind and that were ended. `stuck`: pids that even SIGKILL did not end.
    """

    exit: Exit
    stopped: bool
    timed_out: bool
    leftovers: int
    stuck: tuple[int, ...]


class Supervisor:
    """Sees one command through to the end of its last process. This process must have no other children.

    `child` is its pid, to be reaped here. `wants` returns "" or the strongest of `stops.STOPS` that is asked for;
    whoever changes its answer writes to `wake`. `deadline` is in monotonic seconds. `stop` is the signal that asks the
    tree to end; `tell` is called with each new want before it is sent. `heeds`: what the job says of that, "ready" to
    look by itself, "stop" when it has seen it, else ""; one that heeds it is spared the signal for half of `grace`.
    """

    def __init__(
        self,
        child: int,
        pump: LogPump,
        wants: Callable[[], str],
        wake: int,
        deadline: float | None,
        grace: float,
        stop: int = signal.SIGTERM,
        tell: Callable[[str], None] = lambda want: None,
        heeds: Callable[[], str] = lambda: "",
    ) -> None:
        self._child = child
        self._pump = pump
        self._wants = wants
        self._wake = wake
        self._deadline = deadline
        self._grace = grace
        self._stop = stop
        self._tell = tell
        self._heeds = heeds
        self._told = ""
        self._spared = False
        self._signal_at: float | None = None
        self._kill_at: float | None = None
        self._stopped = False
        self._timed_out = False

    def run(self) -> Ended:
        """Block until nothing of the command is left, or what is left cannot be ended."""
        try:
            return self._run(self._child)
        except BaseException:
            self._abandon()
            raise

    def _run(self, pid: int) -> Ended:
        pidfd = os.pidfd_open(pid)
        try:
            exited = self._watch(pidfd)
        finally:
            os.close(pidfd)
        if not exited:
            return Ended(Exit(), self._stopped, self._timed_out, 0, self._living())
        _, status, usage = os.wait4(pid, 0)
        leftovers, stuck = self._end_rest()
        return Ended(Exit.of(status, usage.ru_maxrss), self._stopped, self._timed_out, leftovers, stuck)

    def _abandon(self) -> None:
        """Leave no process behind an exception: no descriptor free, or an interrupt."""
        give_up = time.monotonic() + STUCK_AFTER
        while proctree.reap() and time.monotonic() < give_up:
            proctree.signal_tree(os.getpid(), signal.SIGKILL)
            time.sleep(KILL_AGAIN)

    def _watch(self, pidfd: int) -> bool:
        """Serve output and wishes until the main process has exited; False if it cannot be ended."""
        poller = select.poll()
        for fd in (pidfd, self._wake, self._pump.source):
            poller.register(fd, select.POLLIN)
        while True:
            wait = self._escalate()
            if wait < 0:
                return False
            for fd, event in poller.poll(int(min(wait, LONGEST) * 1000) + 1):
                if fd == pidfd:
                    return True
                if fd == self._pump.source:
                    if not self._pump.pump():
                        poller.unregister(fd)
                elif not event & select.POLLIN:
                    poller.unregister(fd)
                else:
                    with contextlib.suppress(BlockingIOError):
                        os.read(fd, 4096)

    def _escalate(self) -> float:
        """Send the signals that are due; returns seconds until the next look, below 0 when there is no hope left."""
        now = time.monotonic()
        want = self._wants()
        late = self._deadline is not None and now >= self._deadline
        if want not in NOW and want != self._told:
            self._told = want
            self._tell(want)
        if want in NOW:
            self._stopped = True
            self._kill_at = now if self._kill_at is None else min(self._kill_at, now)
        elif self._kill_at is None and (want or late):
            self._stopped = True
            self._timed_out = not want
            self._kill_at = now + self._grace
            self._spared = bool(want and self._heeds())
            self._signal_at = now + self._grace / 2 if self._spared else now
        if self._kill_at is None:
            return LONGEST if self._deadline is None else self._deadline - now
        if self._signal_at is not None and now >= self._signal_at:
            if not self._spared or self._heeds() != "stop":
                proctree.signal_tree(os.getpid(), self._stop, self._child)
            self._signal_at = None
        if now < self._kill_at:
            return (self._kill_at if self._signal_at is None else self._signal_at) - now
        proctree.signal_tree(os.getpid(), signal.SIGKILL, self._child)
        return KILL_AGAIN if now < self._kill_at + STUCK_AFTER else -1.0

    def _end_rest(self) -> tuple[int, tuple[int, ...]]:
        """End what the main process left; returns how many that were, and the pids that stay."""
        if not proctree.reap():
            return 0, ()
        settled = time.monotonic() + (0.0 if self._stopped else SETTLE)
        kill_at = self._kill_at or settled + min(self._grace, LEFTOVER_GRACE)
        told = self._stopped
        count = 0
        pause = 0.001
        while proctree.reap():
            self._pump.drain()
            now = time.monotonic()
            if self._wants() in NOW:
                kill_at = min(kill_at, now)
            if now >= kill_at + STUCK_AFTER:
                return count, self._living()
            if now >= kill_at:
                proctree.signal_tree(os.getpid(), signal.SIGKILL)
            elif now >= settled and not told:
                told = True
                count = proctree.signal_tree(os.getpid(), signal.SIGTERM)
            time.sleep(pause)
            pause = min(pause * 2, 0.02)
        return count, ()

    def _living(self) -> tuple[int, ...]:
        return tuple(stat.proc.pid for stat in proctree.descendants(os.getpid()))
