"""Directories that a node makes once and keeps for all its slots: unpacked capsules, Python environments.

Each has a lock file beside it: held shared by who uses the directory, exclusively by who makes or removes it. It holds
the size, and its time of change says when the directory was last used. A directory appears by a rename, so that one
that is there is whole, whatever was killed meanwhile.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from exs_worker.copies import remove
from exs_worker.launch import SpawnError

#: Seconds between two looks at a lock that another slot holds while it makes what we want.
_LOOK = 0.05
_LOCK, _NEW = ".lock", ".new-"


class Cache:
    """Directories below `root`, of at most `most` bytes; the ones not used for the longest time go first."""

    def __init__(self, root: Path, most: int) -> None:
        self._root = root
        self._most = most

    @contextmanager
    def use(self, name: str, make: Callable[[str], int], stopped: Callable[[], bool]) -> Iterator[str]:
        """The directory `name`, made by `make` if it is not there, and there as long as the block lasts.

        `make(path)` fills the new directory `path` and returns its size. Waits while another process makes it, unless
        `stopped`. Raises OSError, SpawnError, and what `make` raises.
        """
        self._root.mkdir(parents=True, exist_ok=True)
        path = str(self._root / name)
        lock = _locked(path + _LOCK, fcntl.LOCK_SH, stopped)
        try:
            if not os.path.isdir(path):
                os.close(lock)
                lock = _locked(path + _LOCK, fcntl.LOCK_EX, stopped)
                if not os.path.isdir(path):
                    self._make(name, lock, make)
                fcntl.flock(lock, fcntl.LOCK_SH)
            os.utime(lock)
            yield path
        finally:
            os.close(lock)

    def _make(self, name: str, lock: int, make: Callable[[str], int]) -> None:
        new = str(self._root / f"{_NEW}{name}")
        remove(new)  # of one that was killed
        os.mkdir(new, 0o700)
        try:
            size = make(new)
            os.truncate(lock, 0)
            os.pwrite(lock, str(size).encode(), 0)
            os.rename(new, self._root / name)
        except BaseException:
            remove(new)
            raise
        self.shrink(keep=name)

    def shrink(self, keep: str = "") -> None:
        """Remove what was not used for the longest time until `most` is kept; never what is in use, nor `keep`."""
        kept = 0
        found = []
        for path in self._root.glob(f"*{_LOCK}"):
            with contextlib.suppress(OSError, ValueError):
                size = int(path.read_bytes() or b"0")
                found.append((path.stat().st_mtime_ns, size, path))
        for _, size, path in sorted(found, reverse=True):
            kept += size
            if kept > self._most and path.name != keep + _LOCK and _remove_unused(path):
                kept -= size


def _locked(path: str, how: int, stopped: Callable[[], bool]) -> int:
    """A descriptor that holds the lock `path`. Raises SpawnError when `stopped` says so meanwhile."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(fd, how | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if stopped():
                        raise SpawnError("it was stopped while its code was brought here.") from None
                    time.sleep(_LOOK)
            if os.fstat(fd).st_nlink:
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # whoever had it removed it


def _remove_unused(lock: Path) -> bool:
    """Remove a directory that nobody uses and its lock; False if somebody does."""
    fd = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        remove(str(lock)[: -len(_LOCK)])
        lock.unlink()
        return True
    finally:
        os.close(fd)
