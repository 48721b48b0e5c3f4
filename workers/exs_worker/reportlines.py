"""A file that a job appends to, read as it grows, a piece at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator

from exs_worker import plainfile

#: Bytes read at a time.
PIECE = 1 << 20
#: So much of what was read last is compared with the file: a job that wrote it anew has something else there.
KNOWN = 64


class Tail:
    """A growing file. `skip`: bytes at its start that are not to be read, as long as it begins with them."""

    def __init__(self, path: str, skip: bytes = b"") -> None:
        self.path = path
        self.left_out = 0  #: bytes
        self._skip = skip
        self._at = len(skip)
        self._known = skip[-KNOWN:]
        self._seen: tuple[int, int, int] = (0, 0, 0)

    def pieces(self, most: int = 0) -> Iterator[tuple[bytes, bool]]:
        """What was written since the last call, and whether the file begins anew with it. Raises OSError.

        A file that is not there costs one system call, and so does one that is as it was. With `most`, that one is
        looked into, since a file that was written anew within a tick of the clock may look the same; and of what is
        unread only the last `most` bytes are read, those before them are counted as `left_out`.
        """
        try:
            info = os.stat(self.path, follow_symlinks=False)
        except FileNotFoundError:
            return
        seen = info.st_ino, info.st_size, info.st_mtime_ns
        if seen == self._seen and not most:
            return
        fd = plainfile.open_read(self.path)
        try:
            anew = not self._same(fd)
            if anew:
                self._at, self._known = 0, b""
                if self._skip and os.pread(fd, len(self._skip), 0) == self._skip:
                    self._at = len(self._skip)
            if most and info.st_size - self._at > most:
                self.left_out += info.st_size - self._at - most
                self._at = info.st_size - most
            while data := os.pread(fd, PIECE, self._at):
                self._at += len(data)
                self._known = data[-KNOWN:] if len(data) >= KNOWN else (self._known + data)[-KNOWN:]
                yield data, anew
                anew = False
        finally:
            os.close(fd)
        self._seen = seen

    def _same(self, fd: int) -> bool:
        start = self._at - len(self._known)
        return os.pread(fd, len(self._known), start) == self._known
