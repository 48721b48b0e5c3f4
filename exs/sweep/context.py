"""What a dialect knows besides its file, and what an experiment may be called."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from exs.errors import InputError
from exs.paths import NAME_BYTES, checked_name
from exs.settings import Limits
from exs.sweep.model import Options
from exs.sweep.suggest import shorten

#: Verbs of the command line, now and planned: an experiment of such a name could not be selected.
_VERBS = (
    "list show logs why queue workers results top plan push run worker drain enable update update-batch pause "
    "activate cancel kill retry edit rm archive unarchive wait add pull server doctor diff cmd checkout job experiment "
    "help"
)
VERBS = frozenset(_VERBS.split())
#: Bytes that Linux takes in a path (4096), less what a job's files need.
PATH_BYTES = 3500
_HEX8 = re.compile(r"[0-9a-f]{8}\Z", re.IGNORECASE)


@dataclass(frozen=True)
class Context:
    """Where and how a sweep is read.

    `source`: absolute path of the file. `stem_name`: what the experiment is called if nothing names it.
    `cwd`: absolute directory of the push. `datetime`: runner's `{_datetime}`, one per push.
    """

    source: str
    stem_name: str
    options: Options
    limits: Limits
    cwd: str
    datetime: str = field(default="")

    def experiment_name(self, written: str | None = None, where: str = "") -> str:
        """Name of the experiment: --name, else the one `written` in the file at `where`, else the stem name.

        Raises InputError for a name that cannot be one.
        """
        if self.options.name is not None:
            return check_name(self.options.name, "--name", self.limits)
        if written is not None:
            return check_name(written, where or self.source, self.limits)
        return check_name(self.stem_name, self.source, self.limits)

    def output(self, written: str | None = None, where: str = "") -> str:
        """Root of the run directories: -o, else the one `written` in the file at `where`, else `output`.

        Raises InputError for one that no job could make or that leaves the directory of the push by itself.
        """
        if self.options.output is not None:
            return check_output(self.options.output, "-o", self.cwd)
        return "output" if written is None else check_output(written, where, self.cwd)


def check_output(written: str, where: str, cwd: str) -> str:
    """`written` with `~` replaced by the home of whoever pushes; raises InputError that begins with `where`."""
    path = os.path.expanduser(written)
    path = path.rstrip("/") or path[:1]
    if not path or not path.isprintable():
        what = f"{shorten(path)} cannot name a directory" if path else "names no directory"
        raise InputError(f"{where}: {what}.", "Write a path such as output or /data/runs.")
    if not os.path.isabs(path) and os.path.normpath(path).split("/")[0] == "..":
        raise InputError(f"{where}: {shorten(path)} is outside {cwd}, where the jobs run.", "Give an absolute path.")
    whole = os.path.join(cwd, path)
    if any(len(os.fsencode(part)) > NAME_BYTES for part in path.split("/")) or len(os.fsencode(whole)) > PATH_BYTES:
        raise InputError(f"{where}: {shorten(path)} is too long for a directory name.", "Shorten it.")
    return path


def check_name(name: str, where: str, limits: Limits) -> str:
    """`name`, if an experiment can have it; raises InputError that begins with `where`."""
    if len(name) > limits.name_chars:
        raise InputError(f"{where}: the name {shorten(name)} is longer than {limits.name_chars} characters.")
    checked_name(name, limits.name_chars, where, "name an experiment")
    hint = "Choose another name." if where in ("--name", "name") else "Name it otherwise: --name NAME."
    if name in VERBS:
        raise InputError(f"{where}: {name!r} is a command of exs and cannot name an experiment.", hint)
    if name == "last" or _HEX8.match(name):
        what = "the newest experiment" if name == "last" else "an experiment's id"
        raise InputError(f"{where}: {name!r} stands for {what} and cannot name one.", hint)
    return name


def clean_name(text: str, limits: Limits) -> str:
    """`text` with every character that a name cannot have replaced by `-`; "sweep" if nothing is left."""
    cleaned = re.sub(r"[^A-Za-z0-9._-]+", "-", text).lstrip("._-").rstrip("-")
    return cleaned[: limits.name_chars] or "sweep"


def stem_name(cwd: Path, stem: str, limits: Limits) -> str:
    """`<directory>-<stem>`, cleaned: what a sweep is called that does not say."""
    return clean_name(f"{cwd.name}-{stem}", limits)


def check_options(context: Context, commands: Iterable[str]) -> None:
    """Raises InputError for options that a file without titles cannot honour, or an unknown command name."""
    if context.options.title is not None:
        raise InputError(f"-t {shorten(context.options.title)}: this sweep has no titles.")
    names = list(commands)
    for name in context.options.commands:
        if name not in names:
            raise InputError(f"-c: there is no command {shorten(name)}.", f"There are: {', '.join(names)}.")
