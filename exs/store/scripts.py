"""Loads and runs the Lua scripts by name; knows nothing of what they do.

A script file may begin with `--@ lib other`: those files of `lua/lib` are put in front of it, after the key
names of `keys.prelude()` and the transitions of `model.TRANSITIONS`. No script uses a shebang: 6.2 refuses it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import redis

from exs.model import TRANSITIONS
from exs.store import keys

_LUA = Path(__file__).parent / "lua"
#: In front of every script: one that speaks another schema must not touch this queue, however long its process has been
#: connected. Costs half a microsecond.
_GUARD = """do
  local schema = redis.call('GET', SCHEMA)
  if schema and schema ~= SCHEMA_VERSION then return redis.error_reply(OTHER_SCHEMA .. schema) end
end"""
Arg = str | bytes | int | float


@cache
def source(name: str) -> str:
    """Full source of one script, libraries included."""
    text = (_LUA / f"{name}.lua").read_text(encoding="utf-8")
    first = text.split("\n", 1)[0]
    libraries = first[3:].split() if first.startswith("--@") else []
    parts = [_transitions()] if "state" in libraries else []
    parts += [(_LUA / "lib" / f"{library}.lua").read_text(encoding="utf-8") for library in libraries]
    body = "\n".join([_GUARD, *parts, text])
    return f"{keys.prelude(body)}\n{body}"


@cache
def sha(name: str) -> str:
    """SHA-1 under which Redis knows the script."""
    return hashlib.sha1(source(name).encode(), usedforsecurity=False).hexdigest()


def _transitions() -> str:
    pairs = ",".join(f"['{a.value}>{b.value}']=true" for a, targets in TRANSITIONS.items() for b in sorted(targets))
    return f"local ALLOWED={{{pairs}}}"


class Scripts:
    """Runs scripts on one client. Every call is safe to repeat: the scripts are idempotent."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def call(self, name: str, *args: Arg) -> Any:
        """The answer of one script. Redis errors pass through."""
        try:
            return self._client.evalsha(sha(name), 0, *args)
        except redis.exceptions.NoScriptError:
            return self._client.eval(source(name), 0, *args)

    def load(self, *names: str) -> None:
        """Make these scripts known, so that no later round trip is spent on that."""
        with self._client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.script_load(source(name))
            pipe.execute()

    def call_many(self, calls: Sequence[tuple[str, Sequence[Arg]]], needed: int | None = None) -> list[Any]:
        """The answers of several scripts, run in this order in one round trip, each atomic on its own.

        Only the first `needed` must succeed (None: all); a later one that failed has its exception as its answer.
        """
        replies = self._many(calls)
        if any(isinstance(reply, redis.exceptions.NoScriptError) for reply in replies):
            self.load(*{name for name, _ in calls})
            replies = self._many(calls)
        for reply in replies[:needed]:
            if isinstance(reply, Exception):
                raise reply
        return replies

    def _many(self, calls: Sequence[tuple[str, Sequence[Arg]]]) -> list[Any]:
        # A pipeline of redis-py does the same for 80 us more per job; and its raise_on_error would put the arguments,
        # that is a job's output, into the message.
        pool = self._client.connection_pool
        connection: Any = pool.get_connection()
        try:
            packed = connection.pack_commands([("EVALSHA", sha(name), 0, *args) for name, args in calls])
            connection.send_packed_command(packed)
            return [_answer(connection) for _ in calls]
        except BaseException:
            connection.disconnect()  # half an exchange must not be continued by the next one
            raise
        finally:
            pool.release(connection)


def _answer(connection: Any) -> Any:
    try:
        return connection.read_response()
    except redis.exceptions.ResponseError as error:
        return error
