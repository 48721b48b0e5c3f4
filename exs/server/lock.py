"""One lock per data directory, held by the command that starts the server and inherited by the server itself.

So the kernel knows, at every moment and after every kill -9, whether a server uses the data: a free lock
means that none does, whatever the socket and the pid file say.
"""

from __future__ import annotations

import fcntl
import os
import sys

from exs.paths import ServerFiles


def take(files: ServerFiles) -> int | None:
    """The lock as a descriptor to close or to hand on; None while another holds it."""
    descriptor = os.open(files.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if _locked(descriptor, fcntl.LOCK_EX):
        return descriptor
    os.close(descriptor)
    return None


def is_held(files: ServerFiles) -> bool:
    """True while a server runs or is being started."""
    try:
        descriptor = os.open(files.lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # Shared, so that two who look at the same time do not take each other for a server.
        return not _locked(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def holder(files: ServerFiles) -> int | None:
    """Process id of the server, only if that process surely holds the lock: a pid file alone may be stale."""
    if sys.platform != "linux":
        return None
    try:
        pid = int(files.pid.read_text(encoding="ascii"))
        mine = files.lock.stat()
        for name in os.listdir(f"/proc/{pid}/fd"):
            theirs = os.stat(f"/proc/{pid}/fd/{name}")
            if (theirs.st_dev, theirs.st_ino) == (mine.st_dev, mine.st_ino):
                return pid
    except (OSError, ValueError):
        return None
    return None


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
