"""The bytes of a capsule: chunks, each of some files, or of a part of a large one.

A chunk is a length of four bytes, a JSON list of what is in it, and the contents one behind the other:

    ["d", path, mode]   ["l", path, target]   ["f", path, mode, bytes]   ["+", path, bytes]: more of the last file

It ends where the name of a file says so, or when it is full: what stands before and behind a file that was changed
makes the same chunks as before, which need not be sent again. Bytes are the same for the same tree, on any machine:
they hold neither times nor owners. A chunk is known by its SHA-256, and so is the manifest that lists them.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import dataclass

from exs.errors import BrokenRecord
from exs.model import Json

#: Content after which a chunk may end ...
LEAST = 1 << 18
#: ... and must. A script that stores one holds Redis for less than a millisecond.
MOST = 1 << 20
#: One name in so many ends a chunk.
_ONE_IN = 64
#: Bytes of JSON in front of the contents, at most: a path of other bytes takes six for one.
HEADER = 1 << 23
VERSION = 1


def digest(data: bytes) -> str:
    """The name under which bytes are kept."""
    return hashlib.sha256(data).hexdigest()


def ends_chunk(path: str) -> bool:
    """True if a chunk ends with this file once it has `LEAST` bytes."""
    return zlib.crc32(path.encode("utf-8", "surrogateescape")) % _ONE_IN == 0


def chunk(items: list[list[Json]], contents: list[bytes]) -> bytes:
    """The bytes of a chunk."""
    header = json.dumps(items, separators=(",", ":")).encode()
    return b"".join((len(header).to_bytes(4, "big"), header, *contents))


def compressed(raw: bytes) -> bytes:
    """A chunk as it travels. zlib's fastest: what follows is worth less than the network that it saves."""
    return zlib.compress(raw, 1)


def opened(data: bytes, sha: str) -> tuple[list[list[Json]], memoryview]:
    """What a chunk that travelled as `data` lists, and its contents. Raises BrokenRecord if it is not the one that is
    called `sha`: whoever can write to Redis cannot make a node run other code than a push named."""
    raw = raw_of(data, sha)
    try:
        length = int.from_bytes(raw[:4], "big")
        items = json.loads(raw[4 : 4 + length])
    except (ValueError, RecursionError):
        items = None
    if not isinstance(items, list):
        raise BrokenRecord(f"chunk {sha[:12]} of a capsule cannot be read.")
    return items, memoryview(raw)[4 + length :]


def raw_of(data: bytes, sha: str) -> bytes:
    """The bytes that travelled as `data`, if they are those called `sha`. Raises BrokenRecord."""
    unpacker = zlib.decompressobj()
    try:
        raw = unpacker.decompress(data, 4 + HEADER + MOST + 1)
    except zlib.error:
        raw = b""
    if digest(raw) != sha:
        raise BrokenRecord(f"chunk {sha[:12]} of a capsule is not what its name says.")
    return raw


@dataclass(frozen=True)
class Manifest:
    """What a capsule is made of: `chunks` in order, and `record`, the chunk that says where it came from ("" for none).

    `files`, `bytes`: of content, for people.
    """

    chunks: tuple[str, ...]
    files: int
    bytes: int
    record: str = ""

    @property
    def tree(self) -> str:
        """The digest of the files alone: the same tree, packed in another place, has the same."""
        return digest("\n".join(self.chunks).encode())

    @property
    def parts(self) -> tuple[str, ...]:
        """All chunks, each once."""
        return tuple(dict.fromkeys((*self.chunks, self.record) if self.record else self.chunks))

    def text(self) -> str:
        """As JSON, always the same; `digest` of it names the capsule."""
        return json.dumps({"v": VERSION, **vars(self)}, separators=(",", ":"), sort_keys=True)


def manifest_from(data: bytes, name: str) -> Manifest:
    """The manifest of the capsule `name`. Raises BrokenRecord for another one or what cannot be read."""
    if digest(data) != name:
        raise BrokenRecord(f"the manifest of capsule {name[:12]} is not what its name says.")
    try:
        fields = json.loads(data)
        if fields.pop("v") != VERSION:
            raise BrokenRecord(f"capsule {name[:12]} is of another version of exs.", "Update exs on this node.")
        manifest = Manifest(**{**fields, "chunks": tuple(fields["chunks"])})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise BrokenRecord(f"the manifest of capsule {name[:12]} cannot be read.") from None
    if not all(isinstance(sha, str) for sha in (*manifest.chunks, manifest.record)):
        raise BrokenRecord(f"the manifest of capsule {name[:12]} cannot be read.")
    return manifest
