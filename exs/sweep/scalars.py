"""What a plain YAML scalar means: the types of YAML 1.2's core schema, and of YAML 1.1 as PyYAML reads it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import yaml

from exs.model import Json

TAG = "tag:yaml.org,2002:"

#: Characters in a whole number. A seed of 128 bits has 39 digits; 1 MB of hex digits takes half a second.
INT_CHARS = 48

_CORE = {
    "null": re.compile(r"(?:~|null|Null|NULL|)\Z"),
    "bool": re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"),
    "int": re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z"),
    "float": re.compile(
        r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
    ),
    "merge": re.compile(r"<<\Z"),
}
_START = {"null": "~nN", "bool": "tTfF", "int": "-+0123456789", "float": "-+.0123456789", "merge": "<"}


class BadScalar(ValueError):
    """The text does not fit its type; the message ends a sentence that begins with its place."""


_Rules = dict[str, list[tuple[str, re.Pattern[str]]]]


def _core_rules() -> _Rules:
    rules: _Rules = {"": [(TAG + "null", _CORE["null"])]}
    for kind, pattern in _CORE.items():
        for first in _START[kind]:
            rules.setdefault(first, []).append((TAG + kind, pattern))
    return rules


def _old_rules() -> _Rules:
    return {
        first: [(tag, pattern) for tag, pattern in rules if not tag.endswith(":timestamp")]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


class Core(yaml.SafeLoader):
    """YAML 1.2: `1e-3` is a number, `0123` is 123, `yes`, `on`, `1:30` and dates are text."""

    yaml_implicit_resolvers = _core_rules()


class Old(yaml.SafeLoader):
    """YAML 1.1 as PyYAML reads it (`1e-5` is text, `yes` is true), except that dates stay text."""

    yaml_implicit_resolvers = _old_rules()


LOADERS: dict[str, type[yaml.SafeLoader]] = {"1.1": Old, "1.2": Core}


def construct(tag: str, text: str, loader: yaml.SafeLoader) -> Json:
    """The value of a scalar that has been resolved to `tag`; raises BadScalar."""
    kind = tag.removeprefix(TAG)
    if kind in ("str", "value", "merge"):
        return text
    if kind == "null":
        return None
    if kind not in ("bool", "int", "float"):
        raise BadScalar(f"the tag {tag!r} is not allowed: only plain data is read.")
    if kind != "bool" and len(text) > (INT_CHARS if kind == "int" else 400):
        raise BadScalar(f"a number of {len(text):,} characters is too long.")
    try:
        value = _construct(kind, text, loader)
    except (ValueError, KeyError, OverflowError):
        raise BadScalar(f"{text[:60]!r} is not {'an' if kind == 'int' else 'a'} {kind}.") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise BadScalar(f"{text[:60]!r} is not a finite number; quote it to pass it on as text.")
    return value


def _construct(kind: str, text: str, loader: yaml.SafeLoader) -> Json:
    if isinstance(loader, Core):
        return _CORE_VALUES[kind](text)
    node = yaml.ScalarNode(TAG + kind, text)
    if kind == "bool":
        return loader.construct_yaml_bool(node)
    return loader.construct_yaml_int(node) if kind == "int" else loader.construct_yaml_float(node)


def _core_int(text: str) -> int:
    if text.startswith(("0o", "0x")):
        return int(text[2:], 8 if text[1] == "o" else 16)
    return int(text)


def _core_float(text: str) -> float:
    return float(text.replace(".", "", 1)) if text.lstrip("+-")[1:2] in ("i", "I", "n", "N") else float(text)


_CORE_VALUES: dict[str, Callable[[str], Json]] = {
    "bool": lambda text: {"true": True, "false": False}[text.lower()],
    "int": _core_int,
    "float": _core_float,
}


def plain(text: str) -> Json:
    """`text` as a plain scalar of YAML 1.2, whatever characters it has; raises BadScalar."""
    for kind in ("null", "bool", "int", "float"):
        if _CORE[kind].match(text):
            return construct(TAG + kind, text, _PLAIN)
    return text


_PLAIN = Core("")
