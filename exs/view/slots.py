"""`exs workers`: one line per slot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from exs.model import Json
from exs.rows import Drain, Hold, SlotRow, UnusedGpu
from exs.view import records
from exs.view.experiments import unused_lines, workers_line
from exs.view.screen import Screen
from exs.view.tables import WHOLE, Column, plain
from exs.view.text import safe
from exs.view.when import ago, clock_of_day, duration, until

_STATE_STYLE = {
    "busy": "cyan",
    "idle": "green",
    "suspended": "yellow",
    "draining": "yellow",
    "drained": "yellow",
    "gone": "red",
}


@dataclass
class SlotTable:
    """`rows` sorted by node and slot; `now` is Redis time, `quiet` the seconds of silence worth a note.
    `unused`: GPUs that get no job."""

    rows: Sequence[SlotRow]
    now: float
    quiet: float
    unused: Sequence[UnusedGpu] = ()

    def lines(self, screen: Screen) -> Iterator[str]:
        if self.rows:
            yield from plain(self._columns(), screen)
        yield workers_line(self.rows)
        yield from unused_lines(self.unused)
        if not self.rows:
            yield "start one on each machine: exs worker"

    def document(self) -> Mapping[str, Json]:
        return {
            "workers": [records.slot(row, self.now) for row in self.rows],
            "counts": records.slot_counts(self.rows),
            "unused_gpus": [records.unused_gpu(row) for row in self.unused],
        }

    def records(self) -> Iterator[Mapping[str, Json]]:
        for row in self.rows:
            line = None if row.drain is None else drain_line(row.drain, self.now)
            yield records.flat(records.slot(row, self.now) | {"drain": line})

    def ids(self) -> Iterator[str]:
        return (row.name for row in self.rows)

    def _columns(self) -> list[Column]:
        rows = self.rows
        styles = [_STATE_STYLE.get(row.state, "") for row in rows]
        jobs = [f"{row.experiment}/{row.index}" if row.experiment and row.index >= 0 else row.job for row in rows]
        ages = [duration(self.now - row.born_at) if row.born_at else "" for row in rows]
        columns = [
            Column("slot", [safe(row.name) for row in rows], least=12),
            Column("node", [safe(row.node) for row in rows], spare=2),
            Column("gpus", [safe(row.gpus) or "-" for row in rows]),
            Column("state", [safe(row.state) for row in rows], least=WHOLE, style=styles.__getitem__),
            Column("job", [safe(job) or "-" for job in jobs], least=12),
            Column("done", [str(row.done) for row in rows], right=True, least=WHOLE),
            Column("failed", [str(row.failed) for row in rows], right=True, least=WHOLE),
            Column("up", ages, right=True, least=WHOLE, spare=1),
        ]
        if any(row.pools != ("default",) for row in rows):
            columns.insert(3, Column("pools", [safe(",".join(row.pools)) for row in rows], spare=3))
        notes = [self._note(row) for row in rows]
        if any(notes):
            columns.append(Column("note", notes, least=16))
        return columns

    def _note(self, row: SlotRow) -> str:
        notes = [f"no contact {duration(row.seen_ago)}"] if row.seen_ago > self.quiet else []
        if row.hold is not None:
            notes.append(hold_line(row.hold))
        if row.leader:
            notes.append(f"with {safe(row.leader)}")
        if row.drain is not None:
            notes.append(drain_line(row.drain, self.now))
        if row.leaves:
            notes.append("leaves after its job")
        else:
            notes += [f"until {clock_of_day(row.until, self.now)}"] if row.until and row.until != row.ends else []
            notes += [f"ends {clock_of_day(row.ends, self.now)}"] if row.ends else []
        if row.max_jobs:
            notes.append(f"leaves after {row.max_jobs} jobs of its worker")
        if row.idle_exit:
            notes.append(f"leaves when idle for {duration(row.idle_exit)}")
        return ", ".join(notes)


def hold_line(hold: Hold) -> str:
    """For whom a slot is kept, and how far its set has come: `held for x/3, 2 of 4`."""
    whom = f"held for {safe(hold.experiment)}/{hold.index}"
    return f"{whom}, {hold.held} of {hold.wanted}" if hold.wanted else whom


def drain_line(drain: Drain, now: float) -> str:
    """Who drained it, when, how long what still runs may, and why: `by ann 5m ago: fan is loud`."""
    words = ["quarantined"] if drain.kind == "quarantine" else []
    if drain.by:
        words.append(f"by {safe(drain.by)}")
    if drain.at:
        words.append(ago(drain.at, now))
    if drain.stop_at > now:
        words.append(f"stops its job in {until(drain.stop_at, now)}")
    if drain.until > now:
        words.append(f"for {until(drain.until, now)} more")
    line = " ".join(words)
    return f"{line}: {safe(drain.why)}" if drain.why else line


def drained_line(drain: Drain, now: float) -> str:
    """The same where no column says that it is drained: `drained by ann 5m ago: fan is loud`."""
    line = drain_line(drain, now)
    return line if drain.kind == "quarantine" else f"drained {line}".rstrip()
