"""How a queue is, apart from its jobs: who is late, what is half done, what waits for what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exs.model import Resources
from exs.store import keys, records, rows
from exs.store.base import Base
from exs.store.connect import sentences
from exs.store.shapes import resources_of

#: Findings of one kind that are named one by one.
_NAMED = 20


@dataclass(frozen=True)
class Health:
    """Ages are in seconds of Redis time."""

    suspended: bool  #: by `rq suspend`
    late: tuple[tuple[str, float], ...]  #: jobs whose lease ran out, by how long; the longest first, some of them
    late_total: int
    held: int  #: jobs under a lease
    reaped_ago: float | None  #: since somebody looked for lost jobs; None for never
    halves: tuple[tuple[str, float], ...]  #: pushes that nobody committed, since their last word
    waiting: Mapping[str, Mapping[Resources, int]]  #: experiment -> what its queued jobs want -> how many


class Onlookers(Base):
    """What a look from outside tells."""

    def health(self, experiments: Sequence[str]) -> Health:
        """How the queue is, with what the jobs of these experiments wait for; two round trips."""
        with sentences(self._url), self._client.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.exists(keys.RQ_SUSPENDED)
            pipe.zrange(keys.LEASES, 0, _NAMED - 1, withscores=True)
            pipe.zcard(keys.LEASES)
            pipe.hget(keys.PULSE, "at")
            pipe.zrange(keys.STAGES, 0, _NAMED - 1, withscores=True)
            for name in experiments:
                pipe.hgetall(keys.QUEUES + name)
            (seconds, micro), suspended, leases, held, reaped, stages, *queues = pipe.execute()
            now = seconds + micro / 1e6
            pipe.zcount(keys.LEASES, "-inf", now * 1000)
            named = [
                (name, queue, shape)
                for name, found in zip(experiments, queues, strict=True)
                for queue, shape in found.items()
            ]
            for _, queue, _ in named:
                pipe.llen(keys.RQ_QUEUE + records.text(queue))
            late_total, *lengths = pipe.execute()
        waiting: dict[str, dict[Resources, int]] = {}
        for (name, _, text), length in zip(named, lengths, strict=True):
            needs = resources_of(records.text(text))
            if length and needs is not None:
                waiting.setdefault(name, {}).setdefault(needs, 0)
                waiting[name][needs] += length
        late = [(records.text(job), now - until / 1000) for job, until in leases]
        return Health(
            suspended=bool(suspended),
            late=tuple((job, ago) for job, ago in late if ago > 0),
            late_total=late_total,
            held=held,
            reaped_ago=now - rows.whole(reaped) / 1000 if reaped else None,
            halves=tuple((records.text(name), now - at / 1000) for name, at in stages),
            waiting=waiting,
        )
