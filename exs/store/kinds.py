"""Keys of ours that somebody made into something else: Redis refuses what scripts do with them, and names none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from exs.store import keys, records
from exs.store.base import Base
from exs.store.connect import sentences

#: Keys that one script call looks at: a millisecond of Redis (measured).
_PAGE = 500

#: What each key of the page is, by its whole name or by what stands up to its second colon.
KINDS = {
    **dict.fromkeys((
        keys.SCHEMA, keys.POSITION, keys.CAPSULE, keys.CHUNK, keys.SERIES, keys.SYNCED, keys.LAST,
    ), "string"),
    **dict.fromkeys((
        keys.RQ_JOB, keys.RQ_WORKER, keys.IDS, keys.EXPERIMENT, keys.QUEUES, keys.SPECS, keys.CODES, keys.POINTS,
        keys.STAGE, keys.TEMPLATE, keys.COMING, keys.HOLD, keys.POOL, keys.METRICS, keys.MEND, keys.NODE, keys.UNUSED,
        keys.DRAINED, keys.PULSE, keys.BREAKER, keys.CHUNKS,
    ), "hash"),
    **dict.fromkeys((
        keys.RQ_WIP, keys.RQ_FINISHED, keys.RQ_FAILED, keys.RQ_CANCELED, keys.RQ_SCHEDULED, keys.RQ_DEFERRED,
        keys.EXPERIMENTS, keys.STAGES, keys.ORDER, keys.HOLDING, keys.READY, keys.LEASES, keys.LATER,
        keys.QUARANTINE, keys.ASTRAY, keys.STRANGERS, keys.IDLE, keys.CAPSULES, keys.CHUNKS_LOOSE,
    ), "zset"),
    **dict.fromkeys((
        keys.RQ_QUEUES, keys.RQ_WORKERS, f"{keys.RQ_WORKERS}:", keys.NODE_SLOTS, keys.POOLS, keys.SHAPES,
        keys.OFFERS, keys.CAPSULE_OF,
    ), "set"),
    **dict.fromkeys((
        keys.RQ_QUEUE, keys.JOBS, keys.ATTEMPTS, keys.WAKE, keys.ASK, keys.ANSWER,
    ), "list"),
}  # fmt: skip


class WrongKind(NamedTuple):
    """A key that is `found` and has to be `wanted`, in Redis's words."""

    key: str
    found: str
    wanted: str


class Kinds(Base):
    """Looks at every key."""

    def wrong_kinds(self) -> Iterator[WrongKind]:
        """Keys of ours that are of another type than the page says. Raises RedisUnreachable."""
        with sentences(self._url):
            schema = records.text(self._client.type(keys.SCHEMA))
        if schema not in (KINDS[keys.SCHEMA], "none"):  # each script reads it first, and none gets any further
            yield WrongKind(keys.SCHEMA, schema, KINDS[keys.SCHEMA])
            return
        wanted = [word for pair in KINDS.items() for word in pair]
        cursor, seen = b"0", set[bytes]()
        while True:
            cursor, *found = self._call("kinds", cursor, _PAGE, *wanted)
            for key, kind, want in zip(found[::3], found[1::3], found[2::3], strict=True):
                if key not in seen:  # SCAN may name one twice
                    seen.add(key)
                    yield WrongKind(records.text(key), records.text(kind), records.text(want))
            if cursor == b"0":
                return
