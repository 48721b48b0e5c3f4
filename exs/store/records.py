"""Records to and from Redis: strict JSON, sizes checked, nothing trusted.

Whatever cannot be read raises BrokenRecord and is shown as such; it never stops a slot or a list (R12).
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

from exs.errors import BrokenRecord, InputError
from exs.model import After, Json, Outcome, Spec

_SPEC_TYPES: dict[str, type | tuple[type, ...]] = {
    "commands": dict, "cwd": str, "output": str, "env": dict, "job_dirs": bool, "timeout": (int, float, type(None)),
    "grace": (int, float, type(None)), "metrics": dict, "skip_done": bool, "datetime": str, "stop_signal": str,
    "on_failure": dict, "log_policies": (list, tuple), "capsule": str, "python": str, "secrets": (list, tuple),
    "on_lost": str,
}  # fmt: skip

#: Fields of a Spec that came later are left out when nothing is said: a sweep that does not use them keeps its digest,
#: and workers that do not know them run it.
_LATER = {"stop_signal": ("SIGTERM",), "on_failure": ({},), "log_policies": ((), []), "capsule": ("",),
          "python": ("",), "secrets": ((), []), "on_lost": ("",)}  # fmt: skip

_ENCODER = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def dumps(value: Json) -> str:
    """Compact strict JSON. Raises InputError for what JSON cannot hold."""
    try:
        return _ENCODER.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"not a JSON value: {error}.") from None


def plain(value: str) -> str:
    """Text that UTF-8 and JSON can hold: what is neither (a path of other bytes) is kept visible."""
    return value.encode("utf-8", "backslashreplace").decode()


def loads(text: str | bytes, what: str) -> Json:
    """Strict JSON. Raises BrokenRecord naming `what`."""
    if len(text) > LARGEST:
        raise BrokenRecord(f"{what} is not readable: {len(text):,} bytes are more than exs writes.")
    try:
        word = text if isinstance(text, str) else text.decode("utf-8")
        if len(word) < _SHORT and not _large(word) and not ("E" in word and _large(word.lower())):
            try:
                found, end = _QUICK(word, 0)
            except StopIteration:
                end = -1  # what is no JSON is told below
            if end == len(word):
                return found
        value: Json = _DECODER.decode(word)
        if word.count("[") + word.count("{") > DEPTH and _deep(value):
            raise ValueError(f"it is nested deeper than {DEPTH} levels")
        return value
    except (ValueError, RecursionError) as error:
        raise BrokenRecord(f"{what} is not readable: {error}.") from None


def _deep(value: Json) -> bool:
    """Whether it is nested too deep for those who go through it level by level inside each other."""
    level: list[Json] = [value]
    for _ in range(DEPTH):
        level = [one for outer in level for one in _inside(outer)]
        if not level:
            return False
    return True


def _inside(value: Json) -> Iterable[Json]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _refuse_constant(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is no finite number")
    return number


def _bounded(text: str) -> int:
    if len(text) > _DIGITS:
        raise ValueError(f"{text[:40]}... has {len(text)} digits")
    return int(text)


#: Bytes of one record. Parameters and results have 64 KiB at most, a sweep 1 MiB; the list of all files of a run a few.
LARGEST = 16 << 20
#: Levels of one record; a sweep has 50 at most. Short ones may have as many as they have room for.
DEPTH = 100
#: Of a whole number: what is longer is no float, which columns, queries and plots take it for.
_DIGITS = 300
#: json.loads would make one per call, for three times the price.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite, parse_int=_bounded)
#: The same for text in which no number can be too large for a float: to ask each of them took half of the time.
_QUICK: Any = getattr(json.JSONDecoder(parse_constant=_refuse_constant), "scan_once")  # noqa: B009 (typeshed lacks it)
#: Begins with a letter of its own, which is searched eight times as fast as one of several.
_large = re.compile(r"e(?<=[0-9.]e)\+?[0-9]{2}").search
_SHORT = 250


def spec_text(spec: Spec) -> tuple[str, str]:
    """A Spec as JSON, and the digest under which it is kept: 8 hex digits of what affects how jobs run."""
    fields = {name: value for name, value in vars(spec).items() if value not in _LATER.get(name, ())}
    text = plain(dumps(fields))
    stable = plain(dumps({**fields, "datetime": ""})) if spec.datetime else text
    return text, hashlib.blake2b(stable.encode(), digest_size=4).hexdigest()


def spec_from(text: bytes, what: str) -> Spec:
    """The Spec that `spec_text` wrote. Raises BrokenRecord."""
    data = loads(text, what)
    try:
        spec = Spec(**data)
    except TypeError as error:
        raise BrokenRecord(f"{what} is of another version: {error}.") from None
    for name, kinds in _SPEC_TYPES.items():
        if not isinstance(getattr(spec, name), kinds):
            raise BrokenRecord(f"{what}: {name} is of the wrong type.")
    texts = [*spec.env.values(), *spec.metrics.values(), *spec.secrets]
    if not all(isinstance(value, str) for value in texts) or not all(
        isinstance(c, dict) for c in spec.commands.values()
    ):
        raise BrokenRecord(f"{what}: commands, env, secrets or metrics hold something of the wrong type.")
    if not all(map(_is_rule, spec.on_failure.values())) or not all(map(_is_policy, spec.log_policies)):
        raise BrokenRecord(f"{what}: on_failure or log_policies hold something of the wrong type.")
    return spec


def _is_rule(rule: Json) -> bool:
    return (
        isinstance(rule, list)
        and len(rule) == 2
        and rule[0] in [after.value for after in After]
        and (rule[1] is None or type(rule[1]) is int)
    )


def _is_policy(policy: Json) -> bool:
    return isinstance(policy, dict) and all(isinstance(policy.get(key), str) for key in ("name", "pattern", "action"))


def outcome_text(outcome: Outcome, gpu_memory: int = 0) -> str:
    """The part of an outcome that `finish.lua` and `crash.lua` decode, without what is empty.

    `gpu_memory`: bytes of the GPU on which it ran.
    """
    fields: dict[str, Json] = {
        "state": outcome.state.value,
        "failure": outcome.failure.value if outcome.failure else None,
        "detail": plain(outcome.detail),
        "exit_code": outcome.exit_code,
        "signal": outcome.signal,
        "seconds": outcome.seconds,
        "directory": plain(outcome.directory),
        "log": plain(outcome.log),
        "max_rss": outcome.max_rss or None,
        "log_dropped": outcome.log_dropped or None,
        "gpu_peak": outcome.gpu_peak or None,
        "gpu_load": outcome.gpu_load,
        "gpu_load_max": outcome.gpu_load_max,
        "after": outcome.after,
        "again": outcome.again,
        "kind": outcome.kind,
        "exclude_node": outcome.exclude_node or None,
        "device_memory": outcome.device_memory or None,
        "gpu_memory": gpu_memory if outcome.device_memory else None,
        "alike": plain(outcome.alike),
    }
    return dumps({name: value for name, value in fields.items() if value is not None and value != ""})


def text(value: bytes | None) -> str:
    """Bytes from Redis as text; what is not UTF-8 is kept visible."""
    return value.decode("utf-8", "backslashreplace") if value else ""


def etag(flat: Sequence[bytes]) -> str:
    """What changes whenever a job's state, holder, parameters or results do; `lib/etag.lua` computes the same."""
    f = dict(zip(flat[::2], flat[1::2], strict=False))
    told = b"\n".join(f.get(name, b"") for name in (b"st", b"at", b"pr", b"rs"))
    return hashlib.sha1(told, usedforsecurity=False).hexdigest()


def pairs(flat: Sequence[bytes]) -> dict[str, bytes]:
    """A flat Redis reply as a dict."""
    return dict(zip(map(text, flat[::2]), flat[1::2], strict=False))
