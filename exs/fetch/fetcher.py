"""Fetches the run directories of jobs into one directory."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from exs.errors import ExsError, InputError, NotFound, Refused
from exs.fetch.part import Part, read
from exs.fetch.source import Silent, Source
from exs.paths import RunDir, fetch_stage, safe_file_name
from exs.rows import JobRow, RunFile, RunFiles

#: A file that is written while it is fetched is begun anew so often.
_TRIES = 3


class _Changed(Exception):
    """A file is not what it was when it was listed."""


@dataclass
class Fetched:
    """What became of one job's files. Paths of `large`, `left_out` and `problems` are inside the run directory."""

    row: JobRow
    target: Path
    source: str = ""  #: its directory on the node
    files: int = 0  #: that are there now
    size: int = 0  #: bytes of them
    came: int = 0  #: bytes that came now
    large: dict[str, int] = field(default_factory=dict)  #: path -> bytes of what is too large to go through Redis
    left_out: dict[str, str] = field(default_factory=dict)  #: path -> why
    problem: str = ""  #: why the directory is not complete
    more: bool = False  #: it holds more files than are listed


class Fetcher:
    """Fetches into one directory. One at a time: two would write the same files.

    `most`: bytes of the largest file. `said` hears of each piece: job, path, bytes of it that are there, its size.
    """

    def __init__(
        self, into: Path, most: int, said: Callable[[JobRow, str, int, int], None] = lambda row, path, done, size: None
    ) -> None:
        self._into = into
        self._stage = fetch_stage(into)
        self._most = most
        self._said = said
        self._lock = -1

    def __enter__(self) -> Fetcher:
        try:
            self._stage.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self._stage, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise Refused(
                f"another exs fetch writes to {self._into}.", "Wait for it, or name another directory."
            ) from None
        except OSError as error:
            raise _cannot(self._into, error) from None
        return self

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(OSError):
            self._stage.rmdir()  # unless something is left to go on with
        os.close(self._lock)

    def fetch(self, row: JobRow, source: Source) -> Fetched:
        """Bring one job's files. What keeps a file from coming is its `problem`; raises Refused, NotFound otherwise."""
        found = source.listed()
        done = Fetched(row, self._target(row, found), found.directory, left_out=dict(found.left_out), more=found.more)
        stage = self._stage / row.id
        try:
            for file in found.files:
                self._one(done, source, _checked(file), stage)
            if not done.problem:
                _prune(stage / "files", found)
                _move(stage, done.target)
        except OSError as error:
            raise _cannot(done.target, error) from None
        return done

    def _one(self, done: Fetched, source: Source, file: RunFile, stage: Path) -> None:
        if file.size > self._most:
            done.large[file.path] = file.size
            return
        if not (_is_there(done.target / file.path, file) or _is_there(stage / "files" / file.path, file)):
            try:
                done.came += self._bring(done.row, source, file, stage)
            except _Changed:
                done.problem = f"{file.path} changed each time that it was fetched"
                return
            except Silent:
                raise
            except NotFound as error:  # what a job that runs writes for a moment, or nobody may read
                done.left_out[file.path] = error.message
                return
        done.files += 1
        done.size += file.size

    def _bring(self, row: JobRow, source: Source, file: RunFile, stage: Path) -> int:
        """Fetch one file into the stage; returns the bytes that came. Raises _Changed."""
        came = 0
        for _ in range(_TRIES):
            part = Part(stage, file)
            with part.opened() as out:
                have = out.tell()
                self._said(row, file.path, have, file.size)
                for data in source.pieces(file, have):
                    out.write(data[: file.size - have])
                    have, came = have + len(data), came + len(data)
                    self._said(row, file.path, have, file.size)
            if part.same(source):
                part.keep()
                return came
            part.forget()
        raise _Changed

    def _target(self, row: JobRow, found: RunFiles) -> Path:
        """`<into>/<name of the run directory>`, with the job's id behind it where that is another's."""
        name = row.name if _shared(found) else os.path.basename(found.directory)
        if not safe_file_name(name) or name == self._stage.name:
            name = row.id
        owner = _owner(self._into / name, row)
        return self._into / (name if owner in (row.id, None) else f"{name[:200]}-{row.id}")


def _prune(files: Path, found: RunFiles) -> None:
    """Take out what came before and is no longer there."""
    wanted = {files / file.path for file in found.files}
    for path in [path for path in files.rglob("*") if path not in wanted and not path.is_dir()]:
        path.unlink()


def _move(stage: Path, target: Path) -> None:
    """Have the directory appear, or what is new in one that is there."""
    files = stage / "files"
    files.mkdir(parents=True, exist_ok=True)
    if not os.path.lexists(target):
        os.rename(files, target)
    else:
        for path in sorted(files.rglob("*")):
            place = target / path.relative_to(files)
            if path.is_dir():
                _real_directory(place)
            else:
                _real_directory(place.parent)
                os.replace(path, place)
    shutil.rmtree(stage)


def _real_directory(path: Path) -> None:
    """Make it unless it is there. Raises Refused for a link: what is behind it is not ours."""
    try:
        path.mkdir()
    except FileExistsError:
        if not stat.S_ISDIR(path.lstat().st_mode):
            raise Refused(f"{path} is in the way: not a directory.", "Remove it, or name another directory.") from None


def _is_there(path: Path, file: RunFile) -> bool:
    try:
        facts = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(facts.st_mode) and (facts.st_size, facts.st_mtime_ns) == (file.size, file.modified)


def _checked(file: RunFile) -> RunFile:
    """`file`, if it stays inside. Raises Refused."""
    if not all(map(safe_file_name, file.path.split("/"))) or file.size < 0 or not 0 <= file.modified < 1 << 63:
        raise Refused(f"the node has sent {file.path!r}, which is no file inside a run directory.")
    return file


def _shared(found: RunFiles) -> bool:
    """Whether jobs share the directory: its records then end with the name of the job."""
    return not any(file.path == "param.json" for file in found.files)


def _owner(target: Path, row: JobRow) -> str | None:
    """The job whose files a directory has; None where there is no such directory, "" for a stranger's."""
    if not os.path.lexists(target):
        return None
    for suffix in ("", row.name, f"{row.name}-{row.id}"):
        record = read(Path(RunDir(str(target), suffix).params))
        if isinstance(record, dict):
            return str(record.get("_job", ""))
    return ""


def _cannot(path: Path, error: OSError) -> ExsError:
    return InputError(f"cannot write to {path}: {error.strerror}.", "Name another directory.")
