"""`ctx.config`: a dict whose keys are attributes, too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from exs.errors import InputError
from exs.sweep.suggest import hint, shorten
from exs.sweep.yamltext import dump


class ConfigDict(dict[str, Any]):
    """A dict, with `config.optimizer.lr` for `config["optimizer"]["lr"]`, to read and to write.

    Mappings inside it are ConfigDicts, also those that are put in later. A key that is called like a method of dict,
    such as `items`, is reached by `config["items"]` alone. Printed it is the YAML of the configuration.
    """

    def __init__(self, *args: Any, **values: Any) -> None:
        super().__init__()
        self.update(*args, **values)

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, _wrapped(value))

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            advice = "" if name.startswith("__") else hint(name, self, "Keys")
            said = f"the configuration has no key {shorten(name)}. {advice}".strip()
            raise AttributeError(said, name="") from None  # with a name Python would guess once more

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(dict, name):
            raise InputError(f"{name} is a method of every dict.", f'Write config["{name}"] = ...')
        self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise AttributeError(f"the configuration has no key {shorten(name)}.") from None

    def __dir__(self) -> Iterable[str]:
        return [*super().__dir__(), *(key for key in self if isinstance(key, str))]

    def __str__(self) -> str:
        return _shown(self, "").rstrip("\n")

    def __deepcopy__(self, memo: dict[int, Any]) -> ConfigDict:
        from copy import deepcopy

        return ConfigDict({key: deepcopy(value, memo) for key, value in self.items()})

    def copy(self) -> ConfigDict:
        """A shallow copy."""
        return ConfigDict(self)

    def setdefault(self, key: str, default: Any = None) -> Any:
        """See dict."""
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, *args: Any, **values: Any) -> None:
        """See dict."""
        for key, value in dict(*args, **values).items():
            self[key] = value

    def __or__(self, other: Any) -> ConfigDict:  # type: ignore[override]
        found = self.copy()
        found.update(other)
        return found

    def __ior__(self, other: Any) -> ConfigDict:  # type: ignore[override]
        self.update(other)
        return self

    def to_dict(self) -> dict[str, Any]:
        """The same as plain dicts and lists."""
        found: dict[str, Any] = plain(self)
        return found


def _wrapped(value: Any) -> Any:
    if isinstance(value, Mapping) and not isinstance(value, ConfigDict):
        return ConfigDict(value)
    return [_wrapped(item) for item in value] if type(value) is list else value


def plain(value: Any) -> Any:
    """`value` with every mapping a dict and every list a list."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _shown(config: Mapping[Any, Any], margin: str) -> str:
    """As MLXP's documents print it: one space per level, texts in quotes."""
    lines = []
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            lines.append(f"{margin}{_word(key)}:\n{_shown(value, margin + ' ')}")
        else:
            lines.append(f"{margin}{_word(key)}: {_value(value)}\n")
    return "".join(lines)


def _word(key: Any) -> str:
    return dump({str(key): None}).rpartition(":")[0]


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_word(key)}: {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_value, value)) + "]"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value)


def _quoted(text: str) -> str:
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    from json import dumps  # which is a double-quoted text of YAML

    return dumps(text)
