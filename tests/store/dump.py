"""A queue as a JSON file: commands that any Redis takes, unlike an RDB file, and lines that a person can compare.

`python -m store.dump URL FILE` in tests/ writes what a Redis holds; done once per schema, when it is new.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import redis


def take(client: redis.Redis) -> dict[str, Any]:
    """Key -> [type, contents] of a whole database; nothing of how long a key has to live."""
    read = {
        "string": client.get,
        "hash": client.hgetall,
        "list": lambda key: client.lrange(key, 0, -1),
        "set": lambda key: sorted(client.smembers(key)),
        "zset": lambda key: {member: repr(score) for member, score in client.zrange(key, 0, -1, withscores=True)},
    }
    kinds = {key: client.type(key) for key in sorted(client.scan_iter())}
    return {key: [kind, read[kind](key)] for key, kind in kinds.items()}


def load(client: redis.Redis, dump: dict[str, Any]) -> None:
    """Put everything back."""
    for key, (kind, value) in dump.items():
        if kind == "string":
            client.set(key, value)
        elif kind == "hash":
            client.hset(key, mapping=value)
        elif kind == "list":
            client.rpush(key, *value)
        elif kind == "set":
            client.sadd(key, *value)
        else:
            client.zadd(key, {member: float(score) for member, score in value.items()})


if __name__ == "__main__":
    url, file = sys.argv[1:]
    found = take(redis.Redis.from_url(url, decode_responses=True))
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in found.items()]
    Path(file).write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
