"""Which node this is: its boot, its running agents, and how to stop them without Redis."""

from __future__ import annotations

import os
import time
from pathlib import Path

from exs.errors import InputError
from exs.process import boot_id
from exs_worker import proctree
from exs_worker.config import FINISH, HAND_BACK
from exs_worker.proctree import Proc


class Agents:
    """The agents of this user on this machine: one file each, which is named after its pid and holds its start time.

    A container that shares the directory has pids of its own, so the name ends in the `boot_id` by which they count.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._boot = boot_id()

    def register(self) -> Path:
        """Note this process; the file is removed when it leaves, and ignored when it has died. Raises InputError."""
        stat = proctree.read(os.getpid())
        path = self._root / f"{os.getpid()}@{self._boot}"
        try:
            self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.write_text(str(stat.proc.start if stat else 0), encoding="ascii")
        except OSError as error:
            raise InputError(
                f"cannot write {path}, by which exs worker stop finds this worker: {error.strerror}.",
                "Set EXS_STATE_DIR to a directory that can be written.",
            ) from None
        return path

    def running(self) -> list[Proc]:
        """Agents that live; files of dead ones are removed."""
        found = []
        for path in self._root.glob(f"*@{self._boot}"):
            try:
                proc = Proc(int(path.name.partition("@")[0]), int(path.read_text(encoding="ascii")))
            except (ValueError, OSError):
                continue
            if proctree.alive(proc):
                found.append(proc)
            else:
                path.unlink(missing_ok=True)
        return found

    def stop(self, now: bool, patience: float) -> tuple[int, list[Proc]]:
        """Tell every agent to finish and leave, with `now` to hand its jobs back; wait at most `patience` seconds.

        Returns how many were told, and those that still run. To tell them once more changes nothing.
        """
        told = self.running()
        for proc in told:
            proctree.send(proc, HAND_BACK if now else FINISH)
        deadline = time.monotonic() + patience
        while (left := [proc for proc in told if proctree.alive(proc)]) and time.monotonic() < deadline:
            time.sleep(0.05)
        return len(told), left
