"""exs's own dialect: `command`, `params` and what a job needs."""

from __future__ import annotations

import re
import warnings

from exs.errors import InputError
from exs.model import DEFAULT_PRIORITY, STOP_SIGNALS, Json, Spec
from exs.sweep import failures, resources, space
from exs.sweep.context import Context, check_options
from exs.sweep.dialects.sampling import sampling
from exs.sweep.expand import Block, checked_count, jobs
from exs.sweep.fields import Fields
from exs.sweep.model import Sweep
from exs.sweep.naming import Namer
from exs.sweep.space import Space
from exs.sweep.suggest import shorten
from exs.sweep.template import RESERVED, compile_command, placeholders
from exs.sweep.yamlfile import Document

_KEYS = (
    "name command commands params zip exclude samples sample_seed repeat resources priority retries timeout grace "
    "stop_signal lost_after max_running env output metrics weight preemptible on_failure log_policies canary breaker "
    "python secrets on_lost"
)
KEYS = tuple(_KEYS.split())
#: What a `command` without a name is called, in logs and stat.json.
ONLY_COMMAND = "run"
_COMMAND_NAME = re.compile(r"[A-Za-z0-9_][\w.-]{0,49}\Z", re.ASCII)
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
#: Variables that the slot sets for every job (DESIGN section 7); a file that sets them would be overruled.
_SET_BY_SLOT = (
    "CUDA_VISIBLE_DEVICES CUDA_DEVICE_ORDER EXS_JOB EXS_EXPERIMENT EXS_ATTEMPT EXS_PARAMS EXS_OUTPUT EXS_REPORT "
    "EXS_CONTROL EXS_CHECKPOINT"
)
SET_BY_SLOT = frozenset(_SET_BY_SLOT.split())


def read(documents: list[Document], context: Context) -> Sweep:
    """The sweep of a file in exs's own dialect; raises InputError with file:line."""
    fields = Fields.of(documents[0])
    fields.check_known(KEYS)
    found = space.read(fields, context.limits)
    commands = _commands(fields, found)
    check_options(context, commands)
    sample, seed = _sampling(fields, found, context)
    needs, pool = resources.read(fields.section("resources"), context.limits)
    block = Block(
        axes=found.groups,
        constants=found.constants,
        exclude=found.exclude,
        commands=tuple(name for name in commands if name in context.options.commands),
        resources=needs,
        repeat=fields.integer("repeat", 1, context.limits.sweep_jobs) or 1,
        draws=found.draws,
        order=found.order,
    )
    return Sweep(
        name=context.experiment_name(fields.text("name"), fields.at("name")),
        source=context.source,
        dialect="exs",
        spec=_spec(fields, commands, context),
        count=checked_count([block], sample, context.limits, fields.document.source),
        build=lambda sweep: jobs(sweep, [block], Namer(), sample, seed, limits=context.limits),
        pool=pool,
        priority=fields.integer("priority", 1, 99) or DEFAULT_PRIORITY,
        retries=fields.integer("retries", 0) or 0,
        max_running=fields.integer("max_running", 1),
        lost_after=fields.duration("lost_after"),
        weight=fields.weight("weight"),
        preemptible=fields.flag("preemptible") is not False,
        canary=fields.integer("canary", 0) or 0,
        breaker=fields.flag("breaker") is not False,
        notes=_orphans(commands, found),
    )


def _commands(fields: Fields, found: Space) -> dict[str, dict[str, Json]]:
    if "command" in fields and "commands" in fields:
        raise InputError(f"{fields.at('commands')}: has both 'command' and 'commands'.", "Remove one of them.")
    if "command" in fields:
        return {ONLY_COMMAND: command(fields, "command", found)}
    section = fields.section("commands")
    for name in section:
        if not _COMMAND_NAME.match(name):
            raise InputError(f"{section.at(name)}: {shorten(name)} cannot name a command: its log is named after it.")
    if not section.data:
        raise InputError(f"{fields.document.source}: has no command.", "Add: command: python train.py ...")
    return {name: command(section, name, found) for name in section}


def command(fields: Fields, key: str, found: Space, style: str = "exs") -> dict[str, Json]:
    """The compiled command under `key`: text, or a list of words; raises InputError if it is empty or no such."""
    written = fields.get(key)
    if isinstance(written, str) and written.strip():
        return compile_command(written, found.samples(), fields.at(key), style=style)
    if isinstance(written, list) and written:
        words = [str(word) if type(word) in (int, float) else word for word in written]
        if all(isinstance(word, str) for word in words) and words[0]:
            return compile_command(words, found.samples(), fields.at(key), style=style)
    if written in (None, "", []) or (isinstance(written, str) and not written.strip()):
        raise InputError(f"{fields.at(key)}: the command is empty.", "Write what a job runs.")
    raise fields.wrong(key, "a text or a list of words")


def _orphans(commands: dict[str, dict[str, Json]], found: Space) -> list[str]:
    used = set().union(*map(placeholders, commands.values())) - set(RESERVED)
    return [
        f"parameter {name!r} is in no command; a job finds it in $EXS_PARAMS"
        for name in found.order
        if name not in used
    ]


def _sampling(fields: Fields, found: Space, context: Context) -> tuple[int | None, int]:
    asked, asked_seed = sampling(context)
    written = fields.integer("samples", 1, context.limits.sweep_jobs)
    written_seed = fields.integer("sample_seed", 0) or 0
    samples = written if asked is None else asked
    if samples is None and found.draws:
        name = next(iter(found.draws))
        raise InputError(
            f"{fields.at('params', name)}: {name!r} is drawn at random, but nothing says how often.",
            "Add samples: 20, or use --sample 20.",
        )
    return samples, written_seed if context.options.seed is None else asked_seed


def _spec(fields: Fields, commands: dict[str, dict[str, Json]], context: Context) -> Spec:
    return Spec(
        commands=commands,
        cwd=context.cwd,
        output=context.output(fields.text("output"), fields.at("output")),
        env=_env(fields.section("env")),
        job_dirs=context.options.job_dirs,
        timeout=fields.duration("timeout"),
        grace=fields.duration("grace"),
        stop_signal=stop_signal(fields),
        metrics=_metrics(fields.section("metrics")),
        on_failure=failures.on_failure(fields),
        log_policies=failures.log_policies(fields, context.limits),
        datetime=context.datetime,
        python=_either(
            fields, "python", "auto", "worker",
            "auto: the environment that uv.lock or requirements.txt describes; worker: the one of exs worker.",
        ),
        secrets=_secrets(fields),
        on_lost=_either(
            fields, "on_lost", "keep", "kill",
            "keep: a copy whose job another slot was given runs to its end; kill: it does not. What becomes of "
            "the job is said by on_failure: {lost: ...}.",
        ),
    )  # fmt: skip


def _either(fields: Fields, key: str, asked: str, default: str, hint: str) -> str:
    """`asked` where the file says so, "" for the default."""
    written = fields.text(key)
    if written not in (None, asked, default):
        raise InputError(f"{fields.at(key)}: {key} is {shorten(written)}, not {asked} or {default}.", hint)
    return asked if written == asked else ""


def _secrets(fields: Fields) -> tuple[str, ...]:
    """Names of variables whose values are shown to nobody; what `env` does not set, the push takes from its own."""
    names = fields.items("secrets") or []
    for at, name in enumerate(names):
        if not isinstance(name, str):
            raise InputError(f"{fields.at('secrets', at)}: {shorten(name)} cannot name an environment variable.")
        check_env_name(name, fields.at("secrets", at))
    return tuple(dict.fromkeys(names))


def stop_signal(fields: Fields) -> str:
    """The signal that asks a job to stop, with or without SIG in front; raises InputError for one that cannot."""
    written = fields.text("stop_signal")
    if written is None:
        return STOP_SIGNALS[0]
    name = "SIG" + written.strip().upper().removeprefix("SIG")
    if name in STOP_SIGNALS:
        return name
    if name in ("SIGKILL", "SIGSTOP"):
        raise InputError(
            f"{fields.at('stop_signal')}: no program hears {name}.", "Write grace: 0.1s to leave jobs no time."
        )
    raise InputError(
        f"{fields.at('stop_signal')}: {shorten(written)} is no signal that a job can be stopped with.",
        f"There are: {', '.join(STOP_SIGNALS)}.",
    )


def _env(section: Fields) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in section.data.items():
        check_env_name(name, section.at(name))
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise InputError(f"{section.at(name)}: {name} must be text, not {shorten(value)}.", "Quote it.")
        found[name] = str(value)
    return found


def check_env_name(name: str, where: str) -> None:
    """Raises InputError for a name that no environment variable can have, or that the slot sets."""
    if not _ENV_NAME.match(name):
        raise InputError(f"{where}: {shorten(name)} cannot name an environment variable.")
    if name in SET_BY_SLOT:
        raise InputError(f"{where}: {name} is set by exs for each job.", "Remove it.")


def _metrics(section: Fields) -> dict[str, str]:
    for name in section:
        pattern = section.text(name)
        try:
            with warnings.catch_warnings():  # `[[` warns about sets that a later Python may nest
                warnings.simplefilter("ignore", FutureWarning)
                groups = re.compile(pattern or "").groups
        except (re.error, OverflowError, RecursionError) as error:
            raise InputError(f"{section.at(name)}: {name!r} is no regular expression: {error}.") from None
        if groups != 1:
            raise InputError(
                f"{section.at(name)}: the pattern of {name!r} has {groups} groups, not one.",
                "Put the number in parentheses: loss=([0-9.]+)",
            )
    return {name: value for name, value in section.data.items() if value is not None}
