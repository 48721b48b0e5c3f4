"""Disks that are small: a mount where that is permitted, else a limit on the size of files."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

#: Marks a form of a test that mounts something.
ROOT = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small disk")]


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[Path]:
    """A file system of that size (`3m`) at `path`, which is made; skips the test where that is not permitted."""
    path.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "exs-test", path], capture_output=True)
    if done.returncode:
        pytest.skip("mount is not permitted here")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def small_files(size: int) -> tuple[str, ...]:
    """Words in front of a command that keep it from making files larger than that, as a full disk would."""
    # Python ignores SIGXFSZ from its start, and what it turns into inherits that: a write fails instead of killing.
    code = "import os, resource, sys; n = int(sys.argv[1]); resource.setrlimit(resource.RLIMIT_FSIZE, (n, -1))"
    return ("python3", "-c", f"{code}; os.execvp(sys.argv[2], sys.argv[2:])", str(size))
