"""Artifacts of a run: `artifacts/<type>/<name>`, each whole or not there."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from exs.compat.mlxp.files import replace, write
from exs.compat.mlxp.kinds import JSON, KINDS, PICKLE, Kind, check_json
from exs.errors import InputError, NotFound, Refused
from exs.paths import LogDir, safe_file_name
from exs.settings import Limits
from exs.sweep import yamlfile
from exs.sweep.suggest import hint, shorten
from exs.sweep.yamltext import dump


class NoArtifact(NotFound, FileNotFoundError):
    """There is no artifact of that name."""

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class Artifacts:
    """The artifacts of one run."""

    def __init__(self, place: LogDir) -> None:
        self._place = place
        self._kinds = dict(KINDS)
        self._listed: dict[str, dict[str, dict[str, str]]] | None = None

    def register(self, name: str, save: Callable[[Any, str], object], load: Callable[[str], Any]) -> None:
        """Add a type for this process. Raises InputError for a name that cannot be one, or is one already."""
        if not _plain(name):
            raise InputError(f"{shorten(name)} cannot name a type of artifacts.", "It names a directory.")
        if name in KINDS:
            raise InputError(f"there is a type {name} already.", "Choose another name.")
        self._kinds[name] = Kind(save, load)

    def log(self, artifact: Any, name: str, kind: str) -> None:
        """Write one, in place of an older one of that name and type. Raises InputError, OSError."""
        path = self._path(self._place.artifacts, self._kind_name(kind), name)
        replace(path, lambda temporary: self._kinds[kind].save(artifact, temporary))
        self._list(kind, name)

    def load(self, name: str, kind: str | None, root: str | None, unpickle: bool) -> Any:
        """Read one; without a type, the one that was written last. Raises NoArtifact, InputError, Refused."""
        base = self._base(root)
        if kind is None:
            kind = self._newest(base, name)
        path = self._path(base, self._kind_name(kind), name)
        if not os.path.isfile(path):
            raise NoArtifact(f"there is no artifact {shorten(name)} of type {kind} in {base}.")
        if kind == PICKLE and not unpickle:
            raise Refused(
                f"{path} is a pickle, which runs what it says when it is loaded.", "If it is yours, say pickle=True."
            )
        try:
            return self._kinds[kind].load(path)
        except ValueError as error:
            raise InputError(f"{path} cannot be read as {kind}: {error}.") from None

    def log_checkpoint(self, checkpoint: Any, name: str, pickle: bool) -> None:
        """One under its name alone: of an older one of the other type nothing is left."""
        if not pickle:
            try:
                check_json(checkpoint, "the checkpoint")
            except InputError as error:
                raise InputError(
                    error.message,
                    "log_checkpoint(..., pickle=True) pickles it; or log_artifacts(..., artifact_type='numpy').",
                ) from None
        self.log(checkpoint, name, PICKLE if pickle else JSON)
        other = self._path(self._place.artifacts, JSON if pickle else PICKLE, name)
        if os.path.isfile(other):
            os.unlink(other)

    def load_checkpoint(self, name: str, root: str | None, pickle: bool) -> Any:
        """The last one of that name. Raises NoArtifact, InputError, Refused."""
        base = self._base(root)
        return self.load(name, self._newest(base, name, (JSON, PICKLE)), root, pickle)

    def _newest(self, base: str, name: str, kinds: tuple[str, ...] = ()) -> str:
        found = []
        for kind in kinds or _directories(base):
            path = self._path(base, kind, name)
            if os.path.isfile(path):
                found.append((os.stat(path).st_mtime_ns, kind))
        if not found:
            what = "checkpoint" if kinds else "artifact"
            raise NoArtifact(f"there is no {what} {shorten(name)} in {base}.", self._advice(base, name))
        return max(found)[1]

    @staticmethod
    def _advice(base: str, name: str) -> str:
        names = [entry for kind in _directories(base) for entry in os.listdir(os.path.join(base, kind))]
        return hint(name, sorted(set(names)), "There are") if names else ""

    def _base(self, root: str | None) -> str:
        """The artifacts directory of this run, or of another one, which is given by itself or by its run."""
        if root is None:
            return self._place.artifacts
        inner = LogDir(str(root)).artifacts
        return inner if os.path.isdir(inner) else str(root)

    def _kind_name(self, kind: str) -> str:
        if kind not in self._kinds:
            raise InputError(
                f"{shorten(kind)} is no type of artifacts.",
                f"{hint(str(kind), self._kinds, 'There are')} Others: register_artifact_type(name, save, load).",
            )
        return kind

    @staticmethod
    def _path(base: str, kind: str, name: str) -> str:
        if not isinstance(name, str) or not all(_plain(part) for part in name.split("/")):
            raise InputError(f"{shorten(name)} cannot name an artifact.", "Write a name, or one/below/another.")
        return os.path.join(base, kind, name)

    def _list(self, kind: str, name: str) -> None:
        """Keep `artifacts.yaml`, which is what MLXP's reader goes by: type -> directory -> names."""
        if self._listed is None:
            self._listed = _read_list(self._place.artifact_keys)
        folder, _, last = name.rpartition("/")
        names = self._listed.setdefault(kind, {}).setdefault(f".{folder.replace('/', '.')}" if folder else "", {})
        if last not in names:
            names[last] = ""
            write(self._place.artifact_keys, dump(self._listed))


def _plain(name: Any) -> bool:
    return isinstance(name, str) and safe_file_name(name) and name[0] != "."


def _directories(base: str) -> list[str]:
    try:
        return sorted(entry.name for entry in os.scandir(base) if entry.is_dir() and entry.name[0] != ".")
    except OSError:
        return []


def _read_list(path: str) -> dict[str, dict[str, dict[str, str]]]:
    """What the file says; {} for none, or for one that is no such list."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            (document,) = yamlfile.load(file.read(), path, "1.1", Limits())
    except (OSError, InputError, ValueError):
        return {}
    value = document.value
    well = isinstance(value, dict) and all(
        isinstance(folders, dict) and all(isinstance(names, dict) for names in folders.values())
        for folders in value.values()
    )
    return value if well else {}
