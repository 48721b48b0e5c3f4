"""A compiled command, as stored in a `Spec`, and its rendering with the values of one job.

Compiled commands are strict JSON, made by `exs.sweep.template`:

    {"argv": [[segment, ...], ...]}             executed directly, one list of segments per word
    {"sh": "bash text", "vars": {name: source}} run by bash; the values arrive in environment variables

A segment is text, `{"value": p}`, or, alone in its word, an option. A value's `"spelled"` maps values of p, as
canonical JSON, to the texts that stand for them. An option is `{"option": x, "of": p}`:
`--x value`, `--x` for true, nothing for false; its `"cases"` map the texts of p's values to the values of x.
A source is `{"value": p}`, or half an option, `{"flag": x, "of": p}` or `{"argument": x, "of": p}`.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from exs.errors import ExsError
from exs.model import Json

BASH = "/bin/bash"

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode
_encode_as_is = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def canonical(value: Json) -> str:
    """The one JSON text of `value`. Two values are identical if their texts are: 1 and 1.0 are not."""
    return _encode(value)


def as_stored(value: Json, identity: str) -> str:
    """The JSON text of `value` as a queue keeps it, keys in the order written; `identity` is its canonical one."""
    same = not isinstance(value, (dict, list)) and "\\u" not in identity
    return identity if same else _encode_as_is(value)


@dataclass(frozen=True)
class Rendered:
    """What to execute: `argv`, and `env`, the variables that carry the values into bash.

    `typed` is the command as a person would type it in a shell.
    """

    argv: list[str]
    env: dict[str, str] = field(default_factory=dict)
    typed: str = ""


def render(compiled: Mapping[str, Json], values: Mapping[str, Json], reserved: Mapping[str, str]) -> Rendered:
    """The compiled command with the values of one job in it.

    `reserved` holds `_name`, `_output` and `_datetime`, which no parameter can replace. Raises ExsError for a
    value that is missing or null, or that no command line can carry.
    """
    known = {**values, **reserved}
    if "argv" in compiled:
        argv = [text for word in compiled["argv"] for text in _word(word, known)]
        return Rendered(argv, typed=shlex.join(argv))
    env = {name: _source(source, known) for name, source in compiled["vars"].items()}
    return Rendered([BASH, "-c", compiled["sh"]], env, _typed(compiled["sh"], env))


def template_of(compiled: Mapping[str, Json]) -> str:
    """The compiled command as a sweep file has it: `train.py --lr {lr} [nesterov]`, near enough for people."""
    if "argv" in compiled:
        return " ".join(map(_template_word, compiled["argv"]))
    text = str(compiled["sh"])
    for variable, source in compiled["vars"].items():
        shown = f"{{{source['value']}}}" if "value" in source else f"[{source['of']}]" if "flag" in source else ""
        for context in ("flag", "argument", "single", "bare", "double"):  # the longest first
            text = text.replace(expansion(variable, context), shown)
    return text


def _template_word(segments: list[Json]) -> str:
    first = segments[0] if segments else ""
    if isinstance(first, Mapping) and "option" in first:
        same = first["option"].replace("-", "_") == first["of"].replace("-", "_")
        return f"[{first['of']}]" if same else f"--{first['option']} {{{first['of']}}}"
    if all(isinstance(part, str) for part in segments):
        return shlex.quote("".join(segments))
    return "".join(part if isinstance(part, str) else f"{{{part['value']}}}" for part in segments)


def text_of(value: Json, name: str) -> str:
    """The text under which `value` reaches a command: text as is, numbers as Python writes them, else JSON.

    Raises ExsError, naming the parameter, for null, for a NUL byte and for text that is not Unicode.
    """
    if value is None:
        raise ExsError(f"parameter {name} is null, which no command can show.", "Give it a value.")
    if isinstance(value, (str, bool, int, float)):
        text = str(value)
    else:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if "\0" in text:
        raise ExsError(f"parameter {name} holds a NUL byte, which no command line can carry.", "Remove it.")
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise ExsError(f"parameter {name} is not valid Unicode: {text!a}.", "Mend the text.") from None
    return text


def _value(name: str, known: Mapping[str, Json]) -> Json:
    if name not in known:
        raise ExsError(f"the job has no value for {{{name}}}, which its command needs.", "Push it again.")
    return known[name]


def _word(segments: list[Json], known: Mapping[str, Json]) -> Iterator[str]:
    first = segments[0] if segments else ""
    if isinstance(first, Mapping) and "option" in first:
        flag, argument = _option(first["option"], first, known)
        yield from (text for text in (flag, argument) if text is not None)
    else:
        yield "".join(part if isinstance(part, str) else _spelled(part, known) for part in segments)


def _spelled(part: Mapping[str, Json], known: Mapping[str, Json]) -> str:
    name = part["value"]
    value = _value(name, known)
    text: str | None = part["spelled"].get(canonical(value)) if "spelled" in part else None
    return text_of(value, name) if text is None else text


def _option(option: str, source: Mapping[str, Json], known: Mapping[str, Json]) -> tuple[str | None, str | None]:
    """The flag and the argument of an option; None for what is not given."""
    name = source["of"]
    value = _value(name, known)
    if "cases" in source:
        value = source["cases"].get(text_of(value, name), False)  # a case need not set every option
    if value is False:
        return None, None
    return f"--{option}", None if value is True else text_of(value, name)


def _source(source: Mapping[str, Json], known: Mapping[str, Json]) -> str:
    """Content of a variable. Each is always set: one that is not could be inherited from an outer job."""
    if "value" in source:
        return text_of(_value(source["value"], known), source["value"])
    if "flag" in source:
        return _option(source["flag"], source, known)[0] or ""
    argument = _option(source["argument"], source, known)[1]
    return "" if argument is None else f"={argument}"  # "=" tells an empty argument from none


def expansion(variable: str, context: str) -> str:
    """Bash text that puts the variable's content where a placeholder stood, as part of one word.

    `context` is how the place is quoted: "bare", "double" or "single"; or "flag" or "argument", a word that
    is left out when there is nothing to say.
    """
    return _EXPANSIONS[context].replace("V", variable)


_EXPANSIONS = {
    "bare": '"${V}"',
    "double": "${V}",
    "single": "'\"${V}\"'",
    "flag": '${V:+"${V}"}',
    "argument": '${V:+"${V#=}"}',
}


def _typed(text: str, env: Mapping[str, str]) -> str:
    """`text` with each expansion replaced by its value, quoted for the place where it stands."""
    table: dict[str, str] = {}
    for variable, content in env.items():
        quoted = shlex.quote(content)
        shown = {
            "flag": quoted if content else "",
            "argument": shlex.quote(content[1:]) if content else "",
            "single": f"'{quoted}'" if "'" in content else content,
            "bare": quoted,
            "double": re.sub(r'([\\"$`])', r"\\\1", content),
        }
        table |= {expansion(variable, context): value for context, value in shown.items()}
    # Longest first, because "${V}" holds ${V}; in one pass, because a value may look like an expansion.
    pattern = "|".join(re.escape(key) for key in sorted(table, key=len, reverse=True))
    return re.sub(pattern, lambda match: table[match[0]], text) if table else text
