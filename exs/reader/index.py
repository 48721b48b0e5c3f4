"""The runs below a directory, and the cache that makes reading them again cheap.

The cache is one file per directory that was read, in the user's cache directory: a line per run with what was found
in it and the times of the files that it was found in. Readers that run at once each replace it as a whole. One that
is broken, or of another version, is made anew; one that cannot be written is done without.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from exs.errors import NotFound
from exs.model import Json
from exs.paths import LogDir, RunDir, cache_home, runner_param, runner_stat
from exs.reader.folders import Entry, read
from exs.reader.results import report_of, seen
from exs.reader.run import Run

#: How deep below the directory runs are looked for: output/<sweep>/<name>/.
DEEPEST = 4
_VERSION = 2
_NUMBERS = re.compile(r"([0-9]+(?:\.[0-9]+)?)")
_SHARED = "param.json."

#: Times and sizes of what a run was read from; what is not there has none.
Signature = list[int]


@dataclass
class Found:
    """The runs below a directory, in the order of their names (9 before 10), and what could not be read."""

    runs: list[Run] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    read: int = 0  #: directories that were read; the others are as they were
    cached: bool = True  #: False if the cache could not be written


def index(root: str, cache: str | None = None, refresh: bool = True) -> Found:
    """The runs in `root` and below. `cache`: where to keep what was read, else the user's cache directory.

    Without `refresh`, what the cache has is believed, where it has anything. Raises NotFound if there is no directory
    `root`.
    """
    if not os.path.isdir(root):
        raise NotFound(f"{root} is no directory.", "Give one that holds run directories, such as output or logs.")
    if not os.access(root, os.R_OK | os.X_OK):
        raise NotFound(f"{root}: cannot be read: {os.strerror(errno.EACCES)}.")
    root = os.path.realpath(root)
    place = _place(root, cache)
    known = _load(place)
    if known and not refresh:
        parts = ((key.split("\0"), entry) for key, (_, entry) in known.items())
        runs = [entry.run(os.path.join(root, folder), suffix) for (folder, suffix), entry in parts]
        told_apart(runs, root)
        return Found(runs, [entry.problem for _, entry in known.values() if entry.problem])
    found = Found()
    now: dict[str, tuple[Signature, Entry]] = {}
    for folder, suffix in folders(root):
        key = f"{os.path.relpath(folder, root)}\0{suffix}"
        before = known.get(key)
        if before is not None and _signature(folder, suffix, before[1]) == before[0]:
            signature, entry = before
        else:
            found.read += 1
            start = _signature(folder, suffix, Entry())
            entry = read(folder, suffix)
            signature = _signature(folder, suffix, entry)
            same = signature[len(signature) - len(entry.report) :] == entry.report
            if not same or start != _signature(folder, suffix, Entry()):
                signature = []  # it was written meanwhile: what was read may be of before, and is read again next time
        now[key] = (signature, entry)
        if entry.problem:
            found.problems.append(entry.problem)
        found.runs.append(entry.run(folder, suffix))
    told_apart(found.runs, root)
    if found.read or now.keys() != known.keys():
        found.cached = _save(place, now)
    return found


def told_apart(runs: Sequence[Run], root: str) -> None:
    """Label runs by their path in `root` where others have the same name in another directory."""
    often = Counter(run.label for run in runs)
    for run in runs:
        if often[run.label] > 1:
            path = os.path.relpath(run.folder, root)
            run.label = path if os.path.basename(path) == run.label else os.path.join(path, run.label)


def folders(root: str) -> list[tuple[str, str]]:
    """The run directories in `root` and below by name, 9 before 10, each with "" or what tells runs in it apart."""

    def natural(pair: tuple[str, str]) -> list[tuple[float, str]]:
        parts = _NUMBERS.split("/".join(pair))  # text, number, text, number ...
        return [(float(part), "") if at % 2 else (-1.0, part) for at, part in enumerate(parts)]

    return sorted(_folders(root, 0), key=natural)


def _folders(folder: str, depth: int) -> Iterator[tuple[str, str]]:
    """Run directories, and the suffixes of runs that share one. Links are not followed: a run is listed once."""
    try:
        with os.scandir(folder) as listed:
            entries = list(listed)
    except OSError:
        return
    names = {entry.name for entry in entries}
    if names & {"param.json", "metadata"} or ("param" in names and not os.path.isdir(runner_param(folder))):
        yield folder, ""
        return
    shared = sorted(name[len(_SHARED) :] for name in names if name.startswith(_SHARED))
    for suffix in shared:
        yield folder, suffix
    if depth < DEEPEST and not shared:
        for entry in entries:
            if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                yield from _folders(entry.path, depth + 1)


def _signature(folder: str, suffix: str, entry: Entry) -> Signature:
    files, logs = RunDir(folder, suffix), LogDir(folder)
    paths = [files.params, files.stat, logs.metrics]
    if os.path.isdir(os.path.dirname(logs.config)):
        paths += [logs.config, logs.config_unresolved, logs.info, logs.metric_keys, logs.artifact_keys]
        paths += [f"{logs.metric_keys}/{name}.yaml" for name in sorted({key.split(".")[0] for key in entry.metrics})]
    elif not os.path.exists(files.params):
        paths += [runner_param(folder), runner_stat(folder)]
    if entry.artifacts or os.path.isdir(logs.artifacts):
        paths.append(logs.artifacts)
        paths += [f"{logs.artifacts}/{column.split('.')[1]}/{names[0]}" for column, names in entry.artifacts.items()]
    if report := report_of(folder, entry.flat.get("info.attempt")):
        paths.append(report)
    found: Signature = []
    for path in paths:
        try:
            found += seen(os.stat(path))
        except OSError:
            found.append(0)
    return found


def _place(root: str, cache: str | None) -> Path:
    name = hashlib.blake2b(root.encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()
    return (Path(cache) if cache else cache_home() / "index") / f"{name}.jsonl"


def _load(place: Path) -> dict[str, tuple[Signature, Entry]]:
    """What the cache has; nothing of one that is not whole, or not as this version writes it."""
    known: dict[str, tuple[Signature, Entry]] = {}
    try:
        with place.open(encoding="utf-8") as file:
            head = json.loads(file.readline())
            if head.get("exs_index") != _VERSION:
                return {}
            for line in file:
                key, signature, flat, metrics, artifacts, problem = json.loads(line)
                known[key] = (signature, Entry(flat, metrics, artifacts, problem))
            if len(known) != head["runs"]:
                return {}
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return {}
    return known


def _save(place: Path, now: dict[str, tuple[Signature, Entry]]) -> bool:
    encode = json.JSONEncoder(separators=(",", ":")).encode
    temporary = ""
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd, temporary = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(encode({"exs_index": _VERSION, "runs": len(now)}) + "\n")
            for key, (signature, entry) in now.items():
                line: Json = [key, signature, entry.flat, entry.metrics, entry.artifacts, entry.problem]
                file.write(encode(line) + "\n")
        os.replace(temporary, place)
    except (OSError, ValueError):
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        return False
    return True
