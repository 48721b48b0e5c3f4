"""The process tree of a job: finding all of it, signalling it safely, seeing it gone. Linux only.

A slot is a subreaper: whatever a job leaves behind, in whichever session, becomes the slot's child. So "the tree"
is everything below the slot, and it is gone when the slot has no child left. A bare pid is never signalled: pids
are reused, so the start time is compared while a pidfd holds the pid still.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

PR_SET_CHILD_SUBREAPER = 36
#: Pause between two looks at processes that are ending.
LOOK = 0.01


class Proc(NamedTuple):
    """One process, as identified for the life of the machine. `start`: clock ticks after boot."""

    pid: int
    start: int


class Stat(NamedTuple):
    """What /proc/PID/stat says of one process. `state`: one letter, Z is a zombie, D cannot be interrupted."""

    proc: Proc
    state: str
    parent: int
    group: int


def become_subreaper() -> None:
    """Make this process the one that adopts orphans below it. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def read(pid: int) -> Stat | None:
    """The process with this pid, zombie or not; None when there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The second field is the program's name in brackets, which may itself hold spaces and brackets.
    rest = text.rpartition(b")")[2].split()
    if len(rest) < 20:
        return None
    return Stat(Proc(pid, int(rest[19])), rest[0].decode("ascii"), int(rest[1]), int(rest[2]))


def alive(proc: Proc) -> bool:
    """True while the process runs; a zombie does not."""
    stat = read(proc.pid)
    return stat is not None and stat.proc == proc and stat.state not in "ZX"


def gone(proc: Proc) -> bool:
    """True when the process has certainly ended; False also where /proc does not show it to us (hidepid)."""
    stat = read(proc.pid)
    if stat is not None:
        return stat.proc != proc or stat.state in "ZX"
    try:
        os.kill(proc.pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return proc.pid <= 0  # no process but a group: what was recorded is no pid


def send(proc: Proc, signum: int) -> bool:
    """Signal exactly this process; False when it is gone, its pid has a new owner, or we may not."""
    try:
        fd = os.pidfd_open(proc.pid)
    except OSError:
        return False
    try:
        stat = read(proc.pid)
        if stat is None or stat.proc != proc:
            return False
        signal.pidfd_send_signal(fd, signum)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def children(pid: int) -> list[int]:
    """Pids of the direct children, zombies included; [] when the process is gone."""
    found: list[int] = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for thread in threads:
        try:
            found += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_bytes().split())
        except FileNotFoundError:
            if os.path.exists(f"/proc/{pid}/task/{thread}"):  # a kernel without CONFIG_PROC_CHILDREN
                return [stat.proc.pid for stat in _everything() if stat.parent == pid]
        except OSError:
            continue
    return found


def descendants(root: int) -> list[Stat]:
    """Everything that runs below `root`, without `root` and without zombies, parents first."""
    found: list[Stat] = []
    seen = {root}
    queue = children(root)
    for pid in queue:
        if pid in seen:
            continue
        seen.add(pid)
        stat = read(pid)
        if stat is None:
            continue
        if stat.state not in "ZX":
            found.append(stat)
        # A zombie leader can have threads, and so children, that live on.
        queue += children(pid)
    return found


def signal_tree(root: int, signum: int, group: int | None = None) -> int:
    """Signal everything below `root` once; returns how many processes were found.

    `group`: the job's process group, whose leader is not yet reaped. It is signalled as one, which leaves no gap
    for a fork; what has left the group is signalled one by one.
    """
    if group is not None:
        with contextlib.suppress(OSError):
            os.killpg(group, signum)
    signalled: set[Proc] = set()
    for _ in range(3):  # a process whose parent ends during the scan turns up below `root` in the next one
        fresh = [stat for stat in descendants(root) if stat.proc not in signalled]
        if not fresh:
            break
        for stat in fresh:
            signalled.add(stat.proc)
            if stat.group != group:
                send(stat.proc, signum)
    return len(signalled)


def reap() -> bool:
    """Collect every zombie among this process's children; True while there are others left.

    Costs one system call when nothing is left, so that it can follow every job.
    """
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True


def end(procs: Iterable[Proc], grace: float, stuck_after: float = 10.0) -> list[Proc]:
    """End processes and all that is below them: SIGTERM, `grace` seconds, SIGKILL; returns those that stay.

    Neither needs to be our child. Blocks for at most `grace + stuck_after` seconds.
    """
    began = time.monotonic()
    known = set(procs)
    termed: set[Proc] = set()
    while True:
        for proc in [p for p in known if alive(p)]:
            known.update(stat.proc for stat in descendants(proc.pid))
        known = {proc for proc in known if alive(proc)}
        waited = time.monotonic() - began
        if not known or waited > grace + stuck_after:
            return sorted(known)
        for proc in known:
            if waited >= grace:
                send(proc, signal.SIGKILL)
            elif proc not in termed:
                termed.add(proc)
                send(proc, signal.SIGTERM)
        time.sleep(LOOK)


def survivors(keep: Collection[str] = ()) -> dict[str, list[Proc]]:
    """Living processes by the `EXS_ATTEMPT` in their environment, but for the attempts in `keep`.

    Reads the environment of every process of this machine that we may read (measured: 0.7 ms per 100), so it is for
    the start of a slot and for the death of one, not for every job. This process and its ancestors are left out: a
    worker that was started inside a job does not end itself.
    """
    ours = set(line_up(os.getpid()))
    found: dict[str, list[Proc]] = {}
    for stat in _everything():
        if stat.proc.pid in ours or stat.state in "ZX":
            continue
        attempt = attempt_of(stat.proc.pid)
        if attempt and attempt not in keep:
            found.setdefault(attempt, []).append(stat.proc)
    return found


def attempt_of(pid: int) -> str:
    """The `EXS_ATTEMPT` with which a process was started; "" for none, or when we may not know."""
    try:
        text = b"\0" + Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return ""
    _, found, rest = text.partition(b"\0EXS_ATTEMPT=")
    return rest.partition(b"\0")[0].decode("utf-8", "replace") if found else ""


def line_up(pid: int) -> Iterator[int]:
    """A process and its ancestors, nearest first."""
    while pid > 0:
        yield pid
        stat = read(pid)
        pid = stat.parent if stat else 0


def _everything() -> Iterator[Stat]:
    for name in os.listdir("/proc"):
        if name.isdigit():
            stat = read(int(name))
            if stat is not None:
                yield stat
