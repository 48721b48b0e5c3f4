"""Whether a run that says that it runs still does: what a killed process wrote last stays in its `info.yaml`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from exs.process import boot_id, gone

#: MLXP's words for a run. STOPPED is ours: it was asked to stop, saved what it had, and can go on from there.
STARTING, RUNNING, COMPLETE, FAILED, STOPPED = "STARTING", "RUNNING", "COMPLETE", "FAILED", "STOPPED"
UNFINISHED = (STARTING, RUNNING)
_SAYS_SO = re.compile(rf"^status: (?:{'|'.join(UNFINISHED)})$", re.MULTILINE)
#: Bytes of an `info.yaml`.
_LARGEST = 1 << 20

#: The key of `info.yaml` under which a run says which process it is: `boot`, `started`, `locked`, and of what job.
MARK = "exs"


def status_of(info: Mapping[str, Any], lock: str) -> str:
    """What a run's `info.yaml` says, but FAILED where its process has ended without another word.

    On the machine of the run its process is looked for, elsewhere the lock that it holds (`LogDir.lock`). Where
    neither can be told, as for MLXP's own runs, what the file says stands.
    """
    said = str(info.get("status", ""))
    mark = info.get(MARK)
    if said not in UNFINISHED or not isinstance(mark, Mapping):
        return said
    pid, started = info.get("process_id"), mark.get("started")
    if isinstance(pid, int) and isinstance(started, int) and mark.get("boot") == boot_id() != "":
        return FAILED if gone(pid, started) else said
    return FAILED if mark.get("locked") is True and _free(lock) else said


def settle(info: str, lock: str) -> None:
    """Have the `info.yaml` of a run whose process has ended say FAILED, too, for whoever reads it without us.

    Under the lock of the run, so that nobody else is at it, and only where we may write: nothing is raised.
    """
    import fcntl

    temporary = f"{info}.{os.getpid()}"
    try:
        with open(lock, "rb+") as held, open(info, encoding="utf-8") as file:  # noqa: PTH123
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            said = file.read(_LARGEST)
            settled = _SAYS_SO.sub(f"status: {FAILED}", said, count=1)
            if settled == said or len(said) == _LARGEST:
                return
            with open(temporary, "x", encoding="utf-8") as new:  # noqa: PTH123
                new.write(settled)
            os.replace(temporary, info)
    except (OSError, ValueError):
        if os.path.lexists(temporary):
            os.unlink(temporary)


def _free(path: str) -> bool:
    """Whether nobody holds the lock; False where that cannot be told."""
    import fcntl  # no part of Python on every system

    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True
