"""Serves the logs and files of run directories to whoever asks through Redis: one thread per agent.

A request names a job, and a path only inside of its run directory. A file is served only if it is a regular file in a
directory whose `param.json` says that it is that job's, a log only if it is called `log.*` (F48, F49).
"""

from __future__ import annotations

import json
import logging
import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from exs.errors import ExsError, NotFound, RedisUnreachable
from exs.paths import RunDir, log_date, safe_file_name
from exs.rows import JobRow
from exs.store.logs import SUMMED, LogChunk, LogRequest, files_text
from exs.store.store import Store
from exs_worker import plainfile, runfiles
from exs_worker.rundir import MOST, working_directory

log = logging.getLogger("exs.worker")


class LogServer(threading.Thread):
    """Answers requests to one node until the process ends."""

    def __init__(self, store: Store, node: str, workdir: str) -> None:
        super().__init__(name="exs-logs", daemon=True)
        self._store = store
        self._node = node
        self._workdir = workdir
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End the thread after the request in hand."""
        self._stopped.set()

    def run(self) -> None:
        """The thread: until `stop`."""
        while not self._stopped.is_set():
            try:
                self.run_once()
            except RedisUnreachable:
                self._stopped.wait(self._store.settings.timing.reconnect)
            except Exception:  # one record that nobody foresaw must not silence every other log
                log.exception("cannot serve a log")
                self._stopped.wait(self._store.settings.timing.reconnect)

    def run_once(self) -> None:
        """Wait a moment for a request and answer it."""
        request = self._store.next_log_request(self._node, 3.0)
        if request is None:
            return
        try:
            chunk = answer(self._store, request, self._workdir)
        except RedisUnreachable:
            raise
        except (ExsError, OSError) as error:
            chunk = LogChunk(b"", 0, 0, str(error), request.what)
        except (ValueError, OverflowError, TypeError) as error:  # hostile offsets, paths, records
            chunk = LogChunk(b"", 0, 0, f"the request makes no sense: {error}.", request.what)
        self._store.answer_log(request, chunk)


def answer(store: Store, request: LogRequest, workdir: str) -> LogChunk:
    """What was asked for. Raises NotFound or OSError when there is no such thing here."""
    limits = store.settings.limits
    if request.what == "log":
        return _read_log(store, request, limits.log_chunk, workdir)
    files = _run_directory(store, store.job(request.job), workdir)
    if request.what == "list":
        text = files_text(runfiles.listed(files, limits.fetch_files))
        return LogChunk(text, 0, len(text), what="list")
    read, most = {"file": (runfiles.piece, limits.log_chunk), "sum": (runfiles.summed, SUMMED)}[request.what]
    data, size = read(files, request.path, max(0, request.offset), max(0, min(request.limit, most)))
    return LogChunk(data, request.offset, size, what=request.what)


def _read_log(store: Store, request: LogRequest, most: int, workdir: str) -> LogChunk:
    path = _log_path(store, request, workdir)
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise NotFound(f"{path.name} of job {request.job} is not a regular file.")
        offset = max(0, facts.st_size + request.offset) if request.offset < 0 else request.offset
        file.seek(offset)
        return LogChunk(file.read(max(0, min(request.limit, most))), offset, facts.st_size)


def _run_directory(store: Store, row: JobRow, workdir: str) -> RunDir:
    """The job's own on this node. Raises NotFound."""
    for files in _candidates(store, row, workdir):
        if _belongs(files.params, row.id):
            return files
    raise NotFound(f"{row.experiment}/{row.index} has no run directory on {row.node} any more.")


def _log_path(store: Store, request: LogRequest, workdir: str) -> Path:
    """The log of the job's directory that was asked for: of a command, of an attempt, else the newest."""
    row = store.job(request.job)
    if request.attempt:
        return _log_of_attempt(store, request, row, workdir)
    files = _run_directory(store, row, workdir)
    logs = _logs(files, request.command)
    if row.log and not request.command and Path(row.log) in logs:
        return Path(row.log)
    if logs:
        return max(logs, key=lambda path: path.lstat().st_mtime_ns)
    what = f"of a command named {request.command!r}" if request.command else "yet"
    raise NotFound(f"job {row.id} has no log {what}.")


def _log_of_attempt(store: Store, request: LogRequest, row: JobRow, workdir: str) -> Path:
    """All logs of an attempt end with the date of its beginning, by which they are told from those of others."""
    past = next((one for one in row.history if one.number == request.attempt), None)
    if past is None and request.attempt != row.attempts:
        raise NotFound(f"job {row.id} has no attempt {request.attempt}.")
    if past is not None and past.directory:
        row = replace(row, directory=past.directory)
    files = _run_directory(store, row, workdir)
    recorded = past.log if past is not None else row.log
    logs = _logs(files, request.command)
    if recorded:
        logs = [path for path in logs if log_date(path.name) == log_date(Path(recorded).name)]
    else:  # an attempt that runs has not told yet: what no earlier one wrote
        earlier = {log_date(Path(one.log).name) for one in row.history if one.log}
        logs = [path for path in logs if log_date(path.name) not in earlier] if past is None else []
    if recorded and not request.command and Path(recorded) in logs:
        return Path(recorded)
    if logs:
        return max(logs, key=lambda path: path.lstat().st_mtime_ns)
    raise NotFound(
        f"attempt {request.attempt} of job {row.id} left no log{f' of {request.command}' if request.command else ''}."
    )


def _candidates(store: Store, row: JobRow, workdir: str) -> Iterator[RunDir]:
    """Where the job's files can be: where its record says, else where a slot of this node puts them."""
    names = [name for name in (row.name, f"{row.name}-{row.id}") if safe_file_name(name)]
    if row.directory:
        roots = [RunDir(row.directory), *(RunDir(row.directory, name) for name in names)]
    else:
        spec = store.spec(row.experiment, row.spec)
        root = os.path.join(working_directory(spec, workdir), spec.output)
        roots = [RunDir(os.path.join(root, name)) if spec.job_dirs else RunDir(root, name) for name in names]
    yield from roots


def _logs(files: RunDir, command: str) -> list[Path]:
    prefix, suffix = f"log.{command}." if command else "log.", f".{files.suffix}" if files.suffix else ""
    return [path for path in Path(files.root).iterdir() if path.name.startswith(prefix) and path.name.endswith(suffix)]


def _belongs(params: str, job: str) -> bool:
    try:
        return bool(json.loads(plainfile.read_end(params, MOST)[0]).get("_job") == job)
    except (OSError, ValueError, AttributeError, RecursionError):
        return False
