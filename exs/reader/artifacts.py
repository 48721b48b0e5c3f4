"""The artifacts of a run directory: `artifacts/<type>/<name>`, listed by type and directory, loaded when asked.

Only files of data are loaded. A checkpoint, to load which may run what is in it, is the business of the code that
wrote it (`ctx.logger.load_checkpoint`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exs.errors import InputError
from exs.paths import LogDir

#: Artifacts of one run that are listed.
_MOST = 10_000


@dataclass(frozen=True)
class Artifact:
    """One file. `kind`: its type, the name of the directory that it is in."""

    name: str
    kind: str
    path: str

    def load(self) -> Any:
        """What is in it: JSON, text, numpy arrays, the bytes of an image. Raises InputError for any other type."""
        if self.kind == "json":
            return json.loads(Path(self.path).read_text(encoding="utf-8"))
        if self.kind == "text":
            return Path(self.path).read_text(encoding="utf-8")
        if self.kind == "numpy":
            return self._numpy()
        if self.kind in ("image", "bytes"):
            return Path(self.path).read_bytes()
        raise InputError(
            f"{self.path} is of type {self.kind}: to load it could run what is in it.",
            "Load it yourself if you trust who wrote it; its path is in `.path`.",
        )

    def _numpy(self) -> Any:
        try:
            import numpy
        except ImportError:
            raise InputError(f"{self.path} is read by numpy, which is not installed.", "pip install numpy") from None
        try:
            return numpy.load(self.path, allow_pickle=False)
        except ValueError as error:
            raise InputError(f"{self.path} is no file of plain numpy arrays: {error}.") from None


def artifacts_in(folder: str) -> dict[str, list[str]]:
    """Column -> names: `artifact.numpy.` of files right in `numpy/`, `artifact.numpy.a.b` of those in `numpy/a/b/`."""
    root = LogDir(folder).artifacts
    found: dict[str, list[str]] = {}
    count = 0
    for here, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = os.path.relpath(here, root).split(os.sep)
        names = sorted(name for name in files if not name.startswith(".") and not name.endswith("_tmp"))
        count += len(names)
        if inside != ["."] and names and count <= _MOST:
            found[f"artifact.{inside[0]}.{'.'.join(inside[1:])}"] = ["/".join(inside[1:]), *names]
    return found


def loaders(folder: str, artifacts: Mapping[str, list[str]]) -> dict[str, dict[str, Artifact]]:
    """The columns of a run, from what `artifacts_in` listed."""
    found: dict[str, dict[str, Artifact]] = {}
    for column, (inside, *names) in artifacts.items():
        kind = column.split(".")[1]
        where = os.path.join(LogDir(folder).artifacts, kind, inside)
        found[column] = {name: Artifact(name, kind, os.path.join(where, name)) for name in names}
    return found
