"""The queue from Python: push sweeps, watch them, steer them, and get their results.

    >>> import exs
    >>> queue = exs.connect()
    >>> sweep = {"name": "demo", "command": "python3 train.py --lr {lr}", "params": {"lr": [0.1, 0.01]}}
    >>> experiment = queue.push(sweep)
    >>> experiment.pushed.new
    2
    >>> [(job.index, dict(job.params), job.state.value) for job in experiment.jobs()]
    [(0, {'lr': 0.1}, 'QUEUED'), (1, {'lr': 0.01}, 'QUEUED')]
    >>> experiment.cancel(1)
    {'canceled': 1, 'asked': 0, 'already': 0, 'missing': 0}
    >>> {state.value: number for state, number in experiment.counts().items() if number}
    {'QUEUED': 1, 'CANCELED': 1}

Where `exs worker` runs, `experiment.wait()` returns when all is over, `experiment.events()` tells what happens
meanwhile, and `experiment.frame()` has parameters and results as a pandas DataFrame.

Every error is an `exs.errors.ExsError`: one sentence, and what to do. A Queue may be used from several threads.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exs import person
from exs import settings as settings_
from exs.errors import InputError, Refused
from exs.model import FINAL, JobState, Json, NewJob
from exs.rows import ExperimentRow, JobRow, Pushed, SlotRow
from exs.settings import Settings

if TYPE_CHECKING:
    from exs.store.push import Origin
    from exs.store.store import Store
    from exs.sweep.model import Sweep

#: Seconds between two looks of `wait` and `events`: at first, and after a while.
_FIRST_LOOK = 0.05
_LAST_LOOK = 1.0
#: A look of `events` reads every row, also where no count has changed, once in so many.
_WHOLE_LOOK = 10


def connect(url: str | None = None) -> Queue:
    """The queue at the Redis `url`, else the one that every command uses.

    That is EXS_REDIS_URL, `redis_url` in the config file, or a server of this user's own, started if it does not run.
    Raises InputError for what is no URL, RedisUnreachable where nothing answers.
    """
    ours = settings_.load()
    if url:
        ours = replace(ours, redis_url=url)
    if not ours.redis_url:
        from exs import server

        ours = replace(ours, redis_url=server.ensure(ours))
    from exs.store.store import open_store

    store = open_store(ours.redis_url, ours)
    store.ping()
    return Queue(store, ours)


def push_sweep(
    store: Store,
    sweep: Sweep,
    origin: Origin,
    *,
    jobs: Iterator[NewJob] | None = None,
    again: Collection[JobState] = (),
    on_busy: Callable[[], None] = lambda: None,
) -> Pushed:
    """Push a sweep with everything that it says; `jobs` stands for its own. Raises Refused, InputError.

    `again`: final states whose jobs run again. `on_busy` is called when it has to wait for another push of that name.
    """
    return store.push(
        sweep.name,
        sweep.spec,
        sweep.jobs() if jobs is None else jobs,
        origin,
        pool=sweep.pool,
        priority=sweep.priority,
        retries=sweep.retries,
        max_running=sweep.max_running,
        lost_after=sweep.lost_after,
        weight=sweep.weight,
        preemptible=sweep.preemptible,
        canary=sweep.canary,
        breaker=sweep.breaker,
        again=again,
        on_busy=on_busy,
    )


@dataclass(frozen=True)
class Event:
    """A job that is in another state than when it was looked at last. `before`: None when it is seen first."""

    job: JobRow
    state: JobState
    before: JobState | None


class Queue:
    """One queue. `store` is what commands stand on, for what is missing here; its methods may change."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store = store
        self.settings = settings

    @property
    def user(self) -> str:
        """The name under which this process pushes."""
        return person.user()

    def __repr__(self) -> str:
        return f"Queue({settings_.masked_url(self.store.url)!r})"

    def push(
        self,
        sweep: str | os.PathLike[str] | Mapping[str, Json] | Sweep,
        *,
        name: str | None = None,
        pool: str | None = None,
        priority: int | None = None,
        into: bool = False,
        force: bool = False,
    ) -> Experiment:
        """Queue a sweep, whole or not at all: the path of a file, a mapping such as a file holds, or a Sweep.

        What the experiment has already stays; `force` runs again what succeeded. `name`, `pool` and `priority` stand
        for the sweep's own. `into` adds to an experiment that came from another file or user. The counts are in
        `.pushed` of what it returns. Raises InputError, Refused.
        """
        read = self._read(sweep, name)
        read = replace(read, pool=pool or read.pool, priority=read.priority if priority is None else priority)
        if not 1 <= read.priority <= 99:
            raise InputError(f"priority must be 1 to 99, not {read.priority}.")
        if pool is not None:
            from exs.paths import checked_name

            checked_name(pool, self.settings.limits.name_chars, "pool", "name a pool")
        again = (JobState.DONE, JobState.PRUNED) if force else ()
        pushed = push_sweep(self.store, read, self.origin(read.source, into), again=again)
        return Experiment(self, read.name, replace(pushed, duplicates=read.duplicates))

    def experiment(self, name: str) -> Experiment:
        """One experiment by its name, its eight digits, or `last`. Raises NotFound, naming those that are close."""
        return Experiment(self, self.store.experiment(name).name)

    def experiments(self) -> list[Experiment]:
        """All experiments, oldest first."""
        return [Experiment(self, row.name) for row in self.store.experiments()]

    def job(self, job_id: str) -> JobRow:
        """One job with its earlier attempts. Raises NotFound."""
        return self.store.job(job_id)

    def jobs(self, *selectors: str, states: Collection[JobState | str] = ()) -> list[JobRow]:
        """The jobs that these name, as on the command line: NAME, NAME/17, NAME/20-25, an id, `last`.

        Raises NotFound, InputError.
        """
        found: dict[str, JobRow] = {}
        for selector in selectors:
            for row in self.store.find(selector, _states(states)):
                found.setdefault(row.id, row)
        return list(found.values())

    def cancel(self, *selectors: str, kill: bool = False) -> dict[str, int]:
        """End jobs: those that wait at once, running ones through their worker. How many of which."""
        return self.store.cancel([row.id for row in self.jobs(*selectors)], kill=kill)

    def retry(self, *selectors: str, force: bool = False) -> dict[str, int]:
        """Queue CRASHED and CANCELED jobs again, with `force` DONE ones too. How many of which."""
        return self.store.retry([row.id for row in self.jobs(*selectors)], force=force)

    def workers(self) -> list[SlotRow]:
        """Every slot that has said something lately."""
        return self.store.workers()

    def origin(self, source: str, into: bool = False) -> Origin:
        """Whose a push from here is."""
        from exs.store.push import Origin

        return Origin(self.user, person.host(self.settings), source, into)

    def checked_name(self, name: str) -> str:
        """`name`, if an experiment can have it. Raises InputError."""
        from exs.sweep.context import check_name

        return check_name(name, "name", self.settings.limits)

    def _read(self, sweep: str | os.PathLike[str] | Mapping[str, Json] | Sweep, name: str | None) -> Sweep:
        from exs.sweep.load import load_data, load_file
        from exs.sweep.model import Options, Sweep

        options, cwd = Options(name=name), Path.cwd()
        if isinstance(sweep, Sweep):
            return sweep if name is None else replace(sweep, name=self.checked_name(name))
        if isinstance(sweep, Mapping):
            script = sys.argv[0] if sys.argv and os.path.isfile(sys.argv[0]) else "python"
            return load_data(dict(sweep), script, options, self.settings.limits, cwd)
        return load_file(Path(sweep), options, self.settings.limits, cwd)


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
        return self.queue.store.jobs(self.name, states=_states(states))

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
        return self._switched(self.queue.store.pause_experiment(self.name, self.queue.user))

    def activate(self) -> bool:
        """Let workers take its jobs again. False if they may already."""
        return self._switched(self.queue.store.activate_experiment(self.name))

    def remove(self) -> dict[str, int]:
        """Forget the jobs, and the experiment when none is left: running ones stay. How many of which."""
        counts = self.queue.store.remove(self.queue.store.ids(self.name))
        self.queue.store.remove_experiment(self.name)
        return counts

    def _switched(self, answer: tuple[str, str]) -> bool:
        code, _ = answer
        if code == "missing":
            self.queue.store.experiment(self.name)  # names those that are close
        if code == "archived":
            raise Refused(f"experiment {self.name} is archived.", f"exs unarchive {self.name}")
        return code in ("paused", "active")

    def _ids(self, indices: Collection[int]) -> list[str]:
        if not indices:
            return self.queue.store.ids(self.name)
        rows = {row.index: row.id for row in self.jobs()}
        missing = sorted(set(indices) - set(rows))
        if missing:
            raise InputError(f"experiment {self.name} has no job {missing[0]}.", f"exs list -t {self.name}")
        return [rows[index] for index in indices]


def _states(words: Collection[JobState | str]) -> list[JobState]:
    """The states that these name. Raises InputError."""
    found = []
    for word in words:
        try:
            found.append(JobState(word.upper()))
        except (ValueError, AttributeError):
            known = ", ".join(state.value for state in JobState)
            raise InputError(f"{str(word)[:60]!a} is no status.", f"There are: {known}.") from None
    return found
