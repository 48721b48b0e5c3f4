"""Chunks become files below one directory, and nowhere else, whatever the chunks say."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from exs.capsule.chunks import opened
from exs.errors import BrokenRecord
from exs.model import Json

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def unpack(chunks: Iterable[tuple[str, bytes]], root: str) -> None:
    """Make the files of these chunks, (name, bytes as they travelled), in the empty directory `root`.

    Links are made when all else is there, so that nothing is written through one. Raises BrokenRecord for a chunk that
    is not what its name says and for a member that would leave `root`; OSError where it cannot be written.
    """
    tree = _Tree(root)
    for name, data in chunks:
        items, contents = opened(data, name)
        tree.take(items, contents)
    tree.finish()


@dataclass
class _Tree:
    root: str
    _folders: dict[str, int] = field(default_factory=lambda: {"": 0o700})
    _links: dict[str, str] = field(default_factory=dict)
    _read_only: dict[str, int] = field(default_factory=dict)
    _last: str = ""
    _umask: int = field(default_factory=lambda: _umask())

    def take(self, items: list[list[Json]], contents: memoryview) -> None:
        at = 0
        for item in items:
            kind, path, *rest = _checked(item)
            if kind == "d":
                self._place(path)
                os.mkdir(f"{self.root}/{path}", 0o700)
                self._folders[path] = rest[0] | 0o700  # else nobody could remove what is in it
            elif kind == "l":
                self._place(path)
                self._links[path] = rest[0]
            else:
                length = rest[-1]
                if at + length > len(contents):
                    raise BrokenRecord(f"a chunk of a capsule ends within {path!r}.")
                self._write(kind, path, rest[0], contents[at : at + length])
                at += length

    def _write(self, kind: str, path: str, mode: int, data: memoryview) -> None:
        if kind == "f":
            self._place(path)
            fd = os.open(f"{self.root}/{path}", _NEW, mode)  # less what the umask takes
            self._last = path
        elif path == self._last:
            fd = os.open(f"{self.root}/{path}", os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
        else:
            raise BrokenRecord(f"a chunk of a capsule goes on with {path!r}, which did not begin.")
        try:
            while len(data):
                data = data[os.write(fd, data) :]
            if kind == "f" and (mode & self._umask or not mode & 0o200):
                os.fchmod(fd, mode | 0o200)
                if not mode & 0o200:
                    self._read_only[path] = mode
        finally:
            os.close(fd)

    def _place(self, path: str) -> None:
        """Raise BrokenRecord unless `path` can be made: below the root, in a directory that was made before."""
        folder, _, name = path.rpartition("/")
        if folder not in self._folders or name in ("", ".", "..") or "\0" in name or path in self._links:
            raise BrokenRecord(f"a capsule holds {path!r}, which would leave its directory or stands there twice.")

    def finish(self) -> None:
        """Make the links, and give their modes to directories and to what nobody may write."""
        for path, target in self._links.items():
            if os.path.lexists(f"{self.root}/{path}") or "\0" in target or os.path.isabs(target) or not target:
                raise BrokenRecord(f"a capsule holds a link {path!r} to {target!r} that cannot be.")
            os.symlink(target, f"{self.root}/{path}")
        top = os.path.realpath(self.root)
        for path, target in self._links.items():
            end = os.path.realpath(f"{self.root}/{path}")
            if end != top and not end.startswith(f"{top}/"):
                raise BrokenRecord(f"a capsule holds a link {path!r} to {target!r}, which leaves its directory.")
        for path, mode in (*self._read_only.items(), *self._folders.items()):
            if path:
                os.chmod(f"{self.root}/{path}", mode)


def _umask() -> int:
    """The umask of this process, read without changing it under another thread; all bits where that cannot be."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:  # noqa: PTH123
            return next(int(line.split()[1], 8) for line in file if line.startswith("Umask:"))
    except (OSError, StopIteration, ValueError):
        return 0o777


#: kind -> what stands behind the path.
_SHAPES: dict[str, tuple[type, ...]] = {"d": (int,), "l": (str,), "f": (int, int), "+": (int,)}


def _checked(item: Json) -> tuple[Json, ...]:
    """An item of a chunk, if it is one. Raises BrokenRecord."""
    if isinstance(item, list) and len(item) >= 2 and isinstance(item[1], str):
        kinds = _SHAPES.get(item[0]) if isinstance(item[0], str) else None
        rest = item[2:]
        if (
            kinds
            and len(kinds) == len(rest)
            and all(type(value) is kind for value, kind in zip(rest, kinds, strict=True))
        ):
            mode = rest[0] if item[0] in "df" else 0
            if 0 <= mode <= 0o777 and (item[0] not in "f+" or rest[-1] >= 0):
                return tuple(item)
    raise BrokenRecord("a chunk of a capsule lists what cannot be read.")
