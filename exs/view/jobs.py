"""`exs list -t NAME`: the jobs of an experiment as one table of parameters, status and results."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from exs.model import HELD, JobState, Json
from exs.rows import ExperimentRow, JobRow
from exs.view import records
from exs.view.columns import WORD, Choice, assignments, cells, choose, column_of
from exs.view.counts import counted
from exs.view.experiments import pace_line, paused
from exs.view.fields import Field
from exs.view.screen import STATE_STYLE, Screen
from exs.view.tables import WHOLE, Column, psql, values
from exs.view.text import cut, masked, safe, shown, width, without_secrets
from exs.view.when import duration, until

#: Terminal columns of a crashed job's last line in its note, and on a page of its own.
_LAST_WORDS = 60
LAST_WORDS_ON_PAGE = 300
#: Share of its beginning in a note that is cut: an exception says first what it is.
_FRONT = 0.75
#: How the name of a repeated job ends.
_REPEAT = re.compile(r"-r([0-9]+)\Z")
#: Results whose extremes stand under the table.
_EXTREMES = 3


#: What happens to a job of which something other than `asked to ...` is wanted.
_ASKED = {"preempt": "stops, to run on later", "edit": "stops, to run anew as edited"}


@dataclass
class JobTable:
    """`rows` of one experiment in the order to show; `now` is Redis time.

    `everything` shows constant parameters as columns, and nothing is left out or cut to the screen's width.
    `fields`: the columns, instead of those that it chooses. A pull experiment's table is Schedy's: every parameter and
    result, no title, no places and times.
    """

    experiment: ExperimentRow
    rows: Sequence[JobRow]
    now: float
    everything: bool = False
    fields: Sequence[Field] = ()

    def lines(self, screen: Screen) -> Iterator[str]:
        choice = choose(self.rows, self.everything or self._pull)
        if not self._pull or not self.rows:
            yield self._title(screen, choice)
        if not self.rows:
            return
        free = Screen(None, screen.colour) if self.everything else screen
        if self.fields:
            yield from psql([field.column(self.rows) for field in self.fields], free)
            return
        yield from psql(self._columns(choice), free, _notes(self.rows))
        if len(self.rows) > 1:
            yield from _extremes(self.rows, choice, screen)
        if not self._pull and (pace := pace_line(self.experiment)):
            yield screen.paint(pace, "dim")

    @property
    def _pull(self) -> bool:
        return self.experiment.kind == "pull"

    def document(self) -> Mapping[str, Json]:
        return {
            "experiment": records.experiment(self.experiment),
            "jobs": (records.job(row, self.now) for row in self.rows),
        }

    def records(self) -> Iterator[Mapping[str, Json]]:
        if self.fields:
            for row in self.rows:
                yield {field.header: field.shown(row) for field in self.fields}
            return
        choice = choose(self.rows, everything=True)
        for row in self.rows:
            record = records.job(row, self.now)
            params, result = record.pop("params"), record.pop("metrics") | record.pop("result")
            flat = {"id": record.pop("id"), "index": record.pop("index"), "status": record.pop("status")}
            flat |= {choice.header(name, False): params.get(name) for name in choice.params}
            flat |= {choice.header(name, True): result.get(name) for name in choice.results}
            yield flat | {f"job.{k}" if k in flat else k: v for k, v in records.flat(record).items()}

    def ids(self) -> Iterator[str]:
        return (row.id for row in self.rows)

    def _title(self, screen: Screen, choice: Choice) -> str:
        left = screen.paint(safe(self.experiment.name), "bold")
        if self.experiment.paused:
            left += f"  ({paused(self.experiment)})"
        constants = assignments(choice.constants)
        if constants:
            left += f"  {constants if self.everything else cut(constants, max(20, (screen.width or 200) - 40))}"
        right = counted(self.experiment.counts, screen)
        if len(self.rows) != self.experiment.jobs:
            right += f"  ({len(self.rows)} shown)"
        return f"{left}  |  {right}"

    def _columns(self, choice: Choice) -> list[Column]:
        rows = self.rows
        ids = [safe(row.id) for row in rows]
        columns: list[Column] = []
        if not self._pull:
            columns.append(Column("#", [str(row.index) for row in rows], right=True, least=WHOLE))
            columns.append(Column("id", ids, least=WHOLE, spare=9000, silent=True))
        else:
            columns.append(Column("id", ids, least=WHOLE))
        styles = [STATE_STYLE[row.state] for row in rows]
        columns.append(Column("status", [row.state.value for row in rows], least=WHOLE, style=styles.__getitem__))
        if len({row.commands for row in rows}) > 1:
            columns.append(Column("commands", [safe(", ".join(row.commands)) or "all" for row in rows]))
        if _told_apart_by_name(rows):
            columns.append(_names(rows))
        # Where there is no room, ids go first, then times, places, results and parameters, from the last on.
        for at, name in enumerate(choice.params):
            cell = cells(column_of(rows, name, False), name)
            columns.append(values(safe(choice.header(name, False)), cell, spare=1 + at))
        for at, name in enumerate(choice.results):
            cell = cells(column_of(rows, name, True), name)
            columns.append(values(safe(choice.header(name, True)), cell, spare=1000 + at))
        if self._pull and not self.everything:
            return columns
        places = [where(row, self.now) for row in rows]
        if any(places):
            columns.append(Column("where", places, least=15, spare=7000))
        times = [duration(records.run_time(row, self.now)) if row.started_at else "" for row in rows]
        if any(times):
            columns.append(Column("time", times, right=True, least=WHOLE, spare=8000))
        return columns


def _told_apart_by_name(rows: Sequence[JobRow]) -> bool:
    """True if parameters and commands do not: of repeats, which stand one behind the other."""
    in_order = sorted(rows, key=lambda row: row.index)
    return any(a.name != b.name and a.params == b.params and a.commands == b.commands for a, b in pairwise(in_order))


def _names(rows: Sequence[JobRow]) -> Column:
    """The names of jobs; of repeats, whose names are their parameters once more, the number alone."""
    repeats = [_REPEAT.search(row.name) for row in rows]
    if all(repeats):
        return Column("repeat", [found[1] for found in repeats if found], right=True, least=WHOLE)
    return Column("name", [cut(safe(without_secrets(row.name, row.params)), WORD) for row in rows])


def where(row: JobRow, now: float) -> str:
    """Where a job runs or ran, `gpu01:0,1`, or why it has no place yet, `retry in 12s`."""
    if row.state is JobState.QUEUED:
        if row.retry_at > now:
            return f"retry in {until(row.retry_at, now)}"
        return row.why or "queued"
    return f"no contact {duration(row.lease_late)}" if _suspect(row) else place(row)


def place(row: JobRow) -> str:
    """Node and GPUs of the last attempt, `gpu01:0,1`; "" if there was none."""
    return safe(f"{row.node}:{row.gpus}" if row.gpus else row.node)


def _suspect(row: JobRow) -> bool:
    return row.lease_late > 0 and row.state in HELD


def reason(row: JobRow, last_words: int = _LAST_WORDS) -> str:
    """Why a job did not end well, or what is odd about it, on one line; "" for nothing to say.

    `last_words`: terminal columns of what it printed last.
    """
    if row.state is JobState.CRASHED:
        detail = safe(row.detail) or (f"exit code {row.exit_code}" if row.exit_code is not None else "crashed")
        last = _last_words(row.tail, last_words)
        what = f"{detail}: {last}" if last and row.failure in ("", "error") else detail
        return what if row.failure in ("", "error") else f"{safe(row.failure)}: {what}"
    if _suspect(row):
        return f"last heard of on {place(row)}"
    if row.preempted_by and row.want == "preempt" and row.state in HELD:
        return f"preempted by {safe(row.preempted_by)}"
    if row.state is JobState.PAUSED or (row.state is JobState.PAUSING and row.want == "pause"):
        return f"paused by {safe(row.paused_by)}" if row.paused_by else "paused"
    if row.want and row.state in HELD:
        return _ASKED.get(row.want, f"asked to {safe(row.want)}")
    if row.state is JobState.QUEUED and row.attempts:
        not_on = f"not on {safe(', '.join(row.excluded))}" if row.excluded else ""
        return ", ".join(filter(None, (f"try {row.attempts + 1}", not_on, safe(row.detail))))
    if row.log_dropped and row.state is JobState.DONE:
        return "log cut short"
    return ""


def _last_words(tail: str, limit: int) -> str:
    """The last line that a program printed, where an exception names itself; "" if it printed nothing."""
    lines = tail.rstrip().rsplit("\n", 1)
    return cut(safe(lines[-1].rsplit("\r", 1)[-1].strip()), limit, _FRONT) if tail else ""


def selector(row: JobRow) -> str:
    """What a person types to name this job."""
    return f"{row.experiment}/{row.index}"


def _says_more(row: JobRow) -> str:
    """The command that says more of a job; one that a process took by itself has no log."""
    return f"exs {'logs' if row.log or row.spec else 'show'} {safe(selector(row))}"


def _notes(rows: Sequence[JobRow]) -> Column | None:
    """The last column: why a job crashed, and the command that says more."""
    reasons = [reason(row) for row in rows]
    commands = [_says_more(row) if row.state is JobState.CRASHED else "" for row in rows]
    if not any(reasons):
        return None

    def fitted(at: int, limit: int) -> str:
        command = commands[at]
        room = limit - width(command) - 2
        if not command or room < 8:
            return cut(command or reasons[at], limit, _FRONT)
        return f"{cut(reasons[at], room, _FRONT)}  {command}"

    texts = [f"{why}  {command}" if command else why for why, command in zip(reasons, commands, strict=True)]
    styles = ["red" if command else "yellow" for command in commands]
    return Column("note", texts, cutter=fitted, style=styles.__getitem__)


def _extremes(rows: Sequence[JobRow], choice: Choice, screen: Screen) -> Iterator[str]:
    """The lowest and the highest value of the first numeric results, with the parameters that made them.

    Which of the two is the best one is for the reader to say: nobody has declared an objective.
    """
    found: list[tuple[str, str, str]] = []
    for name in choice.results:
        values = zip(column_of(rows, name, True), rows, strict=True)
        numbers = [(value, row) for value, row in values if _number(value)]
        if len(numbers) < 2 or masked(name, 0.5) != 0.5:
            continue
        lowest, highest = min(numbers, key=_first), max(numbers, key=_first)
        if lowest[0] == highest[0]:
            continue
        for word, (value, row) in (("lowest", lowest), ("highest", highest)):
            params = assignments({key: row.params[key] for key in choice.params if key in row.params})
            found.append((f"{word} {safe(name)}", shown(value), f"#{row.index}  {params}"))
        if len(found) == 2 * _EXTREMES:
            break
    left = max((width(label) for label, _, _ in found), default=0)
    middle = max((width(value) for _, value, _ in found), default=0)
    for label, value, at in found:
        line = f"{label:<{left}}  {value:>{middle}}  {at}"
        yield cut(line, screen.width) if screen.width else line


def _first(pair: tuple[Any, JobRow]) -> Any:
    return pair[0]


def _number(value: Json) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
