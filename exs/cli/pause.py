"""`exs pause`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from exs.cli.output import forms, jobs_of, say
from exs.cli.selectors import Statuses, selected, selectors_argument, status_option, whole_and_rest
from exs.cli.session import open_store, user
from exs.errors import NotFound
from exs.view.text import safe

if TYPE_CHECKING:
    from exs.store.store import Store

#: What is said of an experiment, by what became of it.
_SAID = {
    "paused": "paused {name}",
    "already": "{name} was paused already, by {by}",
    "over": "{name} has nothing left to run",
    "archived": "{name} is archived and has nothing left to run",
}


@click.command("pause")
@selectors_argument
@status_option
@click.option("--keep-running", is_flag=True, help="Let running jobs go on; no more are started.")
@click.option("--why", metavar="TEXT", default="", help="Shown beside your name wherever it is shown as paused.")
@forms(json="Print what became of it as JSON.", quiet="Print the ids of the jobs that leave their queue or GPU only.")
def command(selectors: tuple[str, ...], states: Statuses, keep_running: bool, why: str, form: str | None) -> None:
    """Keep jobs off the GPUs until `exs activate`; they keep their places.

    NAME pauses the experiment: nothing more of it is started, and what runs is asked to stop. A running job is told in
    $EXS_CONTROL and by SIGTERM (or stop_signal: of the sweep), may save a checkpoint, and is killed after the grace
    period. It is PAUSING until it is off the GPU. A pause is no failure and uses no retry.
    """
    store = open_store()
    by = " ".join(f"{user()}: {why}".split()) if why else user()
    names, rest = whole_and_rest(store, selectors, states)
    rows = [row for row in selected(store, rest, states) if row.experiment not in names]
    ids = [row.id for row in rows]
    counts = Counter(store.pause(ids, by))
    lines = [_of_jobs(counts)] if rest else []
    became: dict[str, str] = {}
    for name in names:
        became[name], who = store.pause_experiment(name, by)
        if became[name] == "missing":
            raise NotFound(f"no experiment {name!r}.", "exs list shows them.")
        held = [] if keep_running else store.held(name)
        found = store.pause(held, by)
        counts.update(found)
        ids += held
        lines.append(_SAID[became[name]].format(name=safe(name), by=safe(who)) + _of_running(store, name, found))
    say(form, {"experiments": became, **counts}, ids, lines)


def _of_jobs(counts: Mapping[str, int]) -> str:
    parts = []
    if counts["paused"] or not counts["asked"]:
        parts.append(f"paused {jobs_of(counts['paused'])}")
    if counts["asked"]:
        parts.append(f"asked {jobs_of(counts['asked'], 'running ')} to pause")
    line = ", ".join(parts)
    if counts["already"]:
        line += f"; {counts['already']} already so, or about to end"
    over = counts["over"] + counts["missing"]
    return line + (f"; {over} {'was' if over == 1 else 'were'} over already" if over else "")


def _of_running(store: Store, name: str, counts: Mapping[str, int]) -> str:
    """What becomes of the jobs of a paused experiment that run."""
    if counts["asked"]:
        return f", asked {jobs_of(counts['asked'], 'running ')} to pause"
    if counts["already"]:
        return f", {jobs_of(counts['already'])} still stopping"
    running = len(store.held(name))
    return f", {jobs_of(running, 'running ')} left to go on" if running else ""
