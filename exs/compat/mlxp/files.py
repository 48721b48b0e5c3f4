"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count

_number = count()


def write(path: str, text: str) -> None:
    """Replace a small file. Raises OSError, and then the old one is there."""
    replace(path, lambda temporary: _put(temporary, text), sync=False)


def _put(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(text)


def replace(path: str, save: Callable[[str], object], *, sync: bool = True) -> None:
    """Let `save` write a file, which then takes the place of `path`.

    With `sync` there is after a power failure the new one or, if there was one, the one before, and either is whole.
    `save` gets a path that ends like the real one, in a directory of its own. What it raises leaves nothing behind.
    """
    folder, name = os.path.split(path)
    os.makedirs(folder, exist_ok=True)
    # A number each: a handler of a signal writes what this process may be writing at this moment.
    unfinished = os.path.join(folder, f".tmp-{os.getpid()}-{next(_number)}")
    os.mkdir(unfinished)
    temporary = os.path.join(unfinished, name)
    try:
        save(temporary)
        if sync:
            _sync(temporary)
        first = sync and not os.path.lexists(path)
        os.replace(temporary, path)
        if first:
            _sync(folder)
    finally:
        if os.path.lexists(temporary):
            os.unlink(temporary)
        os.rmdir(unfinished)


def _sync(path: str) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
