"""The queue from Python: what is pushed, found and steered by name."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from exs import person
from exs import settings as settings_
from exs.answers import Pushed
from exs.api.context import Wish
from exs.api.environment import with_environment
from exs.api.experiment import Experiment, states_of
from exs.errors import InputError
from exs.model import FORCED, IF_CODE_CHANGED, NOT_AGAIN, Again, JobState, Json, NewJob
from exs.rows import JobRow, SlotRow
from exs.settings import Settings

if TYPE_CHECKING:
    from exs.store.push import Origin
    from exs.store.store import Store
    from exs.sweep.model import Sweep


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
        if_code_changed: bool = False,
        context: str | os.PathLike[str] | None = None,
    ) -> Experiment:
        """Queue a sweep, whole or not at all: the path of a file, a mapping such as a file holds, or a Sweep.

        What the experiment has already stays; `force` runs again what succeeded, `if_code_changed` what succeeded or
        crashed with other code than travels along. `name`, `pool` and `priority` stand for the sweep's own. `context`:
        a directory of code that travels along; each job runs in a copy of it. `into` adds to an experiment that came
        from another file or user. The counts are in `.pushed` of what it returns.
        Raises InputError, Refused.
        """
        read = self._read(sweep, name)
        read = replace(read, pool=pool or read.pool, priority=read.priority if priority is None else priority)
        if not 1 <= read.priority <= 99:
            raise InputError(f"priority must be 1 to 99, not {read.priority}.")
        again = again_of(force, if_code_changed)
        if pool is not None:
            from exs.paths import checked_name

            checked_name(pool, self.settings.limits.name_chars, "pool", "name a pool")
        read = with_environment(read, (), ())
        if context is not None:
            from exs.api.code import send

            self.store.plan(read.name, (), self.origin(read.source, into))  # refused before the code travels
            read, _ = send(self.store, read, Wish(os.fspath(context)), self.settings)
        if if_code_changed and not read.code:
            raise InputError(
                "if_code_changed compares the code that travels along, and none does.", "Give context=DIR."
            )
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
            for row in self.store.find(selector, states_of(states)):
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


def again_of(force: bool, if_code_changed: bool) -> Again:
    """Which jobs that are over a push runs again. Raises InputError if both are said."""
    if force and if_code_changed:
        raise InputError(
            "force runs again all that succeeded, and if_code_changed only what ran with other code.",
            "Leave one of them out.",
        )
    return FORCED if force else IF_CODE_CHANGED if if_code_changed else NOT_AGAIN


def push_sweep(
    store: Store,
    sweep: Sweep,
    origin: Origin,
    *,
    jobs: Iterator[NewJob] | None = None,
    again: Again = NOT_AGAIN,
    paused: str = "",
    on_busy: Callable[[], None] = lambda: None,
) -> Pushed:
    """Push a sweep with everything that it says; `jobs` stands for its own. Raises Refused, InputError.

    `again`: which jobs that are over run again. `paused`: who keeps them from running, "" for nobody.
    `on_busy` is called when it has to wait for another push of that name.
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
        paused=paused,
        code=sweep.code,
        again=again,
        on_busy=on_busy,
    )
