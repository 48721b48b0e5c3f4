"""The code as pushed, in Redis: chunks that capsules share, each capsule a list of them, kept while it is needed.

A capsule is there whole or not at all: its manifest is written last, by a script that has seen every chunk. What a push
that was killed half way left, and what no experiment names any more, is taken away by `sweep_capsules`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

from exs.errors import ExsError, NotFound, RedisRefused
from exs.store import keys, records
from exs.store.base import Base
from exs.store.connect import sentences

#: Chunks that one script looks for: 0.3 ms of Redis.
_ASKED = 500
#: Chunks in one answer: at most some MiB of memory on either side.
_AT_ONCE = 8


class Capsules(Base):
    """Both ends: the laptop puts, nodes take."""

    def put_capsule(
        self,
        name: str,
        manifest: str,
        chunks: Mapping[str, bytes],
        experiment: str,
        compressed: Callable[[bytes], bytes] = bytes,
    ) -> int:
        """Keep the capsule `name` for an experiment that is about to be pushed; how many bytes had to be sent.

        `chunks`: all of them by name; only those that are not there travel, each `compressed` first. Safe to repeat.
        What Redis has no memory for leaves nothing.
        """
        names = list(chunks)
        sent = 0
        missing = [sha for sha, there in zip(names, self._have(names), strict=True) if not there]
        while True:

            def calls(wanted: Sequence[str] = tuple(missing)) -> Iterator[tuple[str, bytes]]:
                nonlocal sent
                for sha in wanted:
                    data = compressed(chunks[sha])
                    sent += len(data)
                    yield sha, data

            try:
                for _ in self._stream("capsule_put", calls()):
                    pass
            except RedisRefused:
                with suppress(ExsError):
                    self.drop_chunks(missing)
                raise
            # One that was there may have gone with the last capsule that had it.
            missing = [names[at] for at in self._call("capsule_commit", name, manifest, experiment, *names)]
            if not missing:
                return sent

    def drop_chunks(self, names: Sequence[str]) -> None:
        """Remove those of these chunks that no capsule has: they would fill a full Redis until they are swept."""
        for start in range(0, len(names), _ASKED):
            self._call("capsule_drop", *names[start : start + _ASKED])

    def keep_capsule(self, name: str, manifest: str, chunks: Sequence[str], experiment: str) -> None:
        """Keep a capsule that is there for another experiment, which is about to be pushed. Raises NotFound."""
        if self._call("capsule_commit", name, manifest, experiment, *chunks):
            raise _gone(name)

    def _have(self, names: Sequence[str]) -> list[int]:
        found: list[int] = []
        for start in range(0, len(names), _ASKED):
            found += self._call("capsule_have", *names[start : start + _ASKED])
        return found

    def capsule(self, name: str) -> bytes:
        """The manifest of a capsule. Raises NotFound."""
        with sentences(self._url):
            found = self._client.get(keys.CAPSULE + name)
        if found is None:
            raise _gone(name)
        return bytes(found)

    def code(self, experiment: str, spec: str) -> str:
        """Digest of the code that a push sent for its jobs, which have the Spec `spec`; "" where none is known."""
        with sentences(self._url):
            return records.text(self._client.hget(keys.CODES + experiment, spec))

    def chunks(self, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """These chunks as they were put, by name, in order. Raises NotFound."""
        for start in range(0, len(names), _AT_ONCE):
            some = names[start : start + _AT_ONCE]
            with sentences(self._url):
                found = self._client.mget([keys.CHUNK + name for name in some])
            for name, data in zip(some, found, strict=True):
                if data is None:
                    raise NotFound(f"a part of the code of this job (chunk {name[:12]}) is missing.", "Push it again.")
                yield name, data

    def sweep_capsules(self, older_than: float, seconds: float = math.inf) -> bool:
        """Remove capsules and chunks that nothing needs and nobody has asked for in `older_than` seconds.

        True when all were looked at; False when that took longer than `seconds`.
        """
        end = time.monotonic() + seconds
        found, before = 1, ""
        while found and time.monotonic() < end:
            found, before = self._call("capsule_sweep", int(older_than * 1000), before)
        return not found


def _gone(name: str) -> NotFound:
    return NotFound(f"the code of this job (capsule {name[:12]}) is not in Redis any more.", "Push it again.")
