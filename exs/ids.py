"""Numbers of runs: each is given once, also where directories are deleted and several processes start at once."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from exs.paths import LogRoot


def take(root: LogRoot) -> int:
    """The next number; its directory is made. Raises OSError."""
    os.makedirs(root.root, exist_ok=True)
    with _counter(root) as counter:
        number = _last(root, counter) + 1
        while True:
            try:
                os.mkdir(root.run(number).root)
            except FileExistsError:  # made by somebody else, who has no counter
                number = max(number, _highest(root)) + 1
                continue
            _store(counter, number)
            return number


def claim(root: LogRoot, number: int) -> None:
    """Make the directory of a number that the user chose, unless it is there; no other run gets it. Raises OSError."""
    os.makedirs(root.run(number).root, exist_ok=True)
    with _counter(root) as counter:
        if number > _last(root, counter):
            _store(counter, number)


@contextmanager
def _counter(root: LogRoot) -> Iterator[int]:
    """The counter, locked. Where a file system has no locks, that `mkdir` succeeds once decides alone."""
    fd = os.open(root.counter, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        with suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield fd
    finally:
        os.close(fd)


def _last(root: LogRoot, counter: int) -> int:
    text = os.pread(counter, 32, 0).strip()
    return int(text) if text.isdigit() and len(text) < 19 else _highest(root)


def _store(counter: int, number: int) -> None:
    text = f"{number}\n".encode()
    os.pwrite(counter, text, 0)
    os.ftruncate(counter, len(text))


def _highest(root: LogRoot) -> int:
    """The highest number among the directories, 0 without one."""
    names = (entry.name for entry in os.scandir(root.root))
    return max((int(name) for name in names if name.isascii() and name.isdigit() and len(name) < 19), default=0)
