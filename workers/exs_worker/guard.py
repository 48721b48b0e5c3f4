"""What is left when a process that runs jobs without an agent is killed: a guard ends it, in a process of its own."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

from exs_worker import proctree
from exs_worker.place import WORKER_PID, WORKER_START
from exs_worker.proctree import Proc

#: What says that nothing is left.
_BYE = b"."


class Guard:
    """Forked by the process that it guards, before that is a subreaper and has threads or connections.

    It is no child of it, so that nobody takes it for what a job left behind, and leaves when that one has left.
    `cleared`: called in the guard when the process was killed and all that it had started is ended.
    """

    def __init__(self, grace: float, cleared: Callable[[], None]) -> None:
        own = proctree.read(os.getpid())
        guarded = own.proc if own else Proc(os.getpid(), 0)
        watched, self._end = os.pipe()
        pid = os.fork()
        if pid == 0:
            if os.fork():
                os._exit(0)
            try:
                os.close(self._end)
                _detach(watched)
                if _killed(watched):
                    proctree.end(jobs_of(guarded), grace)
                    cleared()
            finally:
                os._exit(0)
        os.close(watched)
        os.waitpid(pid, 0)

    def dismiss(self) -> None:
        """Nothing is left: the guard goes."""
        with contextlib.suppress(OSError):
            os.write(self._end, _BYE)
            os.close(self._end)


def jobs_of(worker: Proc) -> list[Proc]:
    """Processes that the job of this worker consists of, by their environment."""
    wanted = {f"{WORKER_PID}={worker.pid}".encode(), f"{WORKER_START}={worker.start}".encode()}
    found = []
    for procs in proctree.survivors().values():
        for proc in procs:
            with contextlib.suppress(OSError):
                if wanted <= set(Path(f"/proc/{proc.pid}/environ").read_bytes().split(b"\0")):
                    found.append(proc)
    return found


def _detach(keep: int) -> None:
    """Leave the terminal and the pipes of the guarded process: whoever reads them must see their end with it."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) != keep:
            with contextlib.suppress(OSError):
                os.close(int(name))


def _killed(watched: int) -> bool:
    """Wait for the end of the guarded process; True if it did not say that it leaves."""
    with contextlib.suppress(OSError):
        return os.read(watched, 1) != _BYE
    return True
