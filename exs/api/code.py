"""The code that travels with a push: which directory it is, and how it comes to the queue."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from exs.api.context import Wish
from exs.capsule.chunks import compressed
from exs.capsule.pack import Capsule, pack
from exs.capsule.scan import Scan, scan, size
from exs.errors import InputError
from exs.settings import Settings

if TYPE_CHECKING:
    from exs.store.store import Store
    from exs.sweep.model import Sweep


@dataclass(frozen=True)
class Sent:
    """A capsule that is in the queue. `sent`: bytes that had to travel."""

    name: str
    found: Scan
    sent: int

    @property
    def summary(self) -> str:
        """One line."""
        noun = "file" if self.found.files == 1 else "files"
        text = f"code: {self.found.files} {noun}, {size(self.found.bytes)}, of {self.found.root}"
        return f"{text} ({size(self.sent)} sent)" if self.sent else f"{text} (there already)"


def directory_of(sweep: Sweep, context: str) -> str:
    """The directory that is packed: `context`, else where the push is made, if the sweep file is there or below, else
    that of the file. The commands run at its top.

    Nobody means a home directory or all of the disk without naming it: raises InputError where nothing else is left.
    """
    if context:
        return os.path.abspath(context)
    folder = os.path.dirname(sweep.source) if os.path.isfile(sweep.source) else sweep.spec.cwd
    choices = [sweep.spec.cwd, folder] if _within(folder, sweep.spec.cwd) else [folder]
    for found in choices:
        if not _within(os.path.expanduser("~"), found):
            break
    else:
        raise InputError(
            f"the code of {sweep.name} would be all of {folder}.",
            "Name its directory: exs push FILE DIR; or push without code: --no-context.",
        )
    return found


def _within(path: str, folder: str) -> bool:
    path, folder = os.path.realpath(path), os.path.realpath(folder)
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def packed(sweep: Sweep, wish: Wish, settings: Settings) -> tuple[Scan, Capsule]:
    """The capsule of a sweep. Raises InputError."""
    root, limits = directory_of(sweep, wish.context), settings.limits
    output = sweep.spec.output
    apart = {os.path.join(base, output) for base in (root, sweep.spec.cwd)}
    includes = [*wish.includes, *loose_files(sweep, root)]
    found = scan(root, includes, apart, most_bytes=limits.capsule_bytes, most_files=limits.capsule_files)
    return found, pack(found, _record(root, includes), _place(sweep.source, found))


def _place(file: str, found: Scan) -> str:
    """Where the sweep file stands in the capsule, "" for not at all.

    What it says of a job is in the job's point: one more value in it is no other code.
    """
    if not file.endswith((".yaml", ".yml")) or not os.path.isfile(file):
        return ""
    name, real = os.path.basename(file), os.path.realpath(file)
    same = (entry for entry in found.entries if os.path.basename(entry.real) == name)
    return next((entry.path for entry in same if os.path.realpath(entry.real) == real), "")


def loose_files(sweep: Sweep, root: str) -> list[str]:
    """The sweep's own `files` that would not be at the top of the capsule, where experiment-scheduler puts them."""
    paths = [os.path.join(sweep.spec.cwd, name) for name in sweep.files]
    return [path for path in dict.fromkeys(paths) if not os.path.lexists(os.path.join(root, os.path.basename(path)))]


def _record(root: str, includes: Sequence[str]) -> bytes:
    """Where a capsule came from, as JSON: the directory, what was packed beside it, and what git knows of it."""
    from exs.tools.git import checkout

    known = checkout(root)
    record = {"root": root, **({"no_git": known} if isinstance(known, str) else vars(known))}
    if includes:
        record["includes"] = [os.path.abspath(path) for path in includes]
    return json.dumps(record, sort_keys=True, separators=(",", ":")).encode()


def with_capsule(sweep: Sweep, capsule: Capsule) -> Sweep:
    """The sweep whose jobs run that code."""
    return replace(sweep, spec=replace(sweep.spec, capsule=capsule.name), code=capsule.code)


def send(store: Store, sweep: Sweep, wish: Wish, settings: Settings) -> tuple[Sweep, Sent]:
    """Put the code of a sweep into the queue; the sweep whose jobs run it. Nothing is queued yet.

    Raises InputError for a directory that cannot be packed, before anything is sent.
    """
    found, capsule = packed(sweep, wish, settings)
    sent = store.put_capsule(capsule.name, capsule.manifest.text(), capsule.chunks, sweep.name, compressed)
    return with_capsule(sweep, capsule), Sent(capsule.name, found, sent)
