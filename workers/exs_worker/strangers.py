"""Who else computes on a GPU: processes that no slot of exs started, with their owners."""

from __future__ import annotations

import os
import pwd
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from exs_worker import proctree

#: NVIDIA's service that computes for others: it holds each GPU that it shares, and is nobody's job.
_SERVICE = "nvidia-cuda-mps"


@dataclass(frozen=True)
class Stranger:
    """One process that is none of ours. `user`: its owner; `program`: the name of its executable."""

    pid: int
    user: str
    program: str

    def __str__(self) -> str:
        return f"process {self.pid} of {self.user} ({self.program})"


def strangers(pids: Iterable[int], slots: Collection[int]) -> list[Stranger]:
    """Those of `pids` that neither are below one of `slots` nor were started by a job of any slot of this user.

    A pid that this process cannot see, as from within a container, is nobody: it may as well be our own job under
    its number outside.
    """
    found = []
    for pid in sorted(set(pids)):
        line = list(proctree.line_up(pid))
        program = _program(pid)
        if not program or program.startswith(_SERVICE):
            continue
        if not set(line) & set(slots) and not any(map(proctree.attempt_of, line)):
            found.append(who(pid))
    return found


def who(pid: int) -> Stranger:
    """Whose process that is, as far as we may know."""
    return Stranger(pid, _owner(pid), _program(pid) or "gone")


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _owner(pid: int) -> str:
    try:
        uid = os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return "nobody"
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
