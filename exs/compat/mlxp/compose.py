"""`configs/config.yaml`, the groups that it chooses from, and what the command line changes: one configuration.

A `defaults:` list in config.yaml works as in Hydra: `defaults: [{model: small}]` puts `configs/model/small.yaml` under
the key `model`, `model=big` on the command line chooses another, and what config.yaml says itself comes last unless
`_self_` in the list says where. Packages (`@`), `override` and nested lists are refused with a sentence.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from exs.compat.mlxp.interpolate import resolve
from exs.compat.mlxp.words import Override
from exs.errors import InputError
from exs.paths import safe_file_name
from exs.settings import Limits
from exs.sweep import yamlfile
from exs.sweep.suggest import hint, shorten

#: The file of the default options.
CONFIG = "config.yaml"
_SELF = "_self_"


class Source:
    """The configuration directory of a script, read once. Raises InputError with file:line."""

    def __init__(self, directory: Path, limits: Limits) -> None:
        self.directory = directory
        self.file = directory / CONFIG
        self._limits = limits
        self._options: dict[tuple[str, str], dict[str, Any]] = {}
        self._own = read_mapping(self.file, limits) if self.file.exists() else {}
        self._defaults = self._read_defaults(self._own.pop("defaults", None))

    @property
    def groups(self) -> list[str]:
        """What can be chosen: the directories beside config.yaml."""
        try:
            return sorted(entry.name for entry in os.scandir(self.directory) if entry.is_dir() and entry.name[0] != ".")
        except FileNotFoundError:
            return []

    def create(self) -> None:
        """Make the directory and an empty config.yaml where they are missing. Raises InputError."""
        if self.file.exists():
            return
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self.file.touch()
        except OSError as error:
            raise InputError(f"{self.file} cannot be made: {error.strerror or error}.") from None

    def compose(self, overrides: Sequence[Override], resolved: bool = True) -> dict[str, Any]:
        """The configuration with `overrides`, of which those of groups choose, the others set. Raises InputError."""
        chosen = dict(self._defaults)
        sets = [each for each in overrides if not self._choose(chosen, each)]
        config: dict[str, Any] = {}
        for group, option in chosen.items():
            part = self._own if group == _SELF else self._option(group, option)
            if part is not None:
                merge(config, part if group == _SELF else {group: part})
        return finished(config, sets, str(self.file), resolved)

    def resume(self, stored: dict[str, Any], overrides: Sequence[Override], resolved: bool = True) -> dict[str, Any]:
        """The configuration that a run had, with `overrides` on top: a run that goes on keeps what it began with.

        Overrides may be those that it began with: a new key may be there, and one to remove be gone.
        """
        config: dict[str, Any] = {}
        merge(config, stored)
        sets = []
        for each in overrides:
            if each.name in self.groups and (each.prefix == "+" or each.name in self._defaults):
                self._check_option(each.name, each.value)
                config[each.name] = {}
                merge(config[each.name], self._option(each.name, each.value) or {})
            elif each.prefix != "~":
                sets.append(Override("++" if each.prefix == "+" else each.prefix, each.path, each.value))
            elif _holds(config, each.path):
                sets.append(each)
        return finished(config, sets, "the run", resolved)

    def _read_defaults(self, written: Any) -> dict[str, Any]:
        """Group -> option, in their order; `_self_` stands for config.yaml itself."""
        found: dict[str, Any] = {}
        if not isinstance(written, list) and written is not None:
            raise InputError(f"{self.file}: defaults is a list such as [{{model: small}}], not {shorten(written)}.")
        for entry in written or []:
            if entry == _SELF:
                found[_SELF] = None
                continue
            pair = next(iter(entry.items())) if isinstance(entry, dict) and len(entry) == 1 else ("", "")
            if not _plain_name(pair[0]) or not (pair[1] is None or _plain_name(pair[1])):
                raise InputError(
                    f"{self.file}: defaults has {shorten(entry)}.", "An entry is GROUP: OPTION, or _self_, and no more."
                )
            found[pair[0]] = pair[1]
        return found if _SELF in found else {**found, _SELF: None}

    def _choose(self, chosen: dict[str, Any], override: Override) -> bool:
        """Whether an override is about a group; if so, `chosen` says then what it chooses."""
        name = override.name
        if name in chosen and name != _SELF and override.prefix in ("", "++"):
            self._check_option(name, override.value)
            chosen[name] = override.value
        elif name in chosen and name != _SELF and override.prefix == "~":
            chosen[name] = None
        elif override.prefix in ("+", "++") and name not in self._own and name in self.groups:
            self._check_option(name, override.value)
            own = chosen.pop(_SELF)
            chosen |= {name: override.value, _SELF: own}
        else:
            return False
        return True

    def _check_option(self, group: str, option: Any) -> None:
        if option is not None and not _plain_name(option):
            raise InputError(f"{group}={shorten(option)} names no file in {self.directory / group}.")

    def _option(self, group: str, option: Any) -> dict[str, Any] | None:
        if option is None:
            return None
        if (group, option) not in self._options:
            folder = self.directory / group
            file = folder / f"{option}.yaml"
            if not file.is_file():
                known = sorted(path.stem for path in folder.glob("*.yaml"))
                raise InputError(f"{group}={option}: there is no {file}.", hint(option, known, "There are"))
            part = read_mapping(file, self._limits)
            if "defaults" in part:
                raise InputError(f"{file}: a file of a group has no defaults of its own here.")
            self._options[group, option] = part
        return self._options[group, option]


def _holds(config: Any, path: Sequence[str]) -> bool:
    for step in path:
        if not isinstance(config, dict) or step not in config:
            return False
        config = config[step]
    return True


def _plain_name(name: Any) -> bool:
    return isinstance(name, str) and safe_file_name(name) and name[0] != "." and not set(name) & set("@ /\\")


def read_mapping(file: Path, limits: Limits) -> dict[str, Any]:
    """What a YAML file holds, {} for an empty one. Raises InputError with file:line."""
    documents = yamlfile.load(yamlfile.read(file, limits), str(file), "1.2", limits)
    value = documents[0].value if documents else None
    if len(documents) > 1:
        raise InputError(f"{documents[1].where()}: a second document.")
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InputError(f"{file}: holds {shorten(value)}, not key: value.")
    return value


def merge(config: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Put `more` into `config`: mappings are merged, everything else replaces what was there. Shares nothing."""
    for key, value in more.items():
        if isinstance(value, dict):
            if not isinstance(config.get(key), dict):
                config[key] = {}
            merge(config[key], value)
        else:
            config[key] = list(value) if isinstance(value, list) else value


def finished(config: dict[str, Any], sets: Sequence[Override], where: str, resolved: bool) -> dict[str, Any]:
    """`config`, which came from `where`, with overrides and `${...}` filled in. Raises InputError."""
    for each in sets:
        apply(config, each, where)
    return resolve(config, where) if resolved else config


def apply(config: dict[str, Any], override: Override, where: str) -> None:
    """Change `config` as the override says. Raises InputError for a key that is not there, or there already."""
    *above, last = override.path
    node = config
    for depth, step in enumerate(above):
        if step not in node and override.prefix in ("+", "++"):
            node[step] = {}
        found = node.get(step)
        if not isinstance(found, dict):
            raise _no_key(node, override, depth, where)
        node = found
    if override.prefix == "~":
        if last not in node:
            raise _no_key(node, override, len(above), where)
        del node[last]
    elif override.prefix == "+" and last in node:
        raise InputError(f"{override.shown}: {where} has the key {override.name} already.", "Leave out the +.")
    elif override.prefix == "" and last not in node:
        raise _no_key(node, override, len(above), where)
    elif override.prefix == "" and isinstance(node[last], dict):
        _apply_inside(config, node[last], override, where)
    else:
        node[last] = override.value


def _apply_inside(config: dict[str, Any], old: dict[str, Any], override: Override, where: str) -> None:
    """`optimizer={lr: 0.1}` changes that one key of optimizer."""
    if not isinstance(override.value, dict):
        name, inner = override.name, next(iter(old), "key")
        raise InputError(
            f"{override.shown}{shorten(override.value)}: in {where} {name} has keys of its own.",
            f"Write {name}.{inner}=..., or ++{name}=... to replace all of it.",
        )
    for key, value in override.value.items():
        apply(config, Override("", (*override.path, key), value), where)


def _no_key(node: Mapping[str, Any], override: Override, depth: int, where: str) -> InputError:
    path = override.path
    if path[depth] in node:
        what = "a list" if isinstance(node[path[depth]], list) else "a value"
        return InputError(f"{override.shown}: in {where} {'.'.join(path[: depth + 1])} is {what}, without keys.")
    above = ".".join(path[:depth])
    advice = hint(path[depth], node, "Keys")
    if override.prefix == "":
        advice = f"{advice} To add it, write +{override.name}=...".strip()
    place = f"{above} in {where}" if above else where
    return InputError(f"{override.shown}: {place} has no key {shorten(path[depth])}.", advice)
