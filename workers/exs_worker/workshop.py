"""The code of jobs on this node: each capsule is unpacked once, each attempt has its own copy, removed after it."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from exs.capsule.chunks import Manifest, manifest_from
from exs.capsule.unpack import unpack
from exs.errors import OtherSchema, RedisUnreachable
from exs.paths import StateDir
from exs_worker.cache import Cache
from exs_worker.copies import Copier, remove
from exs_worker.launch import SpawnError

log = logging.getLogger("exs.worker")

#: Bytes that a file takes beside its content, about.
_FILE = 4096
_LOCK = ".lock"
#: Manifests kept per slot.
_MANIFESTS = 16
_Found = TypeVar("_Found")


class Source(Protocol):
    """Where capsules come from: the Store, or one that was just packed."""

    def capsule(self, name: str) -> bytes:
        """The manifest."""

    def chunks(self, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """These chunks, compressed."""


@dataclass(frozen=True)
class Copy:
    """The working copy of one attempt. `lock` says that the attempt's slot lives."""

    path: str
    lock: int

    def drop(self) -> None:
        """Remove it."""
        remove(self.path)
        with contextlib.suppress(OSError):
            os.unlink(self.path + _LOCK)
        os.close(self.lock)


class Workshop:
    """What a slot needs to give its attempts their code. `most`: bytes of unpacked capsules that the node keeps;
    `pause`: seconds between two tries while Redis is away."""

    def __init__(self, state: StateDir, source: Source, most: int, pause: float) -> None:
        self._work = state.work
        self._cache = Cache(state.capsules, most)
        self._source = source
        self._pause = pause
        self._copier = Copier()
        self._manifests: dict[str, Manifest] = {}

    def copy(self, capsule: str, attempt: str, stopped: Callable[[], bool]) -> Copy:
        """A copy of a capsule for an attempt alone.

        Waits while Redis is away, unless `stopped`. Raises ExsError, SpawnError and OSError.
        """
        manifest = self._patiently(lambda: self._manifest(capsule), stopped)

        def fetch(path: str) -> int:
            self._patiently(lambda: self._unpack(manifest, path), stopped)
            return manifest.bytes + manifest.files * _FILE

        with self._cache.use(manifest.tree, fetch, stopped) as tree:
            self._work.mkdir(parents=True, exist_ok=True)
            path = str(self._work / attempt)
            copy = Copy(path, _new_lock(path + _LOCK))
            try:
                remove(path)
                self._copier.copy(tree, path)
            except BaseException:
                copy.drop()
                raise
        return copy

    def _manifest(self, capsule: str) -> Manifest:
        if capsule not in self._manifests:
            if len(self._manifests) >= _MANIFESTS:
                self._manifests.clear()
            self._manifests[capsule] = manifest_from(self._source.capsule(capsule), capsule)
        return self._manifests[capsule]

    def _unpack(self, manifest: Manifest, path: str) -> None:
        for name in os.listdir(path):  # of a try that Redis broke off
            remove(f"{path}/{name}")
        began = time.monotonic()
        unpack(self._source.chunks(manifest.chunks), path)
        took = time.monotonic() - began
        size = f"files={manifest.files} bytes={manifest.bytes}"
        log.info("unpack capsule=%s %s in %.1f s", manifest.tree[:12], size, took)

    def _patiently(self, do: Callable[[], _Found], stopped: Callable[[], bool]) -> _Found:
        """What `do` returns, tried until Redis answers."""
        while True:
            try:
                return do()
            except OtherSchema:
                raise
            except RedisUnreachable as error:
                log.warning("wait for Redis to bring the code of a job: %s", error.message)
            if stopped():
                raise SpawnError("it was stopped while its code was brought here.")
            time.sleep(self._pause)


def tidy(state: StateDir) -> None:
    """Remove the copies of attempts whose slot no longer lives."""
    for lock in state.work.glob(f"*{_LOCK}") if state.work.is_dir() else ():
        with contextlib.suppress(OSError):
            fd = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(fd)
            else:
                Copy(str(lock)[: -len(_LOCK)], fd).drop()


def _new_lock(path: str) -> int:
    """A lock file that is held as long as this process lives, or the descriptor."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd
