"""MLXP's own settings: `configs/mlxp.yaml` if there is one, and `mlxp.*` on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exs.compat.mlxp.compose import apply, read_mapping
from exs.compat.mlxp.words import Override
from exs.errors import InputError
from exs.settings import Limits
from exs.sweep.suggest import hint, shorten

#: The file, beside config.yaml, and the key on the command line.
FILE, KEY = "mlxp.yaml", "mlxp"

_LOGGER = "mlxp.DefaultLogger"
_DEFAULTS: dict[str, Any] = {
    "logger": {"name": _LOGGER, "parent_log_dir": "./logs", "forced_log_id": -1, "log_streams_to_file": False},
    "version_manager": {"name": "mlxp.GitVM", "parent_work_dir": "./.work_dir", "compute_requirements": False},
    "use_version_manager": False,
    "use_scheduler": False,
    "use_logger": True,
    "interactive_mode": True,
    "resolve": True,
    "as_ConfigDict": True,
}
#: What cannot be asked for here: (key, the value that is meant by asking) and what to do instead.
_REFUSED = (
    ("use_version_manager", True, "A run uses the code as it lies in its directory."),
    ("use_scheduler", True, "Write --push: exs is the scheduler."),
    ("as_ConfigDict", False, "ctx.config is a dict with attributes; omegaconf.OmegaConf.create(ctx.config) makes one."),
)


def read(directory: Path, overrides: Sequence[Override], limits: Limits) -> dict[str, Any]:
    """The settings of one run; `overrides` are those whose first key is `mlxp`.

    Raises InputError for a key that MLXP does not know, for a value of another type, and for what exs does not do.
    """
    found = {key: dict(value) if isinstance(value, dict) else value for key, value in _DEFAULTS.items()}
    file = directory / FILE
    if file.is_file():
        for key, value in read_mapping(file, limits).items():
            _put(found, Override("", (key,), value), str(file))
    for each in overrides:
        if each.prefix == "~" or len(each.path) == 1:
            raise InputError(f"{each.shown}: settings are changed one by one.", "Write mlxp.logger.parent_log_dir=...")
        _put(found, Override("", each.path[1:], each.value), f"{each.shown[len(each.prefix) :]}")
    _check(found)
    return found


def _put(found: dict[str, Any], override: Override, where: str) -> None:
    """Set a key that is there already, to a value of the same type."""
    node = found
    for step in override.path[:-1]:
        if not isinstance(node.get(step), dict):
            raise _unknown(step, node, where)
        node = node[step]
    last = override.path[-1]
    if last not in node:
        raise _unknown(last, node, where)
    old, new = node[last], override.value
    if isinstance(old, dict) and isinstance(new, dict):
        for key, value in new.items():
            _put(found, Override("", (*override.path, key), value), where)
    elif type(old) is not type(new):
        wanted = {bool: "true or false", int: "a whole number", str: "text", dict: "a mapping"}[type(old)]
        raise InputError(f"{where}: {override.name} is {wanted}, not {shorten(new)}.")
    else:
        apply(found, override, where)


def _unknown(key: str, node: dict[str, Any], where: str) -> InputError:
    return InputError(f"{where}: MLXP has no setting {shorten(key)}.", hint(key, node, "Settings"))


def _check(found: dict[str, Any]) -> None:
    for key, refused, advice in _REFUSED:
        if found[key] is refused:
            raise InputError(f"mlxp.{key}={str(refused).lower()} is not something that exs does.", advice)
    if found["logger"]["name"] != _LOGGER:
        raise InputError(
            f"mlxp.logger.name={shorten(found['logger']['name'])}: there is one logger, {_LOGGER}.",
            "To keep more, register an artifact type: ctx.logger.register_artifact_type(name, save, load).",
        )
    if not found["logger"]["parent_log_dir"] or "\0" in found["logger"]["parent_log_dir"]:
        raise InputError("mlxp.logger.parent_log_dir names no directory.", "Write ./logs")
    if found["logger"]["forced_log_id"] < -1:
        raise InputError("mlxp.logger.forced_log_id is the number of a run, or -1 for a new one.")
