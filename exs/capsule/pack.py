"""A scanned directory becomes chunks. What is read while somebody writes to it is noticed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass

from exs.capsule.chunks import LEAST, MOST, Manifest, chunk, digest, ends_chunk
from exs.capsule.ignore import EXSIGNORE
from exs.capsule.scan import Entry, Scan, walked
from exs.errors import InputError
from exs.model import Json

#: What an entry counts beside its path and content.
_ENTRY = 32


@dataclass(frozen=True)
class Capsule:
    """A packed directory. `chunks`: name -> bytes, uncompressed; they are in memory, at most `capsule_bytes`.

    `code`: digest of its files and links alone, the same wherever and whenever they are packed.
    """

    manifest: Manifest
    chunks: dict[str, bytes]
    code: str

    @property
    def name(self) -> str:
        """SHA-256 of the manifest: the same for the same files with the same record."""
        return digest(self.manifest.text().encode())


def pack(found: Scan, record: bytes = b"", no_code: str = "") -> Capsule:
    """The capsule of what was found; `record` says where it came from. The file at the path `no_code` belongs to it
    without being code: another one is no other code.

    Raises InputError for a file that cannot be read or that changed since it was found, also after it was read: the
    capsule is the tree of one moment or there is none.
    """
    parts: dict[str, bytes] = {}
    order: list[str] = []
    code = _Code(no_code)
    for raw in _chunks(found, code):
        name = digest(raw)
        order.append(name)
        parts[name] = raw
    for entry in found.entries:
        if entry.kind == "f":
            _check_same(entry, _stat(entry))
    kept = ""
    if record:
        kept = digest(record)
        parts[kept] = record
    return Capsule(Manifest(tuple(order), found.files, found.bytes, kept), parts, code.digest)


class _Code:
    """Takes the digest of code, entry by entry."""

    def __init__(self, without: str) -> None:
        self._without = without
        self._hash = hashlib.blake2b(digest_size=8)

    def add(self, entry: Entry, data: bytes = b"") -> None:
        if entry.path != self._without and entry.kind != "d":
            runs = entry.kind == "f" and bool(entry.mode & 0o100)  # what git keeps of a mode; the rest is the umask's
            head = [entry.kind, entry.path, runs, entry.target, len(data)]
            self._hash.update(json.dumps(head).encode())
            self._hash.update(data)

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


def _chunks(found: Scan, code: _Code) -> Iterator[bytes]:
    items: list[list[Json]] = []
    contents: list[bytes] = []
    held = 0
    for entry in walked(found):
        if entry.kind != "f":
            code.add(entry)
            items.append([entry.kind, entry.path, entry.target if entry.kind == "l" else entry.mode])
            held += _ENTRY + len(entry.path)
            if held >= MOST:
                yield chunk(items, contents)
                items, contents, held = [], [], 0
            continue
        data = _read(entry)
        code.add(entry, data)
        room = MOST - held
        if items and len(data) > room:
            yield chunk(items, contents)
            items, contents, held = [], [], 0
        items.append(["f", entry.path, entry.mode, min(len(data), MOST)])
        contents.append(data[:MOST])
        held += _ENTRY + len(entry.path) + len(contents[-1])
        for at in range(MOST, len(data), MOST):
            yield chunk(items, contents)
            piece = data[at : at + MOST]
            items, contents, held = [["+", entry.path, len(piece)]], [piece], len(piece)
        if held >= MOST or len(data) > LEAST or (held >= LEAST and ends_chunk(entry.path)):
            yield chunk(items, contents)
            items, contents, held = [], [], 0
    if items:
        yield chunk(items, contents)


def _read(entry: Entry) -> bytes:
    """All of a file, as it was when it was found. Raises InputError."""
    try:
        fd = os.open(entry.real, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            data = os.read(fd, entry.size + 1)
            while len(data) < entry.size and (more := os.read(fd, entry.size + 1 - len(data))):
                data += more
            _check_same(entry, os.fstat(fd))
        finally:
            os.close(fd)
    except OSError as error:
        raise InputError(f"cannot read {entry.real}: {error.strerror}.", f"Leave it out with {EXSIGNORE}.") from None
    if len(data) != entry.size:
        raise _changed(entry)
    return data


def _stat(entry: Entry) -> os.stat_result:
    try:
        return os.stat(entry.real)
    except OSError:
        raise _changed(entry) from None


def _check_same(entry: Entry, now: os.stat_result) -> None:
    if (now.st_ino, now.st_size, now.st_mtime_ns) != entry.seen:
        raise _changed(entry)


def _changed(entry: Entry) -> InputError:
    return InputError(
        f"{entry.real} changed while it was packed; nothing was pushed.",
        f"Push again; what is always written to stands better in {EXSIGNORE}.",
    )
