"""Names of run directories, as runner makes them: `Lr_0.1-LoName_T` for lr: 0.1 and long_name: true."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from exs.errors import InputError
from exs.model import Json, Spec
from exs.paths import NAME, NAME_BYTES
from exs.settings import Limits
from exs.sweep.suggest import shorten

#: Of a long text the end is kept: of paths it is the part that differs.
TEXT_CHARS = 100
#: Hex digits of a job's point that tell it from another of the same name.
POINT_DIGITS = 6
#: The date in the name of a log, with a number for a second one in the same second.
STAMP = "2026-01-31.23:59:59.999"
#: Characters of a job's id, which is appended where two jobs would share a name.
ID_CHARS = 10
#: The shortest limit that tells jobs apart.
LEAST_NAME = 20
#: The directory of a job that has no swept parameter.
UNSWEPT = "default"

#: Characters that need no quoting in a shell and mean nothing to a file system; `+` is in runner's `Lr_1e+08`.
_OTHERS = re.compile(r"[^A-Za-z0-9._+=,-]")


def directory_name(swept: Mapping[str, Json], is_path: Callable[[str], bool] | None = None) -> str:
    """The name of the directory for these values: safe as a file name, but of any length.

    `is_path`: whether a text is an existing path; such a one is shortened to its last component.
    """
    return Namer().name([name_part(key, value, is_path) for key, value in swept.items()])


def name_part(key: str, value: Json, is_path: Callable[[str], bool] | None = None) -> str:
    """What one parameter adds to the name of a directory."""
    return file_text(f"{_camel(key)}_{_value(value, is_path)}")


@dataclass(frozen=True)
class Namer:
    """How the jobs of a sweep are called: by a `part` for each swept parameter, "" for none, behind `first`.

    Parts are made once per value of an axis, names once per job.
    """

    part: Callable[[str, Json], str] = name_part
    first: str = ""
    between: str = "-"

    def name(self, parts: Sequence[str]) -> str:
        """The name of the directory of a job with these parts: safe as a file name, but of any length."""
        name = self.between.join(filter(None, (self.first, *parts))) or UNSWEPT
        return f"_{name[1:]}" if name[0] in ".-" else name


def file_text(text: str) -> str:
    """`text` with every character that is not safe everywhere in a file name replaced by an underscore."""
    return _OTHERS.sub("_", text)


def unique(name: str, point: str, limit: int = Limits.directory_chars) -> str:
    """`name` with the start of the job's point appended, cut so that it has at most `limit` characters."""
    tail = f"-{point[:POINT_DIGITS]}"
    return name[: limit - len(tail)] + tail


def fitting(name: str, point: str, limit: int = Limits.directory_chars) -> str:
    """`name`, or where it has more than `limit` characters its start made unique."""
    return name if len(name) <= limit else unique(name, point, limit)


def longest_name(spec: Spec, limit: int = Limits.directory_chars) -> int:
    """Characters that the name of a job may have: `limit`, or what is left of a log's name that ends with it.

    Raises InputError for a command whose name leaves too little.
    """
    if spec.job_dirs:
        return limit
    command = max(spec.commands, key=len, default="")
    left = NAME_BYTES - len(f"log.{command}.{STAMP}.") - 1 - ID_CHARS
    if left < LEAST_NAME:
        raise InputError(
            f"--no-param-dir: the command {shorten(command)} is too long to name the logs of all jobs.",
            "Shorten it, or give each job its directory.",
        )
    return min(limit, left)


def check_typed(name: Json, what: str, where: str, limit: int = Limits.directory_chars) -> str:
    """`name` as a user wrote it, if it can be part of a file name; raises InputError if not."""
    if not isinstance(name, str) or not NAME.match(name):
        raise InputError(
            f"{where}: {what} {shorten(name)} cannot be part of a file name.",
            "Use letters, digits, dot, underscore and minus, beginning with a letter or digit.",
        )
    if len(name) > limit:
        raise InputError(
            f"{where}: {what} {shorten(name)} has {len(name)} characters, more than {limit}.", "Shorten it."
        )
    return name


@lru_cache(1000)  # else a third of what it takes to expand a sweep
def _camel(name: str) -> str:
    parts = name.split("-")
    if len(parts) == 1:
        parts = name.split("_")
    return "".join(part[:2].title() if len(part) > 2 else part for part in parts[:-1]) + parts[-1].title()


def _value(value: Json, is_path: Callable[[str], bool] | None) -> str:
    if isinstance(value, bool):
        return "T" if value else "F"
    if isinstance(value, (int, float)):
        try:
            return f"{value:g}"
        except OverflowError:  # an integer beyond the range of floats
            return str(value)
    if not isinstance(value, str):
        return re.sub(r"[\[\]{}\"]", "", json.dumps(value, separators=(",", ":"))) if value is not None else "None"
    if is_path and is_path(value):
        return value.rstrip("/").rpartition("/")[2]
    return value.lstrip("/.")[-TEXT_CHARS:]
