"""Checks of this machine that need neither Redis nor Linux; `exs_worker.checkup` has those of a node."""

from __future__ import annotations

import os
import platform
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import exs
from exs import paths
from exs.answers import Finding, Severity
from exs.errors import InputError
from exs.settings import Settings, config_file

MIB = 1 << 20
#: Free space below which a log or a checkpoint soon fails, and below which everything does.
_LITTLE, _NONE = 1024 * MIB, 50 * MIB
_FEW_INODES = 1000
#: Files that one job may open; a data loader of PyTorch holds a few per worker and tensor.
_FILES = 1024


def checks(settings: Settings) -> Iterator[Finding]:
    """Everything about this machine. Raises nothing."""
    yield from software()
    yield from disks(settings)
    yield from secrets()
    yield from open_files()
    if sys.platform == "linux":
        try:
            from exs_worker import checkup
        except ImportError as error:
            yield _found(Severity.NOTE, f"the parts of a worker are not installed here: {error}.", "pip install exs")
        else:
            yield from checkup.checks(settings)


def _found(severity: Severity, what: str, do: str = "") -> Finding:
    return Finding("node", severity, what, do)


def software() -> Iterator[Finding]:
    """What runs here."""
    system = f"{platform.system()} {platform.machine()}"
    yield _found(Severity.OK, f"exs {exs.__version__}, Python {platform.python_version()}, {system}")


def disks(settings: Settings) -> Iterator[Finding]:
    """Is there room for what exs keeps, and for what jobs write here?"""
    seen: dict[int, str] = {}
    for what, path in (
        ("the state directory", paths.state_dir(configured=settings.state_dir).root),
        ("this directory", Path.cwd()),
    ):
        place = _existing(path)
        try:
            device, free = place.stat().st_dev, shutil.disk_usage(place).free
            inodes = os.statvfs(place)
        except OSError as error:
            yield _found(Severity.ERROR, f"{what} {path} cannot be looked at: {error.strerror}.")
            continue
        if not os.access(place, os.W_OK | os.X_OK):
            yield _found(Severity.WARNING, f"{what} {path} cannot be written.", f"ls -ld {place}")
        if device in seen:
            continue
        seen[device] = f"{what} {free / (1024 * MIB):,.1f} GiB free"
        if free < _LITTLE:
            severity = Severity.ERROR if free < _NONE else Severity.WARNING
            yield _found(severity, f"the disk of {what} {path} has {free / MIB:.0f} MiB left.", f"df -h {place}")
        elif inodes.f_files and inodes.f_favail < _FEW_INODES:
            yield _found(
                Severity.WARNING, f"the disk of {what} {path} can hold {inodes.f_favail} more files.", f"df -i {place}"
            )
    if seen:
        yield _found(Severity.OK, f"disk: {', '.join(seen.values())}")


def _existing(path: Path) -> Path:
    """The directory itself, else the nearest one above it that exists."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def secrets() -> Iterator[Finding]:
    """Can others read the password of Redis?"""
    path = config_file(os.environ)
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, InputError):
        return
    if mode & (stat.S_IRGRP | stat.S_IROTH) and "redis_url" in text and "@" in text:
        yield _found(
            Severity.WARNING, f"others may read {path}, which holds the password of Redis.", f"chmod 600 {path}"
        )


def open_files() -> Iterator[Finding]:
    """May a job open as many files as data loaders do?"""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _FILES:
        more = _FILES * 16 if hard == resource.RLIM_INFINITY else min(hard, _FILES * 16)
        yield _found(
            Severity.WARNING, f"a job may open {soft} files only, and data loaders often need more.",
            f"ulimit -n {more}   # in the shell that starts exs worker",
        )  # fmt: skip
