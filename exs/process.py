"""This process as others may look for it: which boot of which machine, which process, and is that one still there.

Where there is no /proc (macOS) a process is told by its pid alone, and a machine has no boot.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def boot_id() -> str:
    """Eight hex digits that change with every boot of the machine and every start of a container; "" if unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return ""
    return hashlib.blake2b(f"{boot}/{namespace}".encode(), digest_size=4).hexdigest()


def start_of(pid: int) -> int:
    """When the process was started, in clock ticks after boot; 0 if there is no such process, or none can tell."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return 0
    # The second field is the program's name in brackets, which may itself hold spaces and brackets.
    rest = text.rpartition(b")")[2].split()
    return int(rest[19]) if len(rest) > 19 and rest[0] not in (b"Z", b"X") else 0


def gone(pid: int, start: int) -> bool:
    """True when that process of this machine has certainly ended."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    found = start_of(pid)
    return bool(start) and os.path.exists(f"/proc/{pid}") and found != start
