"""One experiment of a queue from Python: its jobs, its events, its results, and what steers it."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exs.answers import Change, Pushed
from exs.errors import InputError, Refused
from exs.model import FINAL, JobState, Json, Update
from exs.rows import ExperimentRow, JobRow

if TYPE_CHECKING:
    from exs.api.queue import Queue
    from exs.api.reader import Reader

#: Seconds between two looks of `wait` and `events`: at first, and after a while.
_FIRST_LOOK = 0.05
_LAST_LOOK = 1.0
#: A look of `events` reads every row, also where no count has changed, once in so many.
_WHOLE_LOOK = 10


@dataclass(frozen=True)
class Event:
    """A job that is in another state than when it was looked at last. `before`: None when it is seen first."""

    job: JobRow
    state: JobState
    before: JobState | None


class Experiment:
    """One experiment of a queue, by name: nothing of it is kept here. `pushed`: what the push that made it counted."""

    def __init__(self, queue: Queue, name: str, pushed: Pushed | None = None) -> None:
        self.queue = queue
        self.name = name
        self.pushed = pushed

    def __repr__(self) -> str:
        return f"Experiment({self.name!r})"

    @property
    def row(self) -> ExperimentRow:
        """What a line of `exs list` shows, as it is now. Raises NotFound."""
        return self.queue.store.experiment(self.name)

    def counts(self) -> dict[JobState, int]:
        """Jobs by state."""
        return self.queue.store.counts(self.name)

    def jobs(self, states: Collection[JobState | str] = ()) -> list[JobRow]:
        """The jobs in the order of the sweep, all or those in these states."""
        return self.queue.store.jobs(self.name, states=states_of(states))

    def wait(self, timeout: float | None = None) -> dict[JobState, int]:
        """Wait until every job is over; the counts. Raises TimeoutError after `timeout` seconds, nothing is changed."""
        deadline = None if timeout is None else time.monotonic() + timeout
        pause = _FIRST_LOOK
        while True:
            counts = self.counts()
            if not {state for state, number in counts.items() if number} - FINAL:
                return counts
            if deadline is not None and time.monotonic() >= deadline:
                left = sum(number for state, number in counts.items() if state not in FINAL)
                raise TimeoutError(f"{left} jobs of {self.name} are not over after {timeout:g} s.")
            time.sleep(pause if deadline is None else max(0.0, min(pause, deadline - time.monotonic())))
            pause = min(_LAST_LOOK, pause * 1.5)

    def events(self, *, follow: bool = False) -> Iterator[Event]:
        """What happens to the jobs: first each as it is, then each change of a state, until all are over.

        `follow` goes on after that, for jobs that are pushed later. It looks at the queue once a second: of changes
        that one job makes within a second only the last is told, in the order of the jobs. It never misses how a job
        stands in the end, asks nothing of workers and changes nothing.
        """
        known: dict[str, JobState] = {}
        last: dict[JobState, int] | None = None
        pause, look = _FIRST_LOOK, 0
        while True:
            counts = self.counts()
            if counts != last or look % _WHOLE_LOOK == 0:
                last = counts
                for row in self.jobs():
                    before = known.get(row.id)
                    if before is not row.state:
                        known[row.id] = row.state
                        pause = _FIRST_LOOK
                        yield Event(row, row.state, before)
            if not follow and all(state in FINAL for state in known.values()) and len(known) >= sum(counts.values()):
                return
            time.sleep(pause)
            pause, look = min(_LAST_LOOK, pause * 1.5), look + 1

    def frame(self) -> Any:
        """One row per job as a pandas DataFrame: id, index, status, parameters, results, and the rest of `exs list`.

        A parameter and a result of one name are `param.NAME` and `result.NAME`. Raises InputError without pandas.
        """
        try:
            import pandas
        except ImportError:
            raise InputError(
                "frame() makes a pandas DataFrame, and pandas is not installed.",
                "pip install pandas; jobs() has the same as rows, without it.",
            ) from None
        return pandas.DataFrame(list(self.records()))

    def reader(self) -> Reader:
        """Its jobs as a table that can be queried: `experiment.reader().filter("loss.min < 0.3")`."""
        from exs.api.reader import Reader

        return Reader(queue=self.queue, experiment=self.name)

    def records(self) -> Iterator[Mapping[str, Json]]:
        """The rows of `frame` as flat mappings, all with the same keys: what `exs list --csv` prints."""
        from exs.view.jobs import JobTable

        rows = self.jobs()
        return JobTable(self.row, rows, self.queue.store.now(), everything=True).records()

    def cancel(self, *indices: int, kill: bool = False) -> dict[str, int]:
        """End the jobs of these indices, without one all of them. How many of which."""
        return self.queue.store.cancel(self._ids(indices), kill=kill)

    def retry(self, *indices: int, force: bool = False) -> dict[str, int]:
        """Queue CRASHED and CANCELED jobs again, with `force` DONE ones too: these indices, or all."""
        return self.queue.store.retry(self._ids(indices), force=force)

    def pause(self) -> bool:
        """Let workers take no more of its jobs; those that run go on. False if it is paused already, or over."""
        return self._switched(self._listed(self.queue.store.pause_experiment(self.name, self.queue.user)))

    def activate(self) -> bool:
        """Let workers take its jobs again. False if they may already."""
        return self._switched(self._listed(self.queue.store.activate_experiment(self.name)))

    def archive(self) -> bool:
        """Take it out of the lists; its records stay. False if it is already. Raises Refused before it is over."""
        code = self.queue.store.archive(self.name)
        if code == "unfinished":
            raise Refused(f"experiment {self.name} is not over; it was not archived.", "wait() for it, or cancel() it.")
        return self._switched((code, ""))

    def unarchive(self) -> bool:
        """Bring it back into the lists. False if it is there."""
        return self._switched((self.queue.store.unarchive(self.name), ""))

    def update(
        self,
        *,
        priority: int | None = None,
        weight: float | None = None,
        pool: str | None = None,
        max_slots: int | str | None = None,
        ahead_of: str | None = None,
        behind_of: str | None = None,
        to_top: bool = False,
    ) -> list[Change]:
        """Change what the queue goes by, all of it or nothing: 1 is the best `priority`, `max_slots` may be "none".

        What is pushed later under the same name keeps it, as after `exs update`. Raises InputError, NotFound.
        """
        given = {"priority": priority, "weight": weight, "resource-pool": pool, "max-slots": max_slots}
        given |= {"ahead-of": ahead_of, "behind-of": behind_of, "to-top": "" if to_top else None}
        wanted = [Update(self.name, word, str(value)) for word, value in given.items() if value is not None]
        return self.queue.store.update(wanted) if wanted else []

    def remove(self) -> dict[str, int]:
        """Forget the jobs, and the experiment when none is left: running ones stay. How many of which."""
        counts, _ = self.queue.store.forget([self.name], self.queue.store.ids(self.name))
        return counts

    def _listed(self, answer: tuple[str, str]) -> tuple[str, str]:
        if answer[0] == "archived":
            raise Refused(f"experiment {self.name} is archived.", f"exs unarchive {self.name}")
        return answer

    def _switched(self, answer: tuple[str, str]) -> bool:
        code, _ = answer
        if code == "missing":
            self.queue.store.experiment(self.name)  # names those that are close
        return code in ("paused", "active", "archived", "unarchived")

    def _ids(self, indices: Collection[int]) -> list[str]:
        if not indices:
            return self.queue.store.ids(self.name)
        rows = {row.index: row.id for row in self.jobs()}
        missing = sorted(set(indices) - set(rows))
        if missing:
            raise InputError(f"experiment {self.name} has no job {missing[0]}.", f"exs list -t {self.name}")
        return [rows[index] for index in indices]


def states_of(words: Collection[JobState | str]) -> list[JobState]:
    """The states that these name. Raises InputError."""
    found = []
    for word in words:
        try:
            found.append(JobState(word.upper()))
        except (ValueError, AttributeError):
            known = ", ".join(state.value for state in JobState)
            raise InputError(f"{str(word)[:60]!a} is no status.", f"There are: {known}.") from None
    return found
