"""A file of which some has come, and what lets the next call go on with it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from exs.fetch.source import Source
from exs.rows import RunFile
from exs.store.logs import SUMMED


def read(path: Path) -> object:
    """The JSON in a file; None where there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


class Part:
    """A file of which some has come. What it was when it was begun stands beside it."""

    def __init__(self, stage: Path, file: RunFile) -> None:
        self._file = file
        self._path, self._note = stage / "part", stage / "part.json"
        self._kept = stage / "files" / file.path

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """The part, open behind its end."""
        what = [self._file.path, self._file.size, self._file.modified]
        if read(self._note) != what or (self._path.exists() and self._path.stat().st_size > self._file.size):
            self.forget()
            self._note.parent.mkdir(parents=True, exist_ok=True)
            self._note.write_text(json.dumps(what), encoding="utf-8")
        with self._path.open("ab") as out:
            yield out

    def same(self, source: Source) -> bool:
        """Whether it is the node's file, by its checksums."""
        if self._path.stat().st_size != self._file.size:
            return False
        with self._path.open("rb") as file:
            for offset in range(0, self._file.size, SUMMED):
                length = min(SUMMED, self._file.size - offset)
                if hashlib.sha256(file.read(length)).hexdigest() != source.summed(self._file, offset, length):
                    return False
        return True

    def keep(self) -> None:
        """It is whole."""
        self._kept.parent.mkdir(parents=True, exist_ok=True)
        os.utime(self._path, ns=(self._file.modified, self._file.modified))
        os.replace(self._path, self._kept)
        self._note.unlink()

    def forget(self) -> None:
        """Begin anew."""
        self._path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)
