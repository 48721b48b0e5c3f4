"""The code of a job that was pushed: brought back, and compared with a directory of today."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exs.capsule.chunks import Manifest, manifest_from, opened, raw_of
from exs.capsule.scan import scan
from exs.capsule.unpack import unpack
from exs.errors import BrokenRecord, InputError, NotFound
from exs.model import Json, Spec
from exs.rows import JobRow

if TYPE_CHECKING:
    from exs.store.store import Store


@dataclass(frozen=True)
class Code:
    """The capsule of a job. `record`: `root`, the directory that was packed, `includes`, and what git knew of
    it: `commit`, `branch`, `diff`, `untracked`, `cut` (there was more), or `no_git`, why it knew nothing."""

    store: Store
    manifest: Manifest
    record: Mapping[str, Json]

    @property
    def root(self) -> str:
        """The directory that was packed."""
        return str(self.record.get("root", ""))

    @property
    def includes(self) -> Sequence[str]:
        """The files and directories that were packed beside it."""
        found = self.record.get("includes")
        return [path for path in found if isinstance(path, str)] if isinstance(found, list) else []


def code_of(store: Store, row: JobRow, spec: Spec) -> Code:
    """The code that a job runs. Raises NotFound for one without, BrokenRecord."""
    if not spec.capsule:
        raise NotFound(
            f"job {row.experiment}/{row.index} has no code of its own: it runs what is in {spec.cwd} on its node.",
            "exs push FILE DIR sends code along.",
        )
    manifest = manifest_from(store.capsule(spec.capsule), spec.capsule)
    record: Json = {}
    if manifest.record:
        ((name, data),) = store.chunks([manifest.record])
        record = _json(raw_of(data, name))
    return Code(store, manifest, record if isinstance(record, dict) else {})


def _json(data: bytes) -> Json:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise BrokenRecord("what is known of the origin of this code cannot be read.") from None


def bring(code: Code, target: str) -> None:
    """Make the directory `target` with the code in it, whole or not at all.

    Raises InputError where something is there already, or nothing can be made.
    """
    if os.path.lexists(target) and not (os.path.isdir(target) and not os.listdir(target)):
        raise InputError(f"{target} is there already.", "Name a directory that is not, or an empty one.")
    path = os.path.abspath(target)
    new = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.{os.getpid()}")
    try:
        os.makedirs(new)
        unpack(code.store.chunks(code.manifest.chunks), new)
        os.rename(new, path)
    except OSError as error:
        raise InputError(f"cannot make {target}: {error.strerror}.") from None
    finally:
        shutil.rmtree(new, ignore_errors=True)


def contents(code: Code) -> dict[str, str]:
    """What tells the content of each file and link of the code from another: path -> some hex digits."""
    return {
        path: hashlib.sha256(f"{kind} {mode & 0o111}".encode() + data).hexdigest()[:12]
        for path, (kind, mode, data) in _pushed(code).items()
        if kind != "d"
    }


#: path -> kind, mode, content or target.
_Tree = dict[str, tuple[str, int, bytes]]


def differences(code: Code, root: str, output: str = "") -> Iterator[str]:
    """What the directory `root` has otherwise than the code, as a unified diff from the code to it. Raises InputError.

    What its ignore rules leave out today is no difference, nor is `output`, where run directories are made. What was
    sent with --include is compared with what is there today.
    """
    then, now = _pushed(code), _found(root, code.includes, os.path.join(root, output))
    for path in sorted(then.keys() | now.keys()):
        old, new = then.get(path), now.get(path)
        if old != new:
            yield from _difference(path, old, new)


def _difference(path: str, old: tuple[str, int, bytes] | None, new: tuple[str, int, bytes] | None) -> Iterator[str]:
    if old and new and old[0] == new[0] and old[1] != new[1]:
        yield f"mode of {path}: {old[1]:o} -> {new[1]:o}"
    if old and new and old[2] == new[2] and old[0] == new[0]:
        return
    if (old or new or ("",))[0] == "d":
        yield f"{'only now' if new else 'only pushed'}: {path}/"
        return
    before, after = (_lines(each) for each in (old, new))
    if before is None or after is None:
        yield f"binary {path}: {'differs' if old and new else 'only now' if new else 'only pushed'}"
        return
    names = (f"pushed/{path}" if old else "/dev/null", f"now/{path}" if new else "/dev/null")
    lines = list(difflib.unified_diff(before, after, *names, lineterm=""))
    yield from lines or [f"{'only now' if new else 'only pushed'}: {path} (empty)"]


def _lines(entry: tuple[str, int, bytes] | None) -> list[str] | None:
    """The lines of a file or the target of a link; None for what is no text."""
    if entry is None:
        return []
    if b"\0" in entry[2]:
        return None
    try:
        return entry[2].decode("utf-8").splitlines()
    except UnicodeDecodeError:
        return None


def _pushed(code: Code) -> _Tree:
    tree: _Tree = {}
    for name, data in code.store.chunks(code.manifest.chunks):
        items, contents = opened(data, name)
        at = 0
        for kind, path, *rest in items:
            if kind == "l":
                tree[path] = ("l", 0, os.fsencode(rest[0]))
            elif kind == "d":
                tree[path] = ("d", rest[0], b"")
            else:
                piece = bytes(contents[at : at + rest[-1]])
                at += rest[-1]
                mode, before = (rest[0], b"") if kind == "f" else tree[path][1:]
                tree[path] = ("f", mode, before + piece)
    return tree


def _stands_in(root: str, include: str) -> bool:
    """True where `root` is what a checkout made, which has all in one directory."""
    return os.path.lexists(os.path.join(root, os.path.basename(include)))


def _found(root: str, includes: Sequence[str], output: str) -> _Tree:
    tree: _Tree = {}
    there = [path for path in includes if os.path.exists(path) and not _stands_in(root, path)]
    for entry in scan(root, there, {output}, most_bytes=1 << 40, most_files=1 << 30).entries:
        content = os.fsencode(entry.target)
        if entry.kind == "f":
            try:
                with open(entry.real, "rb") as file:  # noqa: PTH123
                    content = file.read()
            except OSError as error:
                raise InputError(f"cannot read {entry.real}: {error.strerror}.") from None
        tree[entry.path] = (entry.kind, entry.mode, content)
    return tree
