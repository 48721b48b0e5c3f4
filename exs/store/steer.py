"""Cancel, retry, remove: each in batches of one script call, each safe to repeat."""

from __future__ import annotations

from collections.abc import Sequence

from exs.store import keys
from exs.store.base import Base
from exs.store.connect import sentences
from exs.store.scripts import Arg

#: Jobs per script call: about 2 ms of Redis.
BATCH = 50
#: Places of jobs that one script call looks at: about 1 ms of Redis.
_LOOKED = 2000
#: Answer of remove_experiment.lua.
_REMOVED = -1


class Steering(Base):
    """What a person does to jobs that are in the queue."""

    def cancel(self, ids: Sequence[str], *, kill: bool = False) -> dict[str, int]:
        """End jobs: waiting ones at once, running ones through their slot (SIGTERM and grace; `kill`: at once)."""
        return self._each("cancel", ("kill" if kill else "cancel",), ids, ("canceled", "asked", "already", "missing"))

    def retry(self, ids: Sequence[str], *, force: bool = False) -> dict[str, int]:
        """Queue CRASHED and CANCELED jobs again, with `force` DONE ones too."""
        return self._retry(ids, force)

    def _retry(self, ids: Sequence[str], force: bool, spec: str = "") -> dict[str, int]:
        """`spec`: digest of the Spec by which they run now; "" for that with which they were pushed."""
        return self._each("retry", (int(force), spec), ids, ("queued", "already", "kept", "missing"))

    def remove(self, ids: Sequence[str]) -> dict[str, int]:
        """Forget jobs, their results and their points; running ones stay."""
        return self._each("remove", (), ids, ("removed", "running", "missing"))

    def remove_experiment(self, name: str) -> bool:
        """Forget an experiment without jobs; False when it has some."""
        after = 0
        while after >= 0:
            after = int(self._call("remove_experiment", name, after, _LOOKED))
        return after == _REMOVED

    def may_forget(self, names: Sequence[str]) -> None:
        """Raises RedisUnreachable for a user of Redis who may remove jobs, but not experiments (deploy/users.acl):
        asked before any job is gone, by having each forget a thing that is not there."""
        with sentences(self._url):
            for name in names:
                self._client.hdel(keys.SPECS + name, "")

    def forget(self, names: Sequence[str], ids: Sequence[str]) -> tuple[dict[str, int], list[str]]:
        """`remove` these jobs, then the experiments that have none left: counts, and which experiments are gone."""
        self.may_forget(names)
        counts = self.remove(ids)
        return counts, [name for name in names if self.remove_experiment(name)]

    def _each(self, script: str, head: Sequence[Arg], ids: Sequence[str], names: Sequence[str]) -> dict[str, int]:
        # From the last batch to the first: retry puts each job before those that follow it.
        starts = range(0, len(ids), BATCH)[::-1]
        # No more than two calls are sent at a time: Redis runs what one client has sent before it looks at another's.
        replies = list(self._stream(script, [(*head, *ids[start : start + BATCH]) for start in starts]))
        return {name: sum(int(reply[i]) for reply in replies) for i, name in enumerate(names)}
