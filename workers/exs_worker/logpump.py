"""From a job's pipe to its log file: byte for byte, capped, and never in the job's way.

A log straight on the job's descriptor would kill the job when the disk is full (measured); so the slot reads a pipe,
which it always empties, and what cannot be kept is counted. The file is the first `head` bytes, then, if more came,
one line that says how many are missing, then the last `tail` bytes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Sequence

#: A pipe holds 64 KiB by default. Reads start at that size ...
SMALL = 64 * 1024
#: ... and the pipe and the reads grow to this once a job fills it: the most that an unprivileged process may ask for.
LARGE = 1 << 20


class LogPump:
    """Moves one command's output from a pipe into a file that is open for writing; owns all three descriptors.

    `recent_bytes`: how much of the end is kept for `recent`. Those who `listen` see every chunk that passes.
    """

    def __init__(
        self,
        file: int,
        head: int,
        tail: int,
        recent_bytes: int = 2048,
        listen: Sequence[Callable[[bytes], None]] = (),
    ) -> None:
        self._file = file
        self._head_room = head
        self._tail_bytes = tail
        self._recent_bytes = recent_bytes
        self._listen = listen
        self._chunk = SMALL
        self._kept = 0
        self._unsaid = 0  # bytes lost since the last byte kept, not yet told by a line in the file
        self._line_open = False  # the last byte kept was not a newline
        self._ring = bytearray()
        self._overflow = 0  # bytes that came after the head was full
        self.total = 0  #: bytes that the job wrote
        self.recent = b""  #: the end of the output
        self.source, self.writer = os.pipe()
        os.set_blocking(self.source, False)

    @property
    def dropped(self) -> int:
        """Bytes of output that are not in the file; final after `close`."""
        return self.total - self._kept

    def close_writer(self) -> None:
        """Close our copy of the job's end, once the job has its own."""
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1

    def pump(self) -> bool:
        """Move what one read gives; False once every process that could write has closed the pipe."""
        data = self._read()
        if data:
            self._take(data)
        return data != b""

    def drain(self) -> None:
        """Move what is in the pipe now, without waiting for those who still hold it open."""
        limit = self.total + 2 * LARGE  # a daemon that writes for ever must not keep us here
        while self.total < limit and (data := self._read()):
            self._take(data)

    def close(self) -> None:
        """Drain, write the end of the output after the line that says what is missing, close everything."""
        self.drain()
        if self._ring:
            end = bytes(self._ring[-self._tail_bytes :])
            self._unsaid += self._overflow - len(end)
            self._store(end)
        if self._unsaid:
            self._say_gap()
        self.close_writer()
        os.close(self.source)
        with contextlib.suppress(OSError):  # NFS reports a full disk here; it is counted or it is lost
            os.close(self._file)

    def _read(self) -> bytes | None:
        try:
            data = os.read(self.source, self._chunk)
        except BlockingIOError:
            return None
        if len(data) == SMALL == self._chunk:
            self._chunk = LARGE
            with contextlib.suppress(OSError):  # over the user's pipe quota it stays as it is
                fcntl.fcntl(self.source, fcntl.F_SETPIPE_SZ, LARGE)
        return data

    def _take(self, data: bytes) -> None:
        self.total += len(data)
        size = self._recent_bytes
        self.recent = data[-size:] if len(data) >= size else (self.recent + data)[-size:]
        for listener in self._listen:
            listener(data)
        room = self._head_room - self._kept
        if not self._overflow and room > 0:
            part = data[:room] if len(data) > room else data
            self._store(part)
            data = data[len(part) :]
        if data:
            self._overflow += len(data)
            self._ring += data[-self._tail_bytes :]
            if len(self._ring) > 2 * self._tail_bytes:
                del self._ring[: -self._tail_bytes]

    def _store(self, data: bytes) -> None:
        """Write to the file what it takes; the rest is lost and counted."""
        done = self._write(data) if not self._unsaid or self._say_gap() else 0
        if done:
            self._kept += done
            self._line_open = data[done - 1] != 0x0A
        self._unsaid += len(data) - done

    def _say_gap(self) -> bool:
        line = b"%s... %d bytes not kept ...\n" % (b"\n" if self._line_open else b"", self._unsaid)
        if self._write(line) < len(line):
            return False
        self._unsaid = 0
        self._line_open = False
        return True

    def _write(self, data: bytes) -> int:
        done = 0
        while done < len(data):
            try:
                done += os.write(self._file, data[done:] if done else data)
            except OSError:
                break
        return done
