"""A GPU belongs to the one process that holds its lock: a Unix socket in the abstract name space of this machine.

The kernel frees the name when the process ends, however it ends, and no file is left behind.
"""

from __future__ import annotations

import socket
import struct

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
        ours = self._address(self._share)
        held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            held.bind(ours)
            # Somebody may ask who we are and leave: nobody accepts, so there must be room.
            held.listen(4096)
        except OSError:
            held.close()
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

    def _rivals(self) -> list[str]:
        return [self._address("")] if self._share else [self._address(str(share)) for share in range(SHARES)]

    def _address(self, share: str) -> str:
        return f"\0exs-gpu-{self._device}" + (f"-{share}" if share else "")


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
