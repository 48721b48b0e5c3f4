"""A GPU belongs to the one process that holds its lock: a Unix socket in the abstract name space of this machine.

The kernel frees the name when the process ends, however it ends, and no file is left behind.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable

#: Shares of one GPU (`--per-gpu`) that a lock on the whole of it looks for.
SHARES = 64


class GpuLock:
    """The lock of one device (`name` is its UUID or index), or of one share of it (`name/share`).

    A whole device and a share of it exclude each other; two shares do not.
    """

    def __init__(self, name: str) -> None:
        self._device, _, self._share = name.partition("/")
        self._socket: socket.socket | None = None

    def acquire(self) -> bool:
        """Take the lock; False when another process, or another lock of this one, has it or a part of it."""
        held = _bound(self._address(self._share))
        if held is None:
            return False
        # Bound first, looked after: of a whole and a share that come together, one at least sees the other.
        if any(_owner(address) is not None for address in self._rivals()):
            held.close()
            return False
        self._socket = held
        return True

    def release(self) -> None:
        """Give the lock back."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def holder_pid(self) -> int | None:
        """Pid of the process that keeps us from this device, 0 if it cannot be told, None if there is none."""
        for address in (self._address(self._share), *self._rivals()):
            pid = _owner(address)
            if pid is not None:
                return pid
        return None

    def owner_pid(self) -> int | None:
        """Pid of the process that has just this device or share; 0 and None as in `holder_pid`."""
        return _owner(self._address(self._share))

    def _rivals(self) -> list[str]:
        return [self._address("")] if self._share else [self._address(str(share)) for share in range(SHARES)]

    def _address(self, share: str) -> str:
        return f"\0exs-gpu-{self._device}" + (f"-{share}" if share else "")


class Loan:
    """The GPUs of other slots, while a job of this one runs on them: what Redis may have forgotten, the kernel knows.

    A slot that starts on such a GPU, or whose job was not there when it looked, waits until the loan has ended; it ends
    with this process at the latest.
    """

    def __init__(self) -> None:
        self._held: list[socket.socket] = []

    def take(self, lock: str, pid: int) -> bool:
        """Borrow the GPU of that lock from the process that holds it; False when another one holds or borrows it."""
        held = _bound(_loan_of(lock))
        if held is None:
            return False
        # Bound first, looked after, as with locks: of us and a lender that is started anew, one sees the other.
        # One that was asked thousands of times has no room for more askers, and cannot tell whose it is any more.
        if GpuLock(lock).owner_pid() not in (pid, 0):
            held.close()
            return False
        self._held.append(held)
        return True

    def end(self) -> None:
        """Give all of them back."""
        while self._held:
            self._held.pop().close()


def borrower_of(locks: Iterable[str]) -> int | None:
    """Pid of a process that has borrowed one of these GPUs, 0 if it cannot be told, None if there is none."""
    owners = (_owner(_loan_of(lock)) for lock in locks)
    return next((pid for pid in owners if pid is not None), None)


def _loan_of(lock: str) -> str:
    return f"\0exs-gpu-{lock}-loan"


def _bound(address: str) -> socket.socket | None:
    held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        held.bind(address)
        # Somebody may ask who we are and leave: nobody accepts, so there must be room.
        held.listen(4096)
    except OSError:
        held.close()
        return None
    return held


def _owner(address: str) -> int | None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asker:
        asker.setblocking(False)
        try:
            asker.connect(address)
        except ConnectionRefusedError:
            return None
        except OSError:
            return 0
        pid, _, _ = struct.unpack("3i", asker.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return int(pid)
