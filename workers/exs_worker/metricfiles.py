"""The whole series of each metric in the run directory: `metrics/<name>.json`, lines like {"step": 3, "loss": 0.25}.

A new attempt writes new files under the old names, with what it keeps of the old ones: whoever still writes to the old
ones, because nobody could tell it that it was fenced out, writes to what has no name any more.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from urllib.parse import quote, unquote

from exs.paths import RunDir
from exs_worker import plainfile
from exs_worker.series import Point, checked

_ENCODE = json.JSONEncoder(allow_nan=False).encode
#: Bytes read at a time of an old file, and lines written at a time to its new one.
_PIECE, _MANY = 1 << 20, 10_000
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK


class MetricFiles:
    """The files of one attempt. `problem`: why something is missing in them; that is no reason to disturb the job."""

    def __init__(self, files: RunDir, attempt: str) -> None:
        self.problem = ""
        self._files = files
        self._attempt = attempt
        self._folder = -1
        self._open: dict[str, int] = {}
        self._lines: dict[str, list[str]] = {}
        self._labels: dict[str, str] = {}

    def old(self, until: float, before: float) -> Iterator[tuple[str, Point]]:
        """What earlier attempts left, up to the step `until` and before `before`; the rest leaves the files."""
        try:
            names = sorted(os.listdir(self._enter()))
        except OSError:
            return
        for file in names:
            name = self._name_in(file)
            if name is not None:
                yield from self._take_over(name, file, until, before)

    def add(self, name: str, point: Point) -> None:
        """One line more, in memory until `write`."""
        lines = self._lines.get(name)
        if lines is None:
            lines = self._lines[name] = []
            self._labels.setdefault(name, _ENCODE(name))
        step, value = point
        shown = f'"{value}"' if value.__class__ is str else repr(value)
        lines.append(f'{{"step": {step!r}, {self._labels[name]}: {shown}}}\n')

    def write(self) -> None:
        """Append what was added."""
        for name, lines in self._lines.items():
            try:
                fd = self._open.get(name, -1)
                if fd < 0:
                    fd = self._open[name] = self._create(name)
                self._append(fd, "".join(lines).encode())
            except (OSError, ValueError) as error:
                why = error.strerror if isinstance(error, OSError) else str(error)
                self.problem = self.problem or f"{os.path.basename(self._path(name))} is not whole: {why}"
        self._lines.clear()

    def close(self) -> None:
        """Write what is left, and let go of the files."""
        self.write()
        for fd in (*self._open.values(), self._folder):
            if fd >= 0:
                with contextlib.suppress(OSError):
                    os.close(fd)
        self._open.clear()
        self._folder = -1

    # ------------------------------------------------------------ files

    def _path(self, name: str) -> str:
        return self._files.metric(quote(name, safe=" ,=+@[]()"))

    def _name_in(self, file: str) -> str | None:
        """The metric in a file of this job; None for another file."""
        name = unquote(file.removesuffix(os.path.basename(self._files.metric(""))))
        return name if os.path.basename(self._path(name)) == file else None

    def _enter(self) -> int:
        """The folder, open; a link in its place is refused. Raises OSError."""
        if self._folder < 0:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
            self._folder = os.open(os.path.dirname(self._path("x")), flags)
        return self._folder

    def _create(self, name: str) -> int:
        """A new file for a metric. Raises OSError, ValueError where the job has one of that name of its own."""
        with contextlib.suppress(FileExistsError):
            os.mkdir(os.path.dirname(self._path(name)))
        folder, file = self._enter(), os.path.basename(self._path(name))
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        try:
            return os.open(file, flags, 0o666, dir_fd=folder)
        except FileExistsError:
            self._supersede(name, file)
            return os.open(file, flags, 0o666, dir_fd=folder)

    def _supersede(self, name: str, file: str) -> None:
        """Remove what another job left that shares this directory. Raises OSError, ValueError for a file of its own."""
        fd = os.open(file, _READ, dir_fd=self._folder)
        try:
            if _point(os.read(fd, _PIECE).partition(b"\n")[0], name) is None:
                raise ValueError("the job has a file of that name")
        finally:
            os.close(fd)
        os.unlink(file, dir_fd=self._folder)

    def _append(self, fd: int, data: bytes) -> None:
        """Whole lines or none of it: a disk that is full leaves no torn one. Raises OSError."""
        size = os.fstat(fd).st_size
        try:
            plainfile.write_all(fd, data)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(fd, size)
            raise

    def _take_over(self, name: str, file: str, until: float, before: float) -> Iterator[tuple[str, Point]]:
        """Put a new file with what is kept in the place of an old one of ours; one of the job's own stays as it is."""
        temporary = f".{self._attempt}.tmp"
        try:
            old = os.open(file, _READ, dir_fd=self._folder)
            new = os.open(
                temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW, 0o666,
                dir_fd=self._folder,
            )  # fmt: skip
        except OSError:
            return
        try:
            for number, line in enumerate(_lines(old)):
                point = _point(line, name)
                if point is None and not number:
                    raise ValueError("not ours")
                if point is None or point[0] > until or point[0] >= before:
                    continue
                self.add(name, point)
                yield name, point
                if len(self._lines[name]) >= _MANY:
                    self._append(new, "".join(self._lines.pop(name)).encode())
            self._append(new, "".join(self._lines.pop(name, ())).encode())
            if os.fstat(new).st_size:
                os.rename(temporary, file, src_dir_fd=self._folder, dst_dir_fd=self._folder)
                self._open[name], new = new, -1
            else:
                os.unlink(file, dir_fd=self._folder)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError):
                self.problem = self.problem or f"{file} is not whole: {error.strerror}"
            self._lines.pop(name, None)
        finally:
            os.close(old)
            if new >= 0:
                os.close(new)
                with contextlib.suppress(OSError):
                    os.unlink(temporary, dir_fd=self._folder)


def _lines(fd: int) -> Iterator[bytes]:
    rest = b""
    while data := os.read(fd, _PIECE):
        *lines, rest = (rest + data).split(b"\n")
        yield from lines


def _point(line: bytes, name: str) -> Point | None:
    """The point in a line; None for what we have not written."""
    try:
        found = json.loads(line)
        step = found["step"]
        if len(found) == 2 and isinstance(step, (int, float)):
            return step, checked(found[name])
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return None
