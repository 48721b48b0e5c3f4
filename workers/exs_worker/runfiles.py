"""The files of a run directory, for whoever may ask for them: listed, read and summed, and never left.

A job may have put anything there: links that lead elsewhere, pipes that nobody writes to, a million files. Each part of
a path is opened below the one before without following a link, and only plain files are read.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from exs.errors import NotFound
from exs.paths import RunDir, safe_file_name
from exs.rows import RunFile, RunFiles

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
#: Directories below each other; a path of more is no longer one that every system takes.
_DEPTH = 30
#: Our own, which nobody needs elsewhere: what the slot tells the job, and records that are being written.
_OURS = re.compile(r"\.exs-(?!report\.)")  # the reports are the results
_READ = 1 << 20


def listed(files: RunDir, most: int) -> RunFiles:
    """Plain files, of those in a directory that jobs share only this job's; at most `most`. Raises OSError."""
    found: list[RunFile] = []
    left_out: dict[str, str] = {}
    top = os.open(files.root, _DIRECTORY)
    try:
        more = not all(_walk(top, "", files.suffix, found, left_out, most))
    finally:
        os.close(top)
    found.sort(key=lambda file: file.path)
    return RunFiles(files.root, tuple(found), left_out, more)


def _walk(
    directory: int, prefix: str, suffix: str, found: list[RunFile], left_out: dict[str, str], most: int
) -> Iterator[bool]:
    """Fill `found` and `left_out`; yields False when there is no room for more."""
    with os.scandir(directory) as entries:
        for entry in entries:
            path = prefix + entry.name
            if not prefix and _OURS.match(entry.name):
                continue
            facts = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(facts.st_mode):
                yield from _walk_below(directory, entry.name, path, suffix, found, left_out, most)
            elif suffix and not entry.name.endswith(f".{suffix}"):
                continue
            elif len(found) + len(left_out) >= most:
                yield False
                return
            elif why := _unfit(path, facts.st_mode):
                left_out[path] = why
            else:
                found.append(RunFile(path, facts.st_size, facts.st_mtime_ns))


def _walk_below(
    directory: int, name: str, path: str, suffix: str, found: list[RunFile], left_out: dict[str, str], most: int
) -> Iterator[bool]:
    if path.count("/") >= _DEPTH:
        left_out[path] = f"more than {_DEPTH} directories deep"
        return
    try:
        below = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
    except OSError as error:  # removed, or replaced by a link, since it was listed
        left_out[path] = error.strerror or "cannot be read"
        return
    try:
        yield from _walk(below, f"{path}/", suffix, found, left_out, most)
    finally:
        os.close(below)


def _unfit(path: str, mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    if not stat.S_ISREG(mode):
        return "not a regular file"
    try:
        path.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    return ""


def piece(files: RunDir, path: str, offset: int, limit: int) -> tuple[bytes, int]:
    """Up to `limit` bytes of a file, and how large it is. Raises NotFound, OSError."""
    with _opened(files, path) as fd:
        return os.pread(fd, limit, offset), os.fstat(fd).st_size


def summed(files: RunDir, path: str, offset: int, limit: int) -> tuple[bytes, int]:
    """SHA-256 of up to `limit` bytes of a file in hex digits, and how large it is. Raises NotFound, OSError."""
    digest = hashlib.sha256()
    with _opened(files, path) as fd:
        end = offset + limit
        while offset < end and (data := os.pread(fd, min(_READ, end - offset), offset)):
            digest.update(data)
            offset += len(data)
        return digest.hexdigest().encode(), os.fstat(fd).st_size


@contextmanager
def _opened(files: RunDir, path: str) -> Iterator[int]:
    parts = path.split("/")
    if not all(map(safe_file_name, parts)) or len(parts) > _DEPTH + 1 or _OURS.match(parts[0]):
        raise NotFound(f"{path!r} is no path inside a run directory.")
    if files.suffix and not parts[-1].endswith(f".{files.suffix}"):
        raise NotFound(f"{path!r} is another job's.")
    at = os.open(files.root, _DIRECTORY)
    try:
        for part in parts[:-1]:
            below = os.open(part, _DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = below
        fd = os.open(parts[-1], _FILE, dir_fd=at)
    finally:
        os.close(at)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        yield fd
    finally:
        os.close(fd)
