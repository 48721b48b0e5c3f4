"""The run directory of a job that ran on this machine: read without asking anybody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from exs.errors import NotFound
from exs.paths import RunDir
from exs.rows import JobRow, RunFile, RunFiles

_READ = 1 << 20


class LocalFiles:
    """A source of files as `exs.fetch` takes it."""

    def __init__(self, files: RunDir, most: int) -> None:
        self._files = files
        self._most = most

    @classmethod
    def of(cls, row: JobRow, most: int) -> LocalFiles | None:
        """That of a job; None if it is not here or not to be read, which its agent may know better."""
        if not row.directory:
            return None
        for suffix in ("", row.name, f"{row.name}-{row.id}"):
            files = RunDir(row.directory, suffix)
            try:
                if json.loads(Path(files.params).read_text(encoding="utf-8")).get("_job") == row.id:
                    return cls(files, most)
            except (OSError, ValueError, AttributeError, RecursionError):
                continue
        return None

    def listed(self) -> RunFiles:
        """What is there."""
        from exs_worker import runfiles

        try:
            return runfiles.listed(self._files, self._most)
        except OSError as error:
            raise _cannot(self._files.root, error) from None

    def pieces(self, file: RunFile, offset: int) -> Iterator[bytes]:
        """A file from `offset` on."""
        from exs_worker import runfiles

        try:
            while offset < file.size:
                data, _ = runfiles.piece(self._files, file.path, offset, min(_READ, file.size - offset))
                if not data:
                    return
                yield data
                offset += len(data)
        except OSError as error:
            raise _cannot(file.path, error) from None

    def summed(self, file: RunFile, offset: int, length: int) -> str:
        """SHA-256 of a part of a file."""
        from exs_worker import runfiles

        try:
            return runfiles.summed(self._files, file.path, offset, length)[0].decode()
        except OSError as error:
            raise _cannot(file.path, error) from None


def _cannot(path: str, error: OSError) -> NotFound:
    return NotFound(f"cannot read {path}: {error.strerror}.")
