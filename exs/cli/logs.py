"""`exs logs`."""

from __future__ import annotations

import codecs
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from exs.cli.joblog import JobLog, Unreachable, of_attempt
from exs.cli.output import show_json
from exs.cli.patience import Patience
from exs.cli.selectors import Statuses, nothing_there, selected, selectors_argument, status_option
from exs.cli.session import note, open_store
from exs.errors import InputError, NotFound, RedisUnreachable
from exs.model import FINAL, Json
from exs.rows import JobRow
from exs.view.jobs import place, selector, where
from exs.view.text import safe, safe_lines

if TYPE_CHECKING:
    from exs.store.store import Store

#: Seconds between two looks at a log that is followed: soon after it grew, then ever later, up to this.
_SOON = 0.04
_LOOK = 0.3


@click.command("logs")
@selectors_argument
@status_option
@click.option("-f", "--follow", is_flag=True, help="Go on until the job is over.")
@click.option("-n", "--tail", "lines", type=click.IntRange(min=0), metavar="N", help="The last N lines only.")
@click.option("-c", "--command", "command_name", metavar="NAME", help="The log of this command; else of the last one.")
@click.option(
    "--attempt", type=click.IntRange(min=1), metavar="K", help="What it printed in its K-th attempt; else in the last."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document per job, with the log as text.")
@click.option("--raw", is_flag=True, help="On a terminal too, every byte as the job wrote it.")
def command(
    selectors: tuple[str, ...],
    states: Statuses,
    follow: bool,
    lines: int | None,
    command_name: str | None,
    attempt: int | None,
    as_json: bool,
    raw: bool,
) -> None:
    """What jobs printed, from whatever machine has it.

    Into a pipe or file every byte goes as it is. On a terminal, control characters are escaped.
    """
    if raw and as_json:
        raise click.UsageError("--raw writes the bytes of the job, --json a document: give one of them.")
    store = open_store()
    rows = selected(store, selectors, states)
    if not rows:
        raise nothing_there(selectors, states)
    if follow and len(rows) > 1:
        raise InputError(f"-f follows one job, these are {len(rows)}.", "Name one: NAME/17")
    if attempt:
        rows = [store.job(row.id) for row in rows]  # with its earlier attempts
    if command_name is not None:
        for row in rows:
            _check_command(store, row, command_name)
    wanted = Wanted(command_name or "", lines, attempt or 0)
    if as_json:
        if follow:
            raise InputError("-f and --json were both given: a log that is followed has no end.", "Leave one out.")
        _each(rows, lambda row: show_json(_document(store, row, wanted)))
        return
    sink = _Sink(raw or not sys.stdout.isatty())

    def show(row: JobRow) -> None:
        if len(rows) > 1:
            sink.text(f"{chr(10) if row is not rows[0] else ''}==> {safe(selector(row))} <==\n")
        if follow and wanted.attempt in (0, row.attempts):
            _follow(store, row, wanted.command, lines, sink)
        else:
            _print(store, row, wanted, sink)
        sink.end()

    _each(rows, show)


def _each(rows: Sequence[JobRow], show: Callable[[JobRow], None]) -> None:
    """Show every log that there is. Of several jobs one without a log is a remark, none with one is an error."""
    shown = 0
    silent: set[str] = set()
    for row in rows:
        if row.node in silent:  # it was waited for once
            note(f"{selector(row)}: {safe(row.node)} does not answer.")
            continue
        try:
            show(row)
            shown += 1
        except NotFound as error:
            if len(rows) == 1:
                raise
            note(error.message)
            if isinstance(error, Unreachable):
                silent.add(row.node)
    if not shown:
        raise NotFound(f"none of these {len(rows)} jobs has a log that can be read.")


class _Sink:
    """Standard output, exact or made safe for a terminal."""

    def __init__(self, exact: bool) -> None:
        self._exact = exact
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._open_line = False

    def write(self, data: bytes) -> None:
        """Bytes of a log."""
        if self._exact:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        elif data:
            self.text(safe_lines(self._decoder.decode(data)))
            self._open_line = not data.endswith(b"\n")

    def text(self, text: str) -> None:
        """Words of our own."""
        sys.stdout.write(text)
        sys.stdout.flush()

    def end(self) -> None:
        """Ends a last line that the job left open, where a prompt would follow it."""
        if not self._exact:
            self.text(safe_lines(self._decoder.decode(b"", final=True)))
            if self._open_line:
                self.text("\n")
            self._open_line = False


@dataclass(frozen=True)
class Wanted:
    """Of which command, "" for the last; how many lines of its end, None for all; of which attempt, 0 for the last."""

    command: str
    lines: int | None
    attempt: int


def _document(store: Store, row: JobRow, wanted: Wanted) -> dict[str, Json]:
    """A log for programs. `complete` is false when only its stored end could be had, or its last lines were wanted."""
    log, lines = JobLog(store, row, wanted.command, wanted.attempt), wanted.lines
    row = of_attempt(row, wanted.attempt)
    complete = lines is None
    try:
        data = b"".join(chunk.data for chunk in log.pieces(0 if lines is None else log.start_of_last(lines)))
    except Unreachable as error:
        data, complete = _stored_end(row, error, lines), False
    return {
        "job": row.id,
        "experiment": row.experiment,
        "index": row.index,
        "node": row.node or None,
        "command": wanted.command or None,
        "attempt": wanted.attempt or row.attempts or None,
        "complete": complete,
        "text": data.decode("utf-8", "backslashreplace"),
    }


def _print(store: Store, row: JobRow, wanted: Wanted, sink: _Sink) -> None:
    row, lines = of_attempt(row, wanted.attempt), wanted.lines
    if not row.node and not row.tail:
        state = where(row, store.now()) or row.state.value.lower()
        raise NotFound(f"{selector(row)} has not printed anything: it never started ({state}).")
    log = JobLog(store, row, wanted.command, wanted.attempt)
    try:
        for chunk in log.pieces(0 if lines is None else log.start_of_last(lines)):
            sink.write(chunk.data)
    except Unreachable as error:
        sink.write(_stored_end(row, error, lines))


def _stored_end(row: JobRow, error: Unreachable, lines: int | None = None) -> bytes:
    """The end of the output that came with the result, with a remark; raises `error` again if there is none."""
    if not row.tail:
        raise error
    note(f"{error.message} This is only the end of it, as stored with the result:")
    return _last_lines(row.tail, lines).encode()


def _last_lines(text: str, lines: int | None) -> str:
    kept = text.splitlines(keepends=True)
    return text if lines is None else "".join(kept[len(kept) - lines :] if lines < len(kept) else kept)


def _follow(store: Store, row: JobRow, name: str, lines: int | None, sink: _Sink) -> None:
    """Print what there is and what comes, until the job is over; its commands one after the other."""
    patience = Patience()
    row = _started(store, row, patience)
    names, before = patience.outlast(lambda: _to_follow(store, row, name))
    for number, each in enumerate(names):
        later = {other: before.get(other, 0) for other in names[number + 1 :]}
        for data in _growing(store, row.id, each, later, lines if number == 0 else None, patience):
            sink.write(data)


def _to_follow(store: Store, row: JobRow, name: str) -> tuple[list[str], Mapping[str, int]]:
    """The names of the commands to follow, and how large the logs were that earlier attempts wrote.

    Those do not say that this attempt has come as far. A single command needs no name.
    """
    names = [name] if name else _names(store, row)
    names = names if name or len(names) > 1 else [""]
    return names, {each: _size(store, row, each) for each in names} if row.attempts > 1 else {}


def _growing(
    store: Store, job: str, name: str, later: Mapping[str, int], lines: int | None, patience: Patience
) -> Iterator[bytes]:
    """The log of one command as it grows, until the job is over or one of the `later` commands writes.

    `later`: name -> size of its log before this attempt came to it.
    """
    offset: int | None = None if lines is not None else 0
    attempts, size, stale, told = 0, 0, -1, False
    pause = _SOON
    while True:
        pause = min(_LOOK, pause * 1.5)
        row, over = patience.outlast(lambda: _looked_at(store, job, later))
        if attempts and row.attempts > attempts:
            note(f"attempt {row.attempts} on {place(row)}")
            offset, stale = 0, size
        attempts = row.attempts
        try:
            log = JobLog(store, row, name)
            if offset is None:
                offset = log.start_of_last(lines or 0)
            # Until the new attempt has opened its log, the newest one is that of the attempt before.
            if over or stale < 0 or log.read(-1).size != stale:
                stale = -1
                for chunk in log.pieces(offset):
                    offset, size = chunk.offset + len(chunk.data), chunk.size
                    pause = _SOON if chunk.data else pause
                    yield chunk.data
        except Unreachable as error:
            if over:
                yield b"" if offset else _stored_end(row, error, lines)
            elif not told:
                note(f"{error.message} Still trying.")
            told = True
        except NotFound:
            pass  # not written yet, or skipped because it succeeded before
        except RedisUnreachable as error:
            patience.failed(error)
            continue
        if over:
            return
        time.sleep(pause)


def _looked_at(store: Store, job: str, later: Mapping[str, int]) -> tuple[JobRow, bool]:
    """The job, and whether there is no more to come: it is over, or one of the `later` commands has written."""
    row = store.job(job)
    return row, row.state in FINAL or any(_size(store, row, other) != old for other, old in later.items())


def _size(store: Store, row: JobRow, name: str) -> int:
    """Size of a command's newest log; 0 where there is none."""
    try:
        return JobLog(store, row, name).read(-1).size
    except NotFound:
        return 0


def _started(store: Store, row: JobRow, patience: Patience) -> JobRow:
    """The job once it runs, with a remark while it waits."""
    job = row.id
    if not row.node and row.state not in FINAL:
        note(f"{selector(row)} has not started yet ({where(row, patience.outlast(store.now))}); waiting")
    while not row.node and row.state not in FINAL:
        time.sleep(_LOOK)
        row = patience.outlast(lambda: store.job(job))
    return row


def _names(store: Store, row: JobRow) -> list[str]:
    return list(row.commands or store.spec(row.experiment, row.spec).commands)


def _check_command(store: Store, row: JobRow, name: str) -> None:
    names = _names(store, row)
    if name not in names:
        raise InputError(f"{selector(row)} has no command {name!r}.", f"There are: {', '.join(names)}.")
