"""Reading the queue: rows for people. Nothing here writes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from exs.errors import InputError, NotFound
from exs.model import JobState
from exs.rows import ExperimentRow, JobRow, SlotRow
from exs.store import keys, records, rows, slotrows
from exs.store.base import Base
from exs.store.connect import sentences
from exs.store.jobrows import Part, history_from, job_row
from exs.store.scripts import Arg

#: Rows per script call: about 3 ms of Redis.
PAGE = 400
#: Experiments per script call: the same.
_EXPERIMENTS = 100
#: Ids per command: a millisecond.
IDS = 10_000

_EXPERIMENT_ID = re.compile(r"[0-9a-f]{8}\Z")
_JOB_ID = re.compile(r"[a-z2-7]{4,10}\Z")
_SEGMENT = re.compile(r"s:\d{1,9}\Z")
_RANGE = re.compile(r"(?P<name>[^/]+)/(?P<first>\d{1,15})(?:-(?P<last>\d{1,15}))?\Z")


def is_beginning(word: str) -> bool:
    """True if `word` can be the beginning of a job's id and is no whole one."""
    return len(word) < 10 and _JOB_ID.match(word) is not None


class Watchers(Base):
    """What lists, tables and waits read."""

    def experiments(self) -> list[ExperimentRow]:
        """Every experiment, oldest first, with its counts; one round trip for a hundred."""
        left, *replies = self._call("experiments", _EXPERIMENTS)
        calls = ((_EXPERIMENTS, *left[at : at + _EXPERIMENTS]) for at in range(0, len(left), _EXPERIMENTS))
        for _, *more in self._stream("experiments", calls) if left else ():
            replies += more
        return [rows.experiment_row(reply) for reply in replies]

    def experiment(self, name_or_id: str) -> ExperimentRow:
        """One experiment by name, by its eight hex digits, or `last`. Raises NotFound, naming those that are close."""
        found = self._experiment(self.last() if name_or_id == "last" else name_or_id)
        if found is None:
            raise NotFound(f"no experiment {name_or_id!r}.{self._close_to(name_or_id)}", "exs list shows them.")
        return found

    def counts(self, name: str) -> dict[JobState, int]:
        """Jobs of an experiment by state; one round trip."""
        return dict(self.experiment(name).counts)

    def jobs(self, name: str, *, start: int = 0, stop: int = -1, states: Collection[JobState] = ()) -> list[JobRow]:
        """Jobs of an experiment in index order, from `start` to `stop` (both included, -1: the last)."""
        pages = self._job_pages(name, start, stop)
        listed = [job_row(reply, now) for now, replies in pages for reply in replies]
        return [row for row in listed if row.state in states] if states else listed

    def pages(self, name: str, part: Part | None = None) -> Iterator[list[JobRow]]:
        """All jobs of an experiment in index order, some hundreds at a time, for those who keep none of them.

        `part`: no more of each than this.
        """
        row_of = part.row if part else job_row
        for now, replies in self._job_pages(name, 0, -1, part.words if part else ()):
            yield [row_of(reply, now) for reply in replies]

    def _job_pages(self, name: str, start: int, stop: int, words: Sequence[Arg] = ()) -> Iterator[tuple[float, Any]]:
        """What `jobs.lua` answers of the jobs from `start` to `stop`, with when it is, a page after the other."""
        now, following, *replies = self._call("jobs", name, start, stop, PAGE, *words)
        yield now / 1000, replies
        if following >= 0:
            end = self._next_index(name) if stop < 0 else min(stop + 1, self._next_index(name))
            calls = ((name, at, min(at + PAGE, end) - 1, PAGE, *words) for at in range(following, end, PAGE))
            for now, _, *replies in self._stream("jobs", calls):
                yield now / 1000, replies

    def ids(self, name: str) -> list[str]:
        """The ids of an experiment's jobs in index order, for those who need nothing else: a tenth of `jobs`."""
        found: list[str] = []
        with sentences(self._url):
            fields = [records.text(field) for field in self._client.hkeys(keys.EXPERIMENT + name)]
            for segment in sorted(int(field[2:]) for field in fields if _SEGMENT.match(field)):
                start = 0
                while page := self._client.lrange(keys.jobs(name, segment), start, start + IDS - 1):
                    found += [records.text(job) for job in page if job]
                    start += IDS
        return found

    def job(self, job_id: str) -> JobRow:
        """One job with its earlier attempts. Raises NotFound."""
        now, reply, earlier = self._call("job", job_id)
        if not reply:
            raise NotFound(f"no job {job_id!r}.", "exs list -t NAME shows the ids.")
        row = job_row(reply, now / 1000)
        row.history = history_from(earlier, row)
        return row

    def find(self, selector: str, states: Collection[JobState] = ()) -> list[JobRow]:
        """The jobs a selector names: NAME, its id, NAME/17, NAME/20-25, `last`, a job id or a unique prefix of one.

        Raises NotFound or InputError, saying what was looked for.
        """
        ranged = _RANGE.match(selector)
        if ranged:
            name = self.experiment(ranged["name"]).name
            first, last = int(ranged["first"]), int(ranged["last"] or ranged["first"])
            if last < first:
                raise InputError(f"{selector}: {first} is behind {last}.", f"Write {name}/{last}-{first}.")
            found = self.jobs(name, start=first, stop=last, states=states)
            if not found and not states:
                raise NotFound(
                    f"experiment {name} has no job {selector.split('/')[1]}.", f"exs list -t {name} shows them."
                )
            return found
        whole = self._experiment(self.last() if selector == "last" else selector)
        row = self._by_prefix(selector) if whole is None else None
        if row is None:
            if whole is None:
                raise self._unknown(selector)
            return self.jobs(whole.name, states=states)
        return [row] if not states or row.state in states else []

    def last(self) -> str:
        """Name of the experiment that was pushed last. Raises NotFound when there is none."""
        with sentences(self._url):
            name = self._client.get(keys.LAST)
        if name is None:
            raise NotFound("no experiment was pushed yet.", "exs push sweep.yaml")
        return records.text(name)

    def workers(self) -> list[SlotRow]:
        """Every slot that has said something lately, by node and name."""
        return slotrows.slot_rows(*self._workers())

    def _experiment(self, name_or_id: str) -> ExperimentRow | None:
        found = self._named(name_or_id)
        if not found and _EXPERIMENT_ID.match(name_or_id):
            with sentences(self._url):
                name = self._client.hget(keys.IDS, name_or_id)
            found = self._named(records.text(name)) if name else None
        return found

    def _named(self, name: str) -> ExperimentRow | None:
        _, *replies = self._call("experiments", 1, name)
        return rows.experiment_row(replies[0]) if replies else None

    def _next_index(self, name: str) -> int:
        with sentences(self._url):
            return rows.whole(self._client.hget(keys.EXPERIMENT + name, "next"))

    def _by_prefix(self, prefix: str) -> JobRow | None:
        if not _JOB_ID.match(prefix):
            return None
        if len(prefix) == 10:
            try:
                return self.job(prefix)
            except NotFound:
                return None
        with sentences(self._url):
            found = sorted(self._client.scan_iter(match=f"{keys.RQ_JOB}{prefix}*", count=5000))
        ids = [records.text(key)[len(keys.RQ_JOB) :] for key in found]
        if len(ids) > 1:
            raise InputError(
                f"{prefix!r} is the beginning of {len(ids)} jobs: {', '.join(ids[:5])} ...",
                "Type more of it.",
            )
        return self.job(ids[0]) if ids else None

    def _unknown(self, selector: str) -> NotFound:
        """What is said to a selector that names nothing."""
        name, slash, _ = selector.partition("/")
        if slash and self._named(name):
            return NotFound(f"{selector!r} names no job of {name}.", f"Write {name}/17, or {name}/20-25 for several.")
        return NotFound(f"no experiment or job {selector!r}.{self._close_to(selector)}", "exs list shows them.")

    def _close_to(self, name: str) -> str:
        import difflib

        with sentences(self._url):
            names = [records.text(known) for known in self._client.zrange(keys.EXPERIMENTS, 0, -1)]
        close = difflib.get_close_matches(name, names, 1)
        return f" Did you mean {close[0]}?" if close else ""
