"""runner's dialect: a first document with templates, then one document of choices per sweep."""

from __future__ import annotations

import os.path
from collections.abc import Mapping, Sequence
from functools import lru_cache

from exs.command import text_of
from exs.errors import InputError
from exs.model import Json, Resources, Spec
from exs.sweep.context import Context
from exs.sweep.dialects import slots
from exs.sweep.dialects.choices import Choice, Config, checked_commands, read_choice, read_config, selected
from exs.sweep.dialects.sampling import sampling
from exs.sweep.expand import Block, checked_count, jobs
from exs.sweep.fields import Fields
from exs.sweep.model import Sweep
from exs.sweep.naming import Namer, name_part
from exs.sweep.template import RESERVED, compile_command, placeholders
from exs.sweep.yamlfile import Document

#: Up to this many points the tasks are counted exactly, for which each must be visited.
COUNTED = 10_000


def read(documents: list[Document], context: Context) -> Sweep:
    """The sweep of a runner file; raises InputError with file:line."""
    config = read_config(documents[0])
    local_slots = _resource(config.fields)
    choices = [read_choice(document, config) for document in selected(documents, context.options.title)]
    commands = _compiled(config, choices)
    needs = Resources(gpus=slots.gpus_each(local_slots), indices=slots.indices(local_slots))
    wanted = checked_commands(context.options.commands, config.templates, "-c")
    blocks = [_block(choice, commands, wanted, needs) for choice in choices]
    namer = _namer(choices, context.cwd)
    sample, seed = sampling(context)
    sweep = Sweep(
        name=context.experiment_name(),
        source=context.source,
        dialect="runner",
        spec=_spec(commands, context),
        count=checked_count(blocks, sample, context.limits, documents[0].source, as_written),
        build=lambda sweep: jobs(sweep, blocks, namer, sample, seed, as_written, context.limits),
        local_slots=local_slots,
    )
    sweep.when_pushed = slots.notes("resource", local_slots)
    sweep.notes = [_totals(sweep), *_orphans(config, choices, commands), *sweep.when_pushed]
    return sweep


def as_written(value: Json) -> str:
    """The text by which values are told apart: `1`, `1.0` and `"1"` are the same, as they were to runner."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "null" if value is None else text_of(value, "")


def _resource(fields: Fields) -> tuple[str, ...]:
    """One device string per entry; the same GPU in several entries is shared by as many jobs."""
    entries = fields.items("resource") or []
    return tuple(slots.device_string(entry, fields.at("resource", at)) for at, entry in enumerate(entries))


def _compiled(config: Config, choices: Sequence[Choice]) -> dict[str, dict[str, Json]]:
    values: dict[str, list[Json]] = {}
    for choice in choices:
        for name, some in choice.values.items():
            values.setdefault(name, []).extend(some)
    section = config.fields.section("template")
    return {
        name: compile_command(template, values, section.at(name), style="runner", aliases=config.aliases)
        for name, template in config.templates.items()
    }


def _block(choice: Choice, commands: Mapping[str, dict[str, Json]], wanted: tuple[str, ...], needs: Resources) -> Block:
    """The block of one document. `wanted`: commands of -c, which overrule those of `_cmd`."""
    names = wanted or choice.commands
    for name in names or commands:
        missing = sorted(placeholders(commands[name]) - set(choice.values) - set(RESERVED))
        if missing:
            raise InputError(
                f"{choice.fields.at()}: command {name!r} needs {', '.join(missing)}, which this document does not set.",
                "Give it a value here or under 'default'.",
            )
    return Block(
        axes=choice.groups,
        constants=choice.constants,
        commands=names if len(names) < len(commands) else (),
        resources=needs,
        order=tuple(name for name in choice.fields if name in choice.values),
    )


def _namer(choices: Sequence[Choice], cwd: str) -> Namer:
    """runner's names: of the parameters in the document alone, a path shortened to its last component."""
    filled = frozenset().union(*(choice.filled for choice in choices))

    @lru_cache(maxsize=4096)  # one look at the disk per value, not per job
    def is_path(text: str) -> bool:
        return os.path.exists(os.path.join(cwd, text))

    return Namer(lambda name, value: "" if name in filled else name_part(name, value, is_path))


def _spec(commands: Mapping[str, dict[str, Json]], context: Context) -> Spec:
    return Spec(
        commands=commands,
        cwd=context.cwd,
        output=context.output(),
        job_dirs=context.options.job_dirs,
        skip_done=True,
        datetime=context.datetime,
    )


def _totals(sweep: Sweep) -> str:
    """How many tasks there are and commands in them, as runner announced them."""
    everything = len(sweep.spec.commands)
    if sweep.count > COUNTED:
        return f"Tasks: up to {sweep.count}, commands to run: up to {sweep.count * everything}"
    sizes = [len(job.commands) or everything for job in sweep.jobs()]
    return f"Tasks: {len(sizes)}, commands to run: {sum(sizes)}"


def _orphans(config: Config, choices: Sequence[Choice], commands: Mapping[str, dict[str, Json]]) -> list[str]:
    """The parameters that reach no command; they only tell jobs and directories apart."""
    used = set(config.packs).union(*(placeholders(command) for command in commands.values()))
    orphans = dict.fromkeys(name for choice in choices for name in choice.values if name not in used)
    return [f"Orphan params: {', '.join(orphans)}"] if orphans else []
