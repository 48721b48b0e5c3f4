"""What every part of the Store stands on: one client, the scripts, and errors as sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import redis

from exs.settings import Settings
from exs.store import keys
from exs.store.connect import sentences
from exs.store.scripts import Arg, Scripts

#: Workers per script call: about 3 ms of Redis.
WORKERS = 200


class Base:
    """One connection to the queue. Everything it raises is an ExsError."""

    def __init__(self, client: redis.Redis, settings: Settings, url: str = "") -> None:
        self._client: Any = client  # redis-py types every reply as a union of all it could ever be
        self._scripts = Scripts(client)
        self._url = url or settings.redis_url
        self.settings = settings

    @property
    def url(self) -> str:
        """Where this queue is, password included."""
        return self._url

    def _call(self, script: str, *args: Arg) -> Any:
        with sentences(self._url):
            return self._scripts.call(script, *args)

    def _call_many(self, calls: Sequence[tuple[str, Sequence[Arg]]], needed: slice = slice(None)) -> list[Any]:
        with sentences(self._url):
            return self._scripts.call_many(calls, needed)

    def _stream(self, script: str, calls: Iterable[Sequence[Arg]]) -> Iterator[Any]:
        with sentences(self._url):
            yield from self._scripts.stream(script, calls)

    def _blpop(self, key: str, seconds: float) -> bytes | None:
        """The head of a list of ours, waited for."""
        wait = max(0.01, self._bearable(seconds))
        with sentences(self._url):
            reply = self._client.blpop([key], timeout=wait)
        return None if reply is None else bytes(reply[1])

    def _workers(self, first: Any = None) -> tuple[float, list[Any]]:
        """When it is, in ms, and what workers.lua says of each registered worker, once. `first`: its first answer."""
        found: dict[bytes, Any] = {}
        page = self._call("workers", 0, WORKERS) if first is None else first
        while True:
            now, cursor, *replies = page
            found.update((reply[0], reply) for reply in replies)
            if cursor == b"0":
                return now, list(found.values())
            page = self._call("workers", cursor, WORKERS)

    def _bearable(self, seconds: float) -> float:
        """A wait in Redis: never longer than a socket that answers nothing is believed in."""
        return min(seconds, self.settings.timing.socket_timeout * 0.75)

    def now(self) -> float:
        """Redis time in seconds since the epoch: the clock of every time in a row."""
        with sentences(self._url):
            seconds, micro = self._client.time()
        return float(seconds + micro / 1e6)

    def on_disk(self, seconds: float = 2.0) -> bool | None:
        """Whether all that was written is on Redis's disk; waits for it (R20), and what Redis syncs every second is
        there after one or two.

        None where the server cannot tell: before 7.2, without an append-only file, or where we may not ask.
        """
        pipe = self._client.pipeline(transaction=False)
        # WAITAOF knows the writes of its own connection alone (measured with 8.2); the last write covers all others.
        pipe.set(keys.SYNCED, "1")
        pipe.execute_command("WAITAOF", 1, 0, int(self._bearable(seconds) * 1000))
        try:
            written, answer = pipe.execute(raise_on_error=False)
        except redis.RedisError:
            return False
        if isinstance(written, Exception) or isinstance(answer, Exception):
            return None
        return bool(answer[0])

    def ping(self) -> None:
        """Raises RedisUnreachable when there is no answer."""
        with sentences(self._url):
            self._client.ping()
