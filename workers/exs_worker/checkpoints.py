"""Where a job can be gone on from: what it said of that, checked, and what the next attempt is given."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from exs.model import Json
from exs_worker import plainfile
from exs_worker.series import is_number

#: What `exs.job` calls these: the folder in a run directory, and the file in a checkpoint that is written last.
FOLDER, METADATA = "checkpoints", "metadata.json"
#: Bytes of a path, and of that file.
PATH, MOST = 700, 1 << 20


def checkpoint(given: Json, root: str) -> dict[str, Json]:
    """What `{"checkpoint": ...}` names, as it is kept: `path` relative to the run directory `root`, and `step`.

    A path alone will do. Raises ValueError for one that is not there, or not in the run directory.
    """
    words: Mapping[str, Json] = given if isinstance(given, dict) else {"path": given}
    path, step = words.get("path"), words.get("step")
    if not isinstance(path, str) or not path:
        raise ValueError("a checkpoint without a path")
    found = located(path, root)
    if found is None:
        raise ValueError(f"the checkpoint {path[:200]!r} is not in the run directory")
    kept: dict[str, Json] = {"path": os.path.relpath(found, os.path.realpath(root))}
    if is_number(step):
        kept["step"] = step
    if len(kept["path"].encode("utf-8")) > PATH:
        raise ValueError(f"the path of a checkpoint has at most {PATH} bytes")
    return kept


def located(path: str, root: str) -> str | None:
    """Where the checkpoint `path` is in the run directory; None if it is not there, or elsewhere (R18)."""
    try:
        base = os.path.realpath(root)
        full = os.path.realpath(os.path.join(base, path))
        return full if full.startswith(f"{base}/") and os.path.exists(full) else None
    except (OSError, ValueError):  # a name that no file system takes
        return None


def to_go_on_from(known: Mapping[str, Json], root: str) -> tuple[str, Json]:
    """The path of the checkpoint `known` to Redis, and its step or None; "" if there is none on this node.

    One that is gone was replaced by a newer one of which Redis was not told any more: that one then.
    """
    path = known.get("path")
    if not isinstance(path, str):
        return "", None
    found = located(path, root)
    if found is not None:
        return found, known.get("step")
    return _newest(root)


def _newest(root: str) -> tuple[str, Json]:
    whole = []
    try:
        names = os.listdir(os.path.join(root, FOLDER))
    except OSError:
        return "", None
    for name in names:
        found = None if name.startswith(".") else located(os.path.join(FOLDER, name), root)
        about = os.path.join(found or "", METADATA)
        try:
            if found:
                metadata = json.loads(plainfile.read_end(about, MOST)[0])
                step = metadata.get("step") if isinstance(metadata, dict) else None
                whole.append((os.stat(about).st_mtime_ns, found, step))
        except (OSError, ValueError, RecursionError):
            continue  # one of the job's own making
    _, path, step = max(whole, default=(0, "", None), key=lambda one: one[0])
    return path, step
