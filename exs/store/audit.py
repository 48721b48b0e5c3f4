"""The audit of invariant I1: every job stands in exactly one place, and the counts add up."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from itertools import islice
from typing import NamedTuple

from exs.model import JobState
from exs.store import keys, records
from exs.store.connect import sentences
from exs.store.look import Watchers
from exs.store.mend import Menders

#: Where a job of each state must stand, once, and nowhere else. A QUEUED one that waits for its next attempt: _WAITING.
PLACES: dict[JobState, tuple[str, ...]] = {
    JobState.QUEUED: ("queue",),
    JobState.RUNNING: ("lease", "wip"),
    JobState.PAUSING: ("lease", "wip"),
    JobState.PAUSED: ("deferred",),
    JobState.DONE: ("finished",),
    JobState.PRUNED: ("finished",),
    JobState.CRASHED: ("failed",),
    JobState.CANCELED: ("canceled",),
}
_WAITING = ("later", "scheduled")
_REGISTRIES = {
    "wip": keys.RQ_WIP,
    "finished": keys.RQ_FINISHED,
    "failed": keys.RQ_FAILED,
    "canceled": keys.RQ_CANCELED,
    "scheduled": keys.RQ_SCHEDULED,
    "deferred": keys.RQ_DEFERRED,
}
#: Members read per command; atomic looks per round trip.
_PAGE = 5000
#: Jobs whose states one script call reads: about a millisecond of Redis.
_STATES = 1500
_LOOKS = 200
#: Findings of one kind that are named one by one.
_NAMED = 20


class _Job(NamedTuple):
    """A job as the audit needs it. `place`: its index; `state`: what its record says, "" if there is none."""

    id: str
    place: int
    state: str


class Auditor(Watchers, Menders):
    """Looks for jobs that are lost, doubled or miscounted."""

    def audit(self) -> list[str]:
        """One sentence per finding, none when the queue is as exs left it. Safe while workers claim."""
        findings = [
            f"job {job} is quarantined: it stood in a queue and is no job of ours." for job in self.quarantine()
        ]
        listening = [stranger for stranger in self.strangers() if stranger.queues]
        findings += [f"{stranger}; stop it, and start `exs worker`." for stranger in listening]
        return findings + self.misplaced()

    def quarantine(self) -> list[str]:
        """Ids of what stood in a queue of ours, is no job of ours and is still there, some of them."""
        with sentences(self._url), self._client.pipeline(transaction=False) as pipe:
            met = self._client.zrange(keys.QUARANTINE, 0, -1)
            for job in met:
                pipe.exists(keys.RQ_JOB.encode() + job)
            return [records.text(job) for job, there in zip(met, pipe.execute(), strict=True) if there][:_NAMED]

    def misplaced(self) -> list[str]:
        """One sentence per job that does not stand in exactly one place, and per count that is wrong.

        Lists and registries are read once in pages; what looks wrong in them is judged by an atomic look at all
        places of that job, and a count only when it is still wrong at a second look.
        """
        findings: list[str] = []
        known = self.experiments()
        with sentences(self._url):
            names = [records.text(name) for name in self._client.zrange(keys.EXPERIMENTS, 0, -1)]
        lost = set(names) - {experiment.name for experiment in known}
        findings += [f"the record of experiment {name} cannot be read." for name in sorted(lost)]
        leased = list(self._members(keys.LEASES)), list(self._members(keys.LATER))
        for experiment in known:
            findings += self._audit_jobs(experiment.name, *leased)
            findings += self._audit_count(experiment.name)
            if experiment.jobs and self._queues(experiment.name) is None:
                findings.append(f"the queues of experiment {experiment.name} cannot be read.")
        return findings

    def _audit_jobs(self, name: str, leases: Sequence[str], later: Sequence[str]) -> Iterator[str]:
        places = self._places(name)  # of a million jobs 160 MB; their records pass by
        for place, members in (("lease", leases), ("later", later)):
            for member in members:
                places[member] = _with(places.get(member, ()), place)
        suspects = (job for job in self._states(name) if not _fits(job.state, places.get(job.id, ())))
        while batch := list(islice(suspects, _LOOKS)):
            looks = self._call_many([("audit_job", (job.id,)) for job in batch])
            for job, (state, found) in zip(batch, looks, strict=True):
                label = f"job {job.id} ({name}/{job.place})"
                yield from _judge(label, records.text(state), sorted(records.text(place) for place in found))

    def _states(self, name: str) -> Iterator[_Job]:
        """Every job of NAME in index order."""
        after = 0
        while after >= 0:
            after, index, ids, states = self._call("states", name, after, _STATES)
            for job, state in zip(ids, states, strict=True):
                if job:
                    yield _Job(records.text(job), index, sys.intern(records.text(state)))
                index += 1

    def _places(self, name: str) -> dict[str, tuple[str, ...]]:
        """ID -> the lists and registries of NAME that it stands in."""
        places: dict[str, tuple[str, ...]] = {}
        for queue in self._queues(name) or ():
            for job in self._members(keys.RQ_QUEUE + queue):
                places[job] = _with(places.get(job, ()), "queue")
            for place, prefix in _REGISTRIES.items():
                for member in self._members(prefix + queue):
                    job = member.partition(":")[0]
                    places[job] = _with(places.get(job, ()), place)
        return places

    def _queues(self, name: str) -> list[str] | None:
        """The queues of NAME; None when that key holds something else."""
        with sentences(self._url):
            if self._client.type(keys.QUEUES + name) != b"hash":
                return None
            return [records.text(queue) for queue in self._client.hkeys(keys.QUEUES + name)]

    def _members(self, key: str) -> Iterator[str]:
        """A list or a sorted set, read in pages; nothing of a key of another type."""
        start = 0
        with sentences(self._url):
            kind = self._client.type(key)
            read = {b"list": self._client.lrange, b"zset": self._client.zrange}.get(kind)
            while read is not None:
                page = read(key, start, start + _PAGE - 1)
                yield from map(records.text, page)
                start += _PAGE
                if len(page) < _PAGE:
                    break

    def _audit_count(self, name: str) -> Iterator[str]:
        for _ in range(2):
            row = self._named(name)
            if row is None or sum(row.counts.values()) == row.jobs:
                return
        assert row is not None
        counts = ", ".join(f"{n} {state.value}" for state, n in row.counts.items() if n)
        yield f"experiment {name} has {row.jobs} jobs, but {counts or 'none'} in its queues and registries."


@cache
def _with(places: tuple[str, ...], place: str) -> tuple[str, ...]:
    """One place more, in order. Shared: of a million jobs, nearly all stand alike."""
    return tuple(sorted((*places, place)))


@lru_cache(256)
def _fits(state: str, places: tuple[str, ...]) -> bool:
    if state not in JobState.__members__:
        return False
    return places == PLACES[JobState(state)] or (state == JobState.QUEUED.value and places == _WAITING)


def _judge(label: str, state: str, places: Sequence[str]) -> Iterator[str]:
    if not state and places:
        yield f"{label} is gone but stands in {', '.join(places)}."
    elif state and state not in JobState.__members__:
        yield f"{label} has the unknown state {state!r}."
    elif state and not _fits(state, tuple(places)):
        found = ", ".join(places) or "nowhere"
        yield f"{label} is {state} but stands in {found} instead of {', '.join(PLACES[JobState(state)])}."
