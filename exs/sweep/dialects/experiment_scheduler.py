"""experiment-scheduler's dialect: a list of tasks, each a command with what it needs."""

from __future__ import annotations

import os.path
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from exs.command import text_of
from exs.errors import InputError
from exs.model import Json, NewJob, Resources, Spec
from exs.sweep.context import Context, check_options
from exs.sweep.dialects import slots
from exs.sweep.dialects.sampling import sampling
from exs.sweep.expand import Axis, Block, checked_count, jobs
from exs.sweep.fields import Fields
from exs.sweep.model import Sweep
from exs.sweep.naming import Namer, check_typed, file_text, fitting, longest_name, unique
from exs.sweep.suggest import shorten
from exs.sweep.template import compile_command, placeholders
from exs.sweep.yamlfile import Document

KEYS = ("name", "resource", "tasks", "task")
#: `repitition` is how the original spells it.
REPETITION = ("repitition", "repetition")
TASK_KEYS = ("cmd", "condition", "name", *REPETITION, "arguments", "files", "execute_here")


@dataclass(frozen=True)
class Task:
    """One task: its jobs are named after it, and so is its command."""

    name: str
    command: dict[str, Json]
    block: Block


def read(documents: list[Document], context: Context) -> Sweep:
    """The sweep of an experiment-scheduler file; raises InputError with file:line."""
    if len(documents) > 1:
        raise InputError(f"{documents[1].where()}: a second document; only runner's files have several.")
    fields = Fields.of(documents[0])
    fields.check_known(KEYS)
    local_slots = _available(fields)
    written = _tasks(fields)
    tasks: dict[str, Task] = {}
    for task_fields in written:
        task = _task(task_fields, tasks, local_slots)
        tasks[task.name] = task
    check_options(context, tasks)
    chosen = [task for task in tasks.values() if task.name in (context.options.commands or tasks)]
    sample, _ = sampling(context)
    source = documents[0].source
    when_pushed = slots.notes("available_cuda", local_slots)
    return Sweep(
        name=context.experiment_name(fields.text("name"), fields.at("name")),
        source=context.source,
        dialect="experiment-scheduler",
        spec=_spec(tasks, context),
        count=checked_count([task.block for task in chosen], sample, context.limits, source),
        build=lambda sweep: _jobs(sweep, chosen, context),
        local_slots=local_slots,
        notes=[*when_pushed, *_notes(written, tasks, context)],
        when_pushed=when_pushed,
        files=tuple(name for task in written if "files" in task for name in _files(task, context.cwd)),
    )


def _available(fields: Fields) -> tuple[str, ...]:
    """A slot for each GPU of `available_cuda`; none if the file does not say."""
    listed = []
    for at, _ in enumerate(fields.items("resource") or []):
        entry = Fields.of(fields.document, "resource", at)
        entry.check_known(("available_cuda",))
        listed += slots.device_string(entry.get("available_cuda"), entry.at("available_cuda")).split(",")
    if len(set(listed)) < len(listed):
        raise InputError(f"{fields.at('resource')}: lists a GPU twice.", "Remove one of them.")
    return tuple(listed)


def _tasks(fields: Fields) -> list[Fields]:
    """The tasks as written. The original's document spells the key `tasks` and, in one place, `task`."""
    if "tasks" in fields and "task" in fields:
        raise InputError(f"{fields.at('task')}: has both 'tasks' and 'task'.", "Remove one of them.")
    key = "task" if "task" in fields else "tasks"
    items = fields.items(key)
    if items is None:
        raise InputError(f"{fields.at(key)}: has no tasks.", "Add: tasks: [{name: train, cmd: python train.py}]")
    return [Fields.of(fields.document, key, at) for at, _ in enumerate(items)]


def _task(fields: Fields, others: Mapping[str, Task], local_slots: Sequence[str]) -> Task:
    fields.check_known(TASK_KEYS)
    command = fields.text("cmd") if fields.get("cmd") != "" else None
    if command is None:
        raise InputError(f"{fields.at('cmd')}: the task has no command.", "Add: cmd: python train.py")
    arguments = fields.section("arguments")
    values = {name: _values(arguments, name) for name in arguments}
    name = _task_name(fields, others)
    block = Block(
        axes=[[Axis(argument, listed)] for argument, listed in values.items()],
        commands=(name,),
        resources=_resources(fields.section("condition"), local_slots),
        repeat=_repetition(fields),
    )
    compiled = compile_command(command, values, fields.at("cmd"), style="experiment-scheduler")
    return Task(name, compiled, block)


def _values(arguments: Fields, name: str) -> list[Json]:
    written = arguments.data[name]
    listed = written if isinstance(written, list) else [written]
    if not listed or None in listed or isinstance(written, dict):
        raise arguments.wrong(name, "a list of at least one value, none of them null")
    return listed


def _task_name(fields: Fields, others: Mapping[str, Task]) -> str:
    """The name of the task; a second one of that name is called `name_2`."""
    name = f"task_{len(others) + 1}"
    if "name" in fields:
        name = check_typed(fields.get("name"), "the task", fields.at("name"))
    number, free = 1, name
    while free in others:
        number += 1
        free = f"{name}_{number}"
    return free


def _resources(condition: Fields, local_slots: Sequence[str]) -> Resources:
    condition.check_known(("gpu",))
    gpus, allowed = condition.integer("gpu", 0, 1024), slots.indices(local_slots)
    if gpus and allowed and gpus > len(allowed):
        raise InputError(
            f"{condition.at('gpu')}: asks for {gpus} GPUs, but available_cuda lists {len(allowed)}.", "Change one."
        )
    return Resources(gpus=gpus, indices=None if gpus == 0 else allowed)


def _repetition(fields: Fields) -> int:
    written = [key for key in REPETITION if key in fields]
    if len(written) > 1:
        raise InputError(f"{fields.at(written[1])}: has both {written[0]!r} and {written[1]!r}.", "Remove one.")
    return (fields.integer(written[0], 1) if written else None) or 1


def _spec(tasks: Mapping[str, Task], context: Context) -> Spec:
    return Spec(
        commands={name: task.command for name, task in tasks.items()},
        cwd=context.cwd,
        output=context.output(),
        job_dirs=context.options.job_dirs,
        datetime=context.datetime,
    )


def _jobs(sweep: Sweep, tasks: Sequence[Task], context: Context) -> Iterator[NewJob]:
    """The jobs of one task after the other; a name that another task's job has is made unique."""
    sample, seed = sampling(context)
    longest = longest_name(sweep.spec, context.limits.directory_chars)
    given: set[str] = set()
    for task in tasks:
        namer = Namer(_part, file_text(task.name), "_")
        for job in jobs(sweep, [task.block], namer, sample, seed, limits=context.limits):
            name = job.name
            if task.block.repeat > 1:
                name = f"{name.removesuffix(f'-r{job.repeat}')}_repit{job.repeat + 1}"
            name = fitting(name, job.point, longest)
            if name in given:
                name = unique(name, job.point, longest)
            if len(tasks) > 1:
                given.add(name)
            yield replace(job, name=name)


def _part(name: str, value: Json) -> str:
    """`lr_0.1` of `train_lr_0.1_bs_4`, the name of a job of the task `train`."""
    return file_text(f"{name}_{text_of(value, name)}")


def _notes(written: Sequence[Fields], tasks: Mapping[str, Task], context: Context) -> list[str]:
    notes = []
    for fields, task in zip(written, tasks.values(), strict=True):
        unused = [axis.name for group in task.block.axes for axis in group]
        unused = [name for name in unused if name not in placeholders(task.command)]
        if unused:
            notes.append(f"task {task.name}: arguments that its command does not show: {', '.join(unused)}")
        if "files" in fields:
            files = _files(fields, context.cwd)
            notes.append(f"task {task.name}: its files, of {context.cwd}: {', '.join(files)}")
        elif "execute_here" in fields:
            if not isinstance(fields.get("execute_here"), bool):
                raise fields.wrong("execute_here", "true or false")
            notes.append(f"task {task.name}: runs in {context.cwd} or a copy of it, as every job does (execute_here)")
    return notes


def _files(fields: Fields, cwd: str) -> list[str]:
    """The files of a task, each of which must be there."""
    for at, name in enumerate(fields.items("files") or []):
        if not isinstance(name, str) or not os.path.exists(os.path.join(cwd, name)):
            raise InputError(f"{fields.at('files', at)}: {shorten(name)}: no such file in {cwd}.")
    return list(fields.data["files"])
