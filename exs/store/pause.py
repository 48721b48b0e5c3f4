"""Pause and activate, of experiments and of single jobs; archive; each safe to repeat."""

from __future__ import annotations

from collections.abc import Sequence

from exs.store import keys, records
from exs.store.connect import sentences
from exs.store.scripts import Arg
from exs.store.steer import BATCH, Steering

#: Ids per command: a millisecond.
_IDS = 10_000


class Pausing(Steering):
    """What keeps jobs in the queue and off the GPUs."""

    def pause_experiment(self, name: str, by: str) -> tuple[str, str]:
        """Keep slots from taking jobs of NAME; those that run are not touched (`held` names them).

        `by`: who or what pauses it, one line. Returns what became of it (paused, already, over: nothing was left to
        run, archived, missing) and who paused it.
        """
        code, why = self._call("pause_experiment", name, records.plain(by))
        return records.text(code), records.text(why)

    def activate_experiment(self, name: str) -> tuple[str, str]:
        """Let slots take jobs of NAME again; jobs that are PAUSED stay so (`paused` names them).

        Returns what became of it (active, already, archived, missing) and who had paused it.
        """
        code, why = self._call("activate_experiment", name)
        return records.text(code), records.text(why)

    def pause(self, ids: Sequence[str], by: str) -> dict[str, int]:
        """Take jobs off their queues and GPUs: waiting ones at once, running ones when they have stopped.

        Returns how many were paused, asked to stop, already so or about to end, over, missing.
        """
        return self._each("pause", (records.plain(by),), ids, ("paused", "asked", "already", "over", "missing"))

    def activate(self, ids: Sequence[str]) -> dict[str, int]:
        """Queue paused jobs again, each at its place. One that has not stopped yet is queued when it has.

        Returns how many were queued, will be (`resuming`), needed nothing, are over, missing.
        """
        names = ("queued", "resuming", "already", "over", "missing")
        counts = dict.fromkeys(names, 0)
        left: list[str] = []
        behind: list[Sequence[Arg]] = [(1, *ids[at : at + BATCH]) for at in range(0, len(ids), BATCH)]
        for queued, *skipped in self._stream("activate", behind):
            counts["queued"] += queued
            left += map(records.text, skipped)
        while left:
            batch = left[-BATCH:]
            *found, rest = map(int, self._call("activate", 0, *batch))
            del left[len(left) - len(batch) + rest :]
            for name, number in zip(names, found, strict=True):
                counts[name] += number
        return counts

    def archive(self, name: str) -> str:
        """Take an experiment that is over out of the lists: archived, already, unfinished or missing."""
        return records.text(self._call("archive", name))

    def unarchive(self, name: str) -> str:
        """Bring an archived experiment back: unarchived, already or missing."""
        return records.text(self._call("unarchive", name))

    def held(self, name: str) -> list[str]:
        """The ids of the jobs of NAME that run or are stopping."""
        return [member.partition(":")[0] for member in self._registered(keys.RQ_WIP, name)]

    def paused(self, name: str) -> list[str]:
        """The ids of the jobs of NAME that are PAUSED, by index."""
        return self._registered(keys.RQ_DEFERRED, name)

    def _registered(self, registry: str, name: str) -> list[str]:
        found: list[tuple[float, str]] = []
        with sentences(self._url):
            for queue in self._client.hkeys(keys.QUEUES + name):
                key, start = registry + records.text(queue), 0
                while page := self._client.zrange(key, start, start + _IDS - 1, withscores=True):
                    found += [(score, records.text(member)) for member, score in page]
                    start += _IDS
        return [member for _, member in sorted(found)]
