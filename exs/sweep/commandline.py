"""`exs push -- python main.py lr=10.,1. seed=1,2`: a sweep typed as a command.

A word `key=value` after the program is a parameter; a comma, `range(...)` or `choice(...)` makes it an axis. Each
job's command is what a person would have typed for that point alone, so `10.` stays `10.` although lr is 10.0.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePath

from exs.command import canonical, text_of
from exs.errors import ExsError, InputError
from exs.model import Json, Spec
from exs.settings import Limits
from exs.sweep import words as typed_words
from exs.sweep.context import Context, check_options, stem_name
from exs.sweep.dialects.sampling import sampling
from exs.sweep.expand import Block, checked_count, jobs
from exs.sweep.grid import Axis
from exs.sweep.load import now
from exs.sweep.model import Options, Sweep
from exs.sweep.naming import Namer
from exs.sweep.space import check_param_name, span
from exs.sweep.suggest import shorten

COMMAND = "run"

_KEY_VALUE = re.compile(r"(?P<prefix>\+{0,2})(?P<name>[A-Za-z_][\w.-]*)=(?P<value>.*)\Z", re.DOTALL)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_CALL = re.compile(r"\s*(?P<name>range|choice|interval|glob|shuffle|sort)\((?P<arguments>.*)\)\s*\Z", re.DOTALL)


@dataclass(frozen=True)
class Parameter:
    """One `key=value` word. `typed`: each value as it stood in the word; nothing for a range."""

    prefix: str
    name: str
    values: Sequence[Json]
    typed: Sequence[str]

    def spelled(self) -> dict[str, str]:
        """How the values were typed that would not reach the command so, by their canonical JSON."""
        spelled: dict[str, str] = {}
        shown: dict[str, str | None] = {}
        for typed, value in zip(self.typed, self.values, strict=False):
            spelled.setdefault(canonical(value), typed)
            shown[canonical(value)] = _shown(value, self.name)
        return {key: typed for key, typed in spelled.items() if typed != shown[key]}


def from_words(words: Sequence[str], options: Options, limits: Limits, cwd: Path) -> Sweep:
    """The sweep that a command line stands for, pushed from `cwd`; raises InputError, naming the word."""
    _check(words, limits)
    if options.overrides:
        raise InputError("-o key=value changes a sweep file.", "Write key=value after the program.")
    parts = _parts(words, limits)
    parameters = [part for part in parts if isinstance(part, Parameter)]
    _check_distinct(parameters)
    block = Block(
        axes=[[Axis(each.name, each.values)] for each in parameters if len(each.values) > 1],
        constants={each.name: each.values[0] for each in parameters if len(each.values) == 1},
        order=tuple(each.name for each in parameters),
    )
    directory = cwd.absolute()
    source = f"{directory}: {shlex.join(part if isinstance(part, str) else f'{part.name}=' for part in parts)}"
    context = Context(source, stem_name(directory, _stem(parts), limits), options, limits, str(directory), now())
    check_options(context, [COMMAND])
    sample, seed = sampling(context)
    return Sweep(
        name=context.experiment_name(),
        source=source,
        dialect="command line",
        spec=_spec(parts, context),
        count=checked_count([block], sample, limits, "the command line"),
        build=lambda sweep: jobs(sweep, [block], Namer(), sample, seed, limits=limits),
    )


def _spec(parts: Sequence[str | Parameter], context: Context) -> Spec:
    return Spec(
        commands={COMMAND: {"argv": [_segments(part) for part in parts]}},
        cwd=context.cwd,
        output=context.output(),
        job_dirs=context.options.job_dirs,
        datetime=context.datetime,
    )


def _check(words: Sequence[str], limits: Limits) -> None:
    if not words or not words[0]:
        raise InputError("there is no command after --.", "Write: exs push -- python train.py lr=0.1,0.2")
    if _ASSIGNMENT.match(words[0]):
        raise InputError(f"{shorten(words[0])} is no program; only a shell reads it.", f"Write: env {words[0]} ...")
    if sum(map(len, words)) > limits.sweep_bytes:
        raise InputError(f"the command is longer than {limits.sweep_bytes:,} characters.")
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise InputError(f"the word {shorten(word)} is not valid UTF-8.") from None
        if "\0" in word:
            raise InputError(f"the word {shorten(word)} holds a NUL, which no command line can carry.")


def _parts(words: Sequence[str], limits: Limits) -> list[str | Parameter]:
    """The words, with those after the program that are `key=value` read; what follows `-c` is code, not a key."""
    parts: list[str | Parameter] = [words[0]]
    for before, word in pairwise(words):
        parameter = read_parameter(word, limits) if before != "-c" else None
        parts.append(parameter or word)
    return parts


def read_parameter(word: str, limits: Limits) -> Parameter | None:
    """What a word `key=value` says, None for any other word. Raises InputError, naming the word."""
    match = _KEY_VALUE.match(word)
    if match is None:
        return None
    where = f"the word {shorten(word)}"
    name, written = match["name"], match["value"]
    check_param_name(name, where)
    call = _CALL.match(written)
    if call and call["name"] not in ("range", "choice"):
        raise InputError(f"{where}: {call['name']}(...) is not known.", "Write the values with commas between them.")
    if call and call["name"] == "range":
        numbers = [typed_words.value(each, where, limits) for each in call["arguments"].split(",")]
        steps = span([0, *numbers] if len(numbers) == 1 else numbers, where, limits)
        return Parameter(match["prefix"], name, steps, ())
    typed = typed_words.elements(call["arguments"] if call else written, where)
    if len(typed) > 1:
        typed = [each.strip() for each in typed]
        if any(_CALL.match(each) for each in typed):
            raise InputError(f"{where}: range(...) and choice(...) stand alone.", "Write the values with commas.")
    values = [typed_words.value(each, where, limits) if each else "" for each in typed]
    return Parameter(match["prefix"], name, values, typed)


def _check_distinct(parameters: Sequence[Parameter]) -> None:
    seen: set[str] = set()
    for name in (each.name for each in parameters):
        if name in seen:
            raise InputError(f"the parameter {name!r} is given twice.", "Put its values into one word, with commas.")
        seen.add(name)


def _shown(value: Json, name: str) -> str | None:
    try:
        return text_of(value, name)
    except ExsError:  # null: only its spelling can stand in a command
        return None


def _segments(part: str | Parameter) -> list[Json]:
    if isinstance(part, str):
        return [part] if part else []
    spelled = part.spelled()
    return [f"{part.prefix}{part.name}=", {"value": part.name, **({"spelled": spelled} if spelled else {})}]


def _stem(parts: Sequence[str | Parameter]) -> str:
    """Stem of the script: the first word with a suffix, else the program."""
    literal = [PurePath(part) for part in parts if isinstance(part, str) and not part.startswith("-")]
    return next((path.stem for path in literal[1:] if path.suffix), literal[0].stem if literal else "sweep")
