"""Files that a job can reach, opened so that it cannot lead us elsewhere: no symbolic link, no FIFO, no device."""

from __future__ import annotations

import errno
import os
import stat

_SAFE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def create(path: str) -> int:
    """A new file, open for writing; an existing one is FileExistsError. Raises OSError."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)


def append(path: str, data: bytes) -> None:
    """Add to a file, made if need be. Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | _SAFE, 0o666)
    try:
        write_all(fd, data)
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes) -> None:
    """Write all of it. Raises OSError."""
    while data:
        data = data[os.write(fd, data) :]


def open_read(path: str) -> int:
    """A plain file, open for reading. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | _SAFE)
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise OSError(errno.EINVAL, "not a regular file", path)


def read_end(path: str, most: int) -> tuple[bytes, bool]:
    """The last `most` bytes of a file, and whether that is all of it. Raises OSError."""
    fd = open_read(path)
    try:
        start = max(0, os.fstat(fd).st_size - most)
        data = b""
        while len(data) < most and (piece := os.pread(fd, most - len(data), start + len(data))):
            data += piece
        return data, start == 0
    finally:
        os.close(fd)
