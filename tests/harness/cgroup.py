"""Control groups of version 1 or 2, where root may make them."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from slotprocess import wait_until

BASE = Path("/sys/fs/cgroup")
#: Controller -> the file of its limit in version 1, and in version 2.
_LIMITS = {"memory": ("memory.limit_in_bytes", "memory.max"), "pids": ("pids.max", "pids.max")}


class Cgroup:
    """One group; processes are put into it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def prefix(self) -> tuple[str, ...]:
        """Words in front of a command that is to run in it."""
        return ("sh", "-c", f'echo $$ > {self.path}/cgroup.procs && exec "$@"', "sh")

    def add(self, *pids: int) -> None:
        for pid in pids:
            (self.path / "cgroup.procs").write_text(str(pid))

    def set(self, name: str, value: str) -> None:
        (self.path / name).write_text(value)

    def pids(self) -> list[int]:
        return [int(word) for word in (self.path / "cgroup.procs").read_text().split()]


@contextmanager
def cgroup(controller: str, limit: int | None = None) -> Iterator[Cgroup]:
    """A group of that controller, with a limit; skips the test where that is not permitted."""
    old = (BASE / controller).is_dir()
    path = (BASE / controller if old else BASE) / f"exs-test-{secrets.token_hex(4)}"
    if os.geteuid() != 0:
        pytest.skip("control groups need root")
    try:
        path.mkdir()
    except OSError as error:
        pytest.skip(f"no control group of {controller}: {error}")
    group = Cgroup(path)
    try:
        if limit is not None:
            name = _LIMITS[controller][0 if old else 1]
            if not (path / name).exists():
                pytest.skip(f"no controller {controller} here")
            group.set(name, str(limit))
        yield group
    finally:
        wait_until(lambda: not group.pids(), f"the end of all in {path}")
        path.rmdir()
