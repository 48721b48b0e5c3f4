"""The metrics of a run directory: JSON lines, one file per `log_name` (MLXP's) or per metric (exs's)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from exs.errors import BrokenRecord
from exs.model import Json
from exs.paths import LogDir
from exs.reader import plainyaml
from exs.reader.run import reduced

#: Bytes of one metric file; a gigabyte of JSON would take ten of memory.
LARGEST = 256 << 20
#: Bytes in which the keys of a file are looked for that has no list of them.
_LOOKED_AT = 64 << 10
_SUFFIX = ".json"
#: Beyond it a float does not tell a step from the next one.
_LARGEST_STEP = 2**53


@dataclass(frozen=True)
class FolderSeries:
    """The metrics of one directory; `keys`: name -> file and key in its lines."""

    folder: str
    keys: Mapping[str, Sequence[str]]

    def names(self) -> Sequence[str]:
        """See Series."""
        return tuple(self.keys)

    def has(self, name: str) -> bool:
        """See Series."""
        return name in self.keys

    def values(self, name: str) -> list[Json]:
        """See Series. Lines that cannot be read, as a killed run leaves one, are left out."""
        file, key = self.keys[name]
        return [line[key] for line in _lines(os.path.join(LogDir(self.folder).metrics, file)) if key in line]

    def points(self, name: str) -> list[tuple[float, Json]]:
        """See Series. exs's lines name their step; MLXP's are counted from 1, as the queue counts them."""
        file, key = self.keys[name]
        lines = (line for line in _lines(os.path.join(LogDir(self.folder).metrics, file)) if key in line)
        own = key == name  # MLXP's are called by their log, too
        return [(_step(line, at) if own else at, line[key]) for at, line in enumerate(lines, 1)]

    def reduced(self, name: str, how: str) -> float | None:
        """See Series."""
        return reduced(self.values(name), how)


def keys_in(folder: str, suffix: str = "") -> dict[str, tuple[str, str]]:
    """The metrics of a directory: name -> file and key. `suffix` of a run that shares its directory with others."""
    end = f"{_SUFFIX}.{suffix}" if suffix else _SUFFIX
    try:
        files = sorted(os.listdir(LogDir(folder).metrics))
    except OSError:
        return {}
    found: dict[str, tuple[str, str]] = {}
    for file in files:
        if file.endswith(end) and not file.startswith("."):
            log = file[: -len(end)]
            for name, key in _named(folder, file, log):
                found.setdefault(name, (file, key))
    return found


def _named(folder: str, file: str, log: str) -> Iterator[tuple[str, str]]:
    """Names of the metrics of one file. exs's lines are {"step": 3, NAME: 0.25}, in a file called like NAME."""
    listed = _listed(folder, log)
    keys = _first_keys(os.path.join(LogDir(folder).metrics, file), every=listed is None)
    metric = unquote(log)
    if listed is None and keys and set(keys) == {"step", metric}:
        yield metric, metric
        return
    for key in listed or keys:
        yield f"{log}.{key}", key


def _listed(folder: str, log: str) -> list[str] | None:
    """The keys that MLXP lists of a log, None where it does not."""
    path = os.path.join(LogDir(folder).metric_keys, f"{log}.yaml")
    try:
        with Path(path).open(encoding="utf-8", errors="replace") as file:
            return [str(key) for key in plainyaml.read(file.read(_LOOKED_AT), path)]
    except (OSError, BrokenRecord):
        return None


def _first_keys(path: str, every: bool) -> list[str]:
    """The keys of the first line, or of all lines in the first 64 KiB."""
    found: dict[str, None] = {}
    try:
        with Path(path).open(encoding="utf-8", errors="replace") as file:
            for text in file.readlines(_LOOKED_AT if every else 1):
                line = _line(text)
                found.update(dict.fromkeys(line or ()))
    except OSError:
        pass
    return list(found)


def _step(line: Mapping[str, Json], at: int) -> float:
    """The step that a line names, if an axis can have it: NaN, Infinity and what no float counts are not."""
    step = line.get("step")
    if isinstance(step, (int, float)) and not isinstance(step, bool) and abs(step) <= _LARGEST_STEP:
        return step
    return at


def _lines(path: str) -> Iterator[dict[str, Json]]:
    try:
        if os.path.getsize(path) > LARGEST:
            raise BrokenRecord(f"{path} is larger than {LARGEST >> 20} MiB.", "Read it with a program of your own.")
        with Path(path).open(encoding="utf-8", errors="replace") as file:
            for text in file:
                line = _line(text)
                if line is not None:
                    yield line
    except FileNotFoundError:
        return
    except OSError as error:
        raise BrokenRecord(f"{path} cannot be read: {error.strerror}.") from None


def _line(text: str) -> dict[str, Json] | None:
    """NaN and Infinity are read as MLXP writes them."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
