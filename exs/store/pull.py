"""Pull experiments: jobs without a command, added one by one, which only next_job() and `exs pull` take.

They are leased, renewed, finished and lost through the scripts that every slot uses (`Holders`).
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from exs.errors import InputError, NotFound, Refused
from exs.model import DEFAULT_PRIORITY, JobState, Json, Offer, Params
from exs.rows import JobRow
from exs.store import keys, records
from exs.store.connect import sentences
from exs.store.jobrows import job_row
from exs.store.look import PAGE, Watchers
from exs.store.push import Origin, new_id

#: States that a job may be added in or put into: in the others somebody holds it, or it is paused.
SETTABLE = (JobState.QUEUED, JobState.DONE, JobState.CRASHED, JobState.PRUNED)


def pool_of(experiment: str) -> str:
    """The pool of a pull experiment, which its holders offer to work for."""
    return keys.PULL_POOL + experiment


def is_puller(pools: Collection[str]) -> bool:
    """Whether a worker that serves these pools is a process that takes jobs of a pull experiment."""
    return bool(pools) and all(pool.startswith(keys.PULL_POOL) for pool in pools)


class Pullers(Watchers):
    """What makes pull experiments and their jobs, and what is written to them by hand."""

    def add_experiment(
        self,
        name: str,
        origin: Origin,
        *,
        scheduler: Mapping[str, Json] | None = None,
        priority: int = DEFAULT_PRIORITY,
        paused: str = "",
    ) -> bool:
        """Make an experiment for jobs that are added by hand; False when there is one of that name.

        `scheduler`: how jobs are drawn when none is queued. `paused`: why it gives out none yet.
        """
        meta = {
            "name": name, "user": records.plain(origin.user), "host": records.plain(origin.host),
            "source": records.plain(origin.source), "priority": priority,
            "scheduler": records.dumps(dict(scheduler)) if scheduler else "", **({"paused": paused} if paused else {}),
        }  # fmt: skip
        while True:
            code, _ = self._call("add", records.dumps({**meta, "id8": secrets.token_hex(4)}))
            if code != b"id":
                return bool(code == b"ok")

    def scheduler(self, name: str) -> dict[str, Json]:
        """How a pull experiment draws jobs; {} for one whose jobs are added by hand alone. Raises NotFound, Refused."""
        with sentences(self._url):
            kind, text = self._client.hmget(keys.EXPERIMENT + name, "kind", "scheduler")
        if kind is None:
            self.experiment(name)  # names those that are close
        if kind != b"pull":
            raise _no_pull(name, records.text(kind))
        found = records.loads(text, f"the scheduler of {name}") if text else {}
        return found if isinstance(found, dict) else {}

    def add_job(
        self,
        name: str,
        params: Params,
        state: JobState = JobState.QUEUED,
        results: Mapping[str, Json] | None = None,
        *,
        draw: bool = False,
    ) -> tuple[str, str] | None:
        """Add a job; its id and etag. With `draw` only where it could be taken at once and none waits, else None.

        Raises NotFound, Refused, InputError.
        """
        if state not in SETTABLE:
            raise _not_by_hand(state)
        head = (self._sized(params, "parameters", self.settings.limits.params_bytes), state.value)
        result = self._sized(results, "results", self.settings.limits.result_bytes) if results else ""
        while True:
            job = new_id()
            code, found = self._call("add_job", name, job, *head, result, int(draw))
            if code == b"ok":
                return job, records.text(found)
            if code in (b"open", b"closed"):
                return None
            if code == b"none":
                self.experiment(name)  # names those that are close
                raise NotFound(f"no experiment {name!r}.", "exs add makes one.")
            if code == b"kind":
                raise _no_pull(name, records.text(found))
            if code == b"archived":
                raise Refused(f"experiment {name} is archived.", f"exs unarchive {name}")

    def put(
        self, job: str, etag: str, attempt: str, state: JobState, params: Params, results: Mapping[str, Json]
    ) -> str | None:
        """Write a job's parameters, results and state; its new etag, or None where somebody else was faster.

        `etag`: of what was read last, "" to overwrite. `attempt`: of the holder who writes. Raises NotFound, Refused.
        """
        if state not in SETTABLE and state is not JobState.RUNNING:
            raise _not_by_hand(state)
        code, found = self._call(
            "put", job, etag, attempt, state.value,
            self._sized(params, "parameters", self.settings.limits.params_bytes),
            self._sized(results, "results", self.settings.limits.result_bytes) if results else "",
        )  # fmt: skip
        if code == b"gone":
            raise NotFound(f"no job {job!r}: it was removed.")
        if code == b"kind":
            raise Refused(f"job {job} belongs to workers: only jobs of `exs add` are written by hand.", "exs edit")
        if code == b"held":
            raise _not_by_hand(state)
        return records.text(found) if code == b"ok" else None

    def job_and_etag(self, job: str) -> tuple[JobRow, str]:
        """One job and the etag that `put` wants. Raises NotFound."""
        now, reply, _ = self._call("job", job)
        if not reply:
            raise NotFound(f"no job {job!r}.", "exs list -t NAME shows the ids.")
        return job_row(reply, now / 1000), records.etag(reply[2])

    def jobs_and_etags(self, name: str) -> Iterator[tuple[JobRow, str]]:
        """The jobs of an experiment in index order, a page at a time."""
        at = 0
        while at >= 0:
            now, at, *replies = self._call("jobs", name, at, -1, PAGE)
            for reply in replies:
                yield job_row(reply, now / 1000), records.etag(reply[2])

    def puller_up(self, offer: Offer, pid: int, start: int, version: str) -> None:
        """List a process that takes jobs of a pull experiment among the workers."""
        self._call("puller_up", offer.slot, offer.pools[0], offer.node, offer.boot, pid, start, version)

    def _sized(self, values: Mapping[str, Any], what: str, most: int) -> str:
        text = records.dumps(dict(values))
        if len(text.encode("utf-8", "surrogatepass")) > most:
            raise InputError(f"the {what} of a job take {len(text)} bytes of JSON, and {most} is the limit.")
        return text


def _no_pull(name: str, kind: str) -> Refused:
    return Refused(
        f"experiment {name} is a {kind} experiment: its jobs are run by workers.",
        "exs add NAME manual makes one for next_job() and exs pull.",
    )


def _not_by_hand(state: JobState) -> Refused:
    words = ", ".join(known.value for known in SETTABLE)
    return Refused(
        f"a job cannot be made {state.value} by hand: that takes who holds its lease.",
        f"There are: {words}. next_job() and exs pull make it RUNNING.",
    )
