"""Which files, directories and links of a directory make its capsule. Reads no content but that of ignore files."""

from __future__ import annotations

import heapq
import os
import shlex
import stat
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from exs.capsule.ignore import DETIGNORE, EXSIGNORE, Rules, not_code, verdict
from exs.errors import InputError

MIB = 1 << 20
#: Of a capsule that is too large, so many files are named.
_NAMED = 5
#: Bytes of an ignore file.
_IGNORE_BYTES = 1 << 20


@dataclass(frozen=True)
class Entry:
    """One thing in a capsule. `path`: below its root, with `/`; bytes that are no UTF-8 as surrogates.

    `real`: where it is. `kind`: "d" directory, "f" file, "l" link to `target`. `mode`: its nine permission bits.
    `seen`: what must be the same when a file has been read: inode, size, time of change in ns.
    """

    path: str
    real: str
    kind: str
    mode: int = 0
    size: int = 0
    target: str = ""
    seen: tuple[int, int, int] = (0, 0, 0)


@dataclass
class Scan:
    """What was found below `root`, parents before children. `skipped`: sockets, pipes and devices."""

    root: str
    entries: list[Entry] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @property
    def files(self) -> int:
        """How many files."""
        return sum(entry.kind == "f" for entry in self.entries)

    @property
    def bytes(self) -> int:
        """Bytes of content of all files."""
        return sum(entry.size for entry in self.entries)


def scan(
    root: str, includes: Sequence[str] = (), apart: Collection[str] = (), *, most_bytes: int, most_files: int
) -> Scan:
    """What of the directory `root`, and of the files and directories `includes`, belongs to the capsule.

    An included file stands at the root of the capsule, an included directory under its own name. `apart`: absolute
    paths that do not belong to it. Raises InputError for what cannot be packed: no directory, a link that leaves the
    root, the same path twice, more than `most_bytes` of content (the largest files are named) or `most_files` entries.
    """
    if not os.path.isdir(root):
        what = "is not a directory" if os.path.lexists(root) else "does not exist"
        hint = "A single file travels with --include FILE." if os.path.isfile(root) else ""
        raise InputError(f"the context {root} {what}.", hint)
    found = Scan(os.path.abspath(root))
    walk = _Walk(found, frozenset(map(os.path.abspath, apart)), most_files)
    walk.folder(found.root, "", Rules())
    for path in includes:
        walk.include(path)
    _check_twice(found.entries)
    _check_size(found, most_bytes)
    return found


@dataclass
class _Walk:
    found: Scan
    apart: frozenset[str]
    most: int
    _top: str = ""  # what links must not leave, as the file system names it

    def include(self, path: str) -> None:
        name = os.path.basename(os.path.abspath(path))
        if os.path.isdir(path):
            before = len(self.found.entries)
            self._add(Entry(name, path, "d", stat.S_IMODE(os.stat(path).st_mode) & 0o777))
            self.folder(os.path.abspath(path), "", Rules(), name)
            assert len(self.found.entries) > before
        elif os.path.isfile(path):
            self._file(name, path, os.stat(path))
        else:
            raise InputError(f"--include {path}: there is no such file or directory.")

    def folder(self, real: str, path: str, rules: Rules, under: str = "") -> None:
        """Everything in the directory `real`, at `path` below the root of what is walked, which stands `under`."""
        if not path:
            self._top = os.path.realpath(real)
        with _readable(real), os.scandir(real) as listing:
            entries = sorted(listing, key=lambda entry: os.fsencode(entry.name))
        names = {entry.name for entry in entries}
        if path and not_code(names):
            self.found.entries.pop()  # the directory itself, which was added last
            return
        for name in (DETIGNORE,) * (not path) + (EXSIGNORE,):
            if name in names:
                rules = rules.below(path, verdict(_text(f"{real}/{name}"), f"{real}/{name}"))
        for entry in entries:
            self._one(entry, f"{path}/{entry.name}" if path else entry.name, rules, under)

    def _one(self, entry: os.DirEntry[str], path: str, rules: Rules, under: str) -> None:
        where = f"{under}/{path}" if under else path
        with _readable(entry.path):
            folder = entry.is_dir(follow_symlinks=False)
            if rules.leave_out(path, entry.name, folder) or (self.apart and entry.path in self.apart):
                return
            if entry.is_symlink():
                self._link(where, entry.path)
                return
            info = entry.stat(follow_symlinks=False)
        if folder:
            self._add(Entry(where, entry.path, "d", info.st_mode & 0o777))
            self.folder(entry.path, path, rules, under)
        elif stat.S_ISREG(info.st_mode):
            self._file(where, entry.path, info)
        else:
            self.found.skipped.append(where)

    def _file(self, where: str, real: str, info: os.stat_result) -> None:
        seen = (info.st_ino, info.st_size, info.st_mtime_ns)
        self._add(Entry(where, real, "f", info.st_mode & 0o777, info.st_size, "", seen))

    def _link(self, where: str, real: str) -> None:
        target = os.readlink(real)
        end = os.path.realpath(real)
        inside = end == self._top or end.startswith(self._top.rstrip("/") + "/")
        if not inside:
            raise InputError(
                f"{real} is a link to {target}, outside of what is packed: a node does not have that.",
                f"Leave it out with a line /{where} in {EXSIGNORE}, or let --include send what it names.",
            )
        if os.path.isabs(target):
            relative = os.path.relpath(end, os.path.realpath(os.path.dirname(real)))
            raise InputError(
                f"{real} is a link to {target}: a node has this directory in another place.",
                f"Name it as seen from the link: ln -sfn {shlex.quote(relative)} {shlex.quote(real)}",
            )
        self._add(Entry(where, real, "l", target=target))

    def _add(self, entry: Entry) -> None:
        if len(self.found.entries) >= self.most:
            raise InputError(
                f"{self.found.root} holds more than {self.most} files and directories (capsule_files).",
                f"Name the directory of the code, or leave the rest out with {EXSIGNORE}.",
            )
        self.found.entries.append(entry)


class _readable:
    """Turns what the file system says against reading `path` into a sentence."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if isinstance(error, OSError):
            raise InputError(
                f"cannot read {error.filename or self._path}: {error.strerror}.",
                f"Leave it out with {EXSIGNORE}, or push without code: --no-context.",
            ) from None


def _text(path: str) -> str:
    with _readable(path), open(path, "rb") as file:  # noqa: PTH123
        return file.read(_IGNORE_BYTES).decode("utf-8", "surrogateescape")


def _check_twice(entries: Sequence[Entry]) -> None:
    seen: dict[str, str] = {}
    for entry in entries:
        if entry.path in seen:
            raise InputError(
                f"duplicate path {entry.path!r}: {seen[entry.path]} and {entry.real} would be the same in the capsule.",
                "Leave one of them out.",
            )
        seen[entry.path] = entry.real


def _check_size(found: Scan, most: int) -> None:
    total = found.bytes
    if total <= most:
        return
    largest = heapq.nlargest(_NAMED, found.entries, key=lambda entry: entry.size)
    named = ", ".join(f"{entry.path} {size(entry.size)}" for entry in largest if entry.size)
    raise InputError(
        f"the files of {found.root} take {total} bytes ({size(total)}); a capsule holds {most} ({size(most)}, "
        f"capsule_bytes). The largest: {named}.",
        f"Leave out with {EXSIGNORE} what is no code, or push without it: --no-context.",
    )


def size(number: int) -> str:
    """Bytes for people."""
    for unit, step in (("GiB", 1 << 30), ("MiB", MIB), ("KiB", 1 << 10)):
        if number >= step:
            return f"{number / step:.1f} {unit}"
    return f"{number} B"


def walked(scan: Scan) -> Iterator[Entry]:
    """The entries of a scan in the order in which they are packed: by path, parents before children."""
    yield from sorted(scan.entries, key=lambda entry: os.fsencode(entry.path).split(b"/"))
