"""The audit of invariant I1: every job stands in exactly one place, and the counts add up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from exs.model import JobState
from exs.rows import JobRow
from exs.store import keys, records, rows
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
_LOOKS = 200
#: Findings of one kind that are named one by one.
_NAMED = 20


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
        """Ids of what stood in a queue of ours and is no job of ours, some of them."""
        with sentences(self._url):
            return [records.text(job) for job in self._client.zrange(keys.QUARANTINE, 0, _NAMED - 1)]

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
        leased = self._members(keys.LEASES), self._members(keys.LATER)
        for experiment in known:
            findings += self._audit_jobs(experiment.name, *leased)
            findings += self._audit_count(experiment.name)
            if experiment.jobs and self._queues(experiment.name) is None:
                findings.append(f"the queues of experiment {experiment.name} cannot be read.")
        return findings

    def _audit_jobs(self, name: str, leases: Sequence[str], later: Sequence[str]) -> Iterator[str]:
        jobs = self.jobs(name)
        places = self._places(name)
        for place, members in (("lease", leases), ("later", later)):
            for job in members:
                places[job].append(place)
        suspects = [row for row in jobs if not _fits(row.state, places.get(row.id, ()))]
        for start in range(0, len(suspects), _LOOKS):
            batch = suspects[start : start + _LOOKS]
            looks = self._call_many([("audit_job", (row.id,)) for row in batch])
            for row, (state, found) in zip(batch, looks, strict=True):
                yield from _judge(row, records.text(state), sorted(records.text(place) for place in found))

    def _places(self, name: str) -> defaultdict[str, list[str]]:
        """ID -> the lists and registries of NAME that it stands in."""
        places: defaultdict[str, list[str]] = defaultdict(list)
        for queue in self._queues(name) or ():
            for job in self._members(keys.RQ_QUEUE + queue):
                places[job].append("queue")
            for place, prefix in _REGISTRIES.items():
                for member in self._members(prefix + queue):
                    places[member.split(":")[0]].append(place)
        return places

    def _queues(self, name: str) -> list[str] | None:
        """The queues of NAME; None when that key holds something else."""
        with sentences(self._url):
            if self._client.type(keys.QUEUES + name) != b"hash":
                return None
            return [records.text(queue) for queue in self._client.hkeys(keys.QUEUES + name)]

    def _members(self, key: str) -> list[str]:
        """A list or a sorted set, read in pages; nothing of a key of another type."""
        members: list[str] = []
        with sentences(self._url):
            kind = self._client.type(key)
            read = {b"list": self._client.lrange, b"zset": self._client.zrange}.get(kind)
            while read is not None:
                page = read(key, len(members), len(members) + _PAGE - 1)
                members += map(records.text, page)
                if len(page) < _PAGE:
                    break
        return members

    def _audit_count(self, name: str) -> Iterator[str]:
        for _ in range(2):
            found = self._call("experiments", name)
            if not found:
                return
            row = rows.experiment_row(found[0])
            if sum(row.counts.values()) == row.jobs:
                return
        counts = ", ".join(f"{n} {state.value}" for state, n in row.counts.items() if n)
        yield f"experiment {name} has {row.jobs} jobs, but {counts or 'none'} in its queues and registries."


def _fits(state: JobState, places: Iterable[str]) -> bool:
    found = tuple(sorted(places))
    return found == PLACES[state] or (state is JobState.QUEUED and found == _WAITING)


def _judge(row: JobRow, state: str, places: Sequence[str]) -> Iterator[str]:
    label = f"job {row.id} ({row.experiment}/{row.index})"
    if not state and places:
        yield f"{label} is gone but stands in {', '.join(places)}."
    elif state and state not in JobState.__members__:
        yield f"{label} has the unknown state {state!r}."
    elif state and not _fits(JobState(state), places):
        found = ", ".join(places) or "nowhere"
        yield f"{label} is {state} but stands in {found} instead of {', '.join(PLACES[JobState(state)])}."
