"""Python environments of projects on this node: each made once, by uv, for all jobs with the same lock file."""

from __future__ import annotations

import logging
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from exs import paths, settings
from exs.settings import Limits
from exs.tools import uv
from exs_worker.cache import Cache
from exs_worker.launch import SpawnError

log = logging.getLogger("exs.worker")


@contextmanager
def python_environment(
    project: str, env: Mapping[str, str], limits: Limits, stopped: Callable[[], bool]
) -> Iterator[dict[str, str]]:
    """`env` with the Python that the files in `project` describe in front of PATH; it is there as long as the block.

    Raises InputError with what uv says, SpawnError when `stopped`, OSError.
    """
    name = uv.digest(project)

    def make(path: str) -> int:
        began = time.monotonic()
        uv.build(project, path, env, stopped)
        if stopped():
            raise SpawnError("it was stopped while its Python environment was made.")
        size = _sealed(path)
        log.info("make python=%s bytes=%d in %.1f s", name, size, time.monotonic() - began)
        return size

    root = paths.state_dir(configured=settings.load().state_dir).environments
    with Cache(root, limits.capsule_cache).use(name, make, stopped) as path:
        yield {**env, "VIRTUAL_ENV": path, "PATH": f"{path}/bin:{env.get('PATH', os.defpath)}"}


def _sealed(path: str) -> int:
    """Take the right to write from all below `path`, which many jobs will use; its size in bytes."""
    size = 0
    for folder, _, files in os.walk(path):
        for name in files:
            info = os.lstat(f"{folder}/{name}")
            if stat.S_ISREG(info.st_mode):
                size += info.st_size
                os.chmod(f"{folder}/{name}", info.st_mode & 0o555)
        if folder != path:  # which is to be renamed
            os.chmod(folder, 0o555)
    return size
