"""Loads and runs the Lua scripts by name; knows nothing of what they do.

A script file may begin with `--@ lib other`: what it uses of those files of `lua/lib`, and of those that they name so
themselves, is put in front of it, after the transitions of `model.TRANSITIONS`; the names of `keys` are replaced by
their values. No script uses a shebang: 6.2 refuses it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import hiredis
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
_WORD = re.compile(r"\w+")
_DEFINED = re.compile(r"local (?:function )?(\w+)")
Arg = str | bytes | int | float


@cache
def source(name: str) -> str:
    """Full source of one script, libraries included."""
    text = (_LUA / f"{name}.lua").read_text(encoding="utf-8")
    libraries = _libraries(text)
    parts = [_transitions()] if "state" in libraries else []
    body = "\n".join([_GUARD, *_used("\n".join([*parts, *libraries.values()]), text), text])
    return keys.inlined(body)


def _libraries(text: str) -> dict[str, str]:
    """The library files that a file names in its first line, each behind those that it needs."""
    first = text.split("\n", 1)[0]
    found: dict[str, str] = {}
    for name in first[3:].split() if first.startswith("--@") else ():
        library = (_LUA / "lib" / f"{name}.lua").read_text(encoding="utf-8")
        found.update({**_libraries(library), name: library})
    return found


def _used(libraries: str, text: str) -> list[str]:
    """Those definitions of the libraries that `text` needs, in order, without comments.

    Redis runs a script from its first line at each call: a function that nobody calls costs 0.1 us all the same, and
    half of finish.lua's functions were such (10 us before its own first line, 5 without them).
    """
    code = re.sub(r"^--.*\n", "", libraries, flags=re.MULTILINE)
    needed, found = set(_WORD.findall(text)), []
    # Lua sees only what stands above, so one pass from below finds everything.
    for definition in reversed(re.split(r"^(?=local )", code, flags=re.MULTILINE)[1:]):
        name = _DEFINED.match(definition)
        if name and name[1] in needed:
            needed |= set(_WORD.findall(definition))
            found.append(definition.rstrip())
    return found[::-1]


@cache
def sha(name: str) -> str:
    """SHA-1 under which Redis knows the script."""
    return hashlib.sha1(source(name).encode(), usedforsecurity=False).hexdigest()


def _transitions() -> str:
    # Text, not a table: one of 22 entries would be made anew at each call.
    pairs = "|".join(f"{a.value}>{b.value}" for a, targets in TRANSITIONS.items() for b in sorted(targets))
    return f"local ALLOWED='|{pairs}|'"


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

    def call_many(self, calls: Sequence[tuple[str, Sequence[Arg]]], needed: slice = slice(None)) -> list[Any]:
        """The answers of several scripts, run in this order in one round trip, each atomic on its own.

        Those that are `needed` must succeed; another one that failed has its exception as its answer.
        """
        replies = self._many(calls)
        if any(isinstance(reply, redis.exceptions.NoScriptError) for reply in replies):
            self.load(*{name for name, _ in calls})
            replies = self._many(calls)
        for reply in replies[needed]:
            if isinstance(reply, Exception):
                raise reply
        return replies

    def call_after_pop(self, key: str, seconds: float, name: str, args: Sequence[Arg]) -> Any:
        """The answer of a script that runs when a list has an item, which is taken, or after `seconds`.

        Both are sent at once: Redis runs what is behind a blocking command in the moment in which that ends.
        """
        wait: Any = ("BLPOP", key, max(0.01, seconds))
        with self._connection() as connection:
            connection.send_packed_command((hiredis.pack_command(wait) + _packed(name, args),))
            popped, reply = _answer(connection), _answer(connection)
        if isinstance(reply, redis.exceptions.NoScriptError):
            return self.call(name, *args)
        for one in (popped, reply):
            if isinstance(one, Exception):
                raise one
        return reply

    def stream(self, name: str, calls: Iterable[Sequence[Arg]]) -> Iterator[Any]:
        """The answers of a script to one call after the other, each sent before the answer to the last one is read.

        Two are with Redis at most: it runs all that one client has sent before it looks at another's. One that fails
        ends it; what was sent behind it may have run all the same. When Redis forgets the script meanwhile, both are
        sent again: the script must take the second one without the first for a mistake, or be good at any order.
        """
        ahead = iter(calls)
        for args in ahead:
            yield self.call(name, *args)  # makes it known, so that those behind it need not
            break
        sent: list[Sequence[Arg]] = []
        with self._connection() as connection:
            for args in ahead:
                connection.send_packed_command(connection.pack_command("EVALSHA", sha(name), 0, *args))
                sent.append(args)
                if len(sent) > 1:
                    yield from self._answers(connection, name, sent)
            if sent:
                yield from self._answers(connection, name, sent)

    def _answers(self, connection: Any, name: str, sent: list[Sequence[Arg]]) -> Iterator[Any]:
        """The answer to the first of the calls that were sent; to all of them when Redis has forgotten the script."""
        try:
            reply = connection.read_response()
        except redis.exceptions.NoScriptError:
            again = sent[:]
            for _ in again[1:]:
                _answer(connection)
            sent.clear()
            for args in again:
                yield self.call(name, *args)
        else:
            del sent[0]
            yield reply

    def _many(self, calls: Sequence[tuple[str, Sequence[Arg]]]) -> list[Any]:
        # A pipeline of redis-py does the same for 80 us more per job; and its raise_on_error would put the arguments,
        # that is a job's output, into the message.
        with self._connection() as connection:
            connection.send_packed_command((b"".join(_packed(name, args) for name, args in calls),))
            return [_answer(connection) for _ in calls]

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        """A connection for one exchange of our own making."""
        pool = self._client.connection_pool
        connection: Any = pool.get_connection()
        try:
            yield connection
        except BaseException:
            connection.disconnect()  # half an exchange must not be continued by the next one
            raise
        finally:
            pool.release(connection)


def _packed(script: str, args: Sequence[Arg]) -> bytes:
    words: Any = ("EVALSHA", sha(script), 0, *args)  # hiredis declares a tuple of one
    packed: bytes = hiredis.pack_command(words)
    return packed


def _answer(connection: Any) -> Any:
    try:
        return connection.read_response()
    except redis.exceptions.ResponseError as error:
        return error
