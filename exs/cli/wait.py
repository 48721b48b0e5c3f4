"""`exs wait`."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from exs.cli.eta import Eta
from exs.cli.output import forms, jobs_of, show_json
from exs.cli.patience import Patience
from exs.cli.progress import Progress
from exs.cli.selectors import selected, selectors_argument, whole_and_rest
from exs.cli.session import open_store, out_screen, put
from exs.errors import EXIT_JOB_FAILED
from exs.model import FINAL, HELD, JobState
from exs.view.counts import NO_WORKER, counted
from exs.view.experiments import paused
from exs.view.jobs import selector

if TYPE_CHECKING:
    from exs.store.store import Store

#: Seconds between two looks: a short sweep is noticed at once, a long one costs a command per second.
_FIRST_LOOK = 0.05
_LAST_LOOK = 1.0

_GOOD = frozenset({JobState.DONE, JobState.PRUNED})


@click.command("wait")
@selectors_argument
@forms(json="Print the final counts as JSON.", quiet="Print nothing.")
@click.pass_context
def command(ctx: click.Context, selectors: tuple[str, ...], form: str | None) -> None:
    """Wait until every job is over. Exit code 0 if all are done, 1 if one crashed or was canceled.

    Paused jobs are waited for. Ctrl-C ends the waiting and leaves the jobs alone.
    """
    screen = out_screen()
    silent = form is not None or not screen.terminal
    watch = _Watch(open_store(), selectors, shows=not silent)
    progress = Progress(silent)
    counts = watch.until_over(progress)
    progress.close()
    if form == "json":
        show_json({state.value: counts.get(state, 0) for state in JobState})
    elif form is None:
        put([counted(counts, screen)])
    if any(number for state, number in counts.items() if state not in _GOOD):
        ctx.exit(EXIT_JOB_FAILED)


class _Watch:
    """Counts the jobs that `selectors` name: whole experiments by their counters, others by reading their rows.

    `shows`: somebody wants to know how long it will take.
    """

    def __init__(self, store: Store, selectors: Sequence[str], shows: bool) -> None:
        self._store = store
        self._shows = shows
        self._pulled = False  # no worker takes them: processes of the user's do
        self._eta = Eta(store)
        self._left: float | None = None  # seconds, as Redis measured them
        self._held_up = ""  # what keeps jobs from running that nobody but a person ends
        self._names, jobs = whole_and_rest(store, selectors)
        self._indices: defaultdict[str, set[int]] = defaultdict(set)
        for row in selected(store, jobs):
            if row.experiment not in self._names:
                self._indices[row.experiment].add(row.index)

    def until_over(self, progress: Progress) -> Mapping[JobState, int]:
        """The final counts. A Redis that is away is waited for, as long as a lost job would be."""
        pause = _FIRST_LOOK
        patience = Patience(progress.above)
        told = said = False
        while True:
            counts = patience.outlast(self._counts)
            progress.show(counts, self._left)
            left = {state for state, number in counts.items() if number} - FINAL
            if not left:
                return counts
            idle = left == {JobState.QUEUED} and not self._held_up and not self._pulled
            if idle and not told and not patience.outlast(self._anybody):
                told = True
                progress.above(NO_WORKER)
            if self._held_up and not said and not left & HELD:
                said = True
                progress.above(f"{self._held_up}; still waiting")
            time.sleep(pause)
            pause = min(_LAST_LOOK, pause * 1.5)

    def _anybody(self) -> bool:
        """Whether any slot works or could; asked only while nothing runs."""
        return any(row.state in ("busy", "idle") for row in self._store.workers())

    def _counts(self) -> Mapping[JobState, int]:
        counts: Counter[JobState] = Counter()
        self._held_up = ""
        experiments = [self._store.experiment(name) for name in self._names]
        for row in experiments:
            name = row.name
            counts.update(row.counts)
            self._pulled = self._pulled or row.kind == "pull"
            if row.paused:
                self._held_up = f"{name} is {paused(row)}: exs activate {name}"
            elif row.counts.get(JobState.PAUSED):
                self._held_up = f"{jobs_of(row.counts[JobState.PAUSED], 'paused ')} in {name}: exs activate {name}"
        for name, indices in self._indices.items():
            rows = self._store.jobs(name, start=min(indices), stop=max(indices))
            found = [row for row in rows if row.index in indices]
            counts.update(row.state for row in found)
            held_up = next((row for row in found if row.state is JobState.PAUSED), None)
            if held_up is not None:
                self._held_up = f"{selector(held_up)} is paused: exs activate {selector(held_up)}"
        if self._shows and not self._indices:
            self._left = self._eta.of(experiments)
        return counts
