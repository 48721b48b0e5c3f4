"""`python -m exs.calls MODULE:TASK`: the job of a task. Calls it with EXS_PARAMS; what it returns is the result.

MODULE comes from the queue, so nothing is imported that the worker was not told to allow: `exs worker --allow-module
MODULE`, or `allow_modules` in its config file, with commas; `pkg.*` allows all below pkg. In an allowed module only
what was made with `@exs.task` is called.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from typing import Any, NoReturn

from exs import job, settings
from exs.errors import EXIT_REFUSED, ExsError, InputError, Refused
from exs.tasks import Task


def allowed(module: str, patterns: str) -> bool:
    """Whether one of `patterns` (with commas) is the module, or `package.*` above it."""
    for pattern in filter(None, (part.strip() for part in patterns.split(","))):
        if module == pattern or (pattern.endswith(".*") and module.startswith(pattern[:-1])):
            return True
    return False


def found(address: str, patterns: str) -> Task[..., Any]:
    """The task at `module:name`. Raises Refused for a module that is not allowed, InputError for what is no task."""
    module, _, name = address.partition(":")
    if not all(part.isidentifier() for part in module.split(".")) or not name.isidentifier():
        raise InputError(f"{address[:200]!a} is no task.", "A task is named MODULE:FUNCTION.")
    if not allowed(module, patterns):
        raise Refused(
            f"this worker does not import {module}: it was not told to allow it.",
            f"exs worker --allow-module {module}, or allow_modules = {module} in its config file.",
        )
    try:
        task = getattr(import_module(module), name, None)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # the module is there; it is one that it needs that is not
        raise InputError(
            f"there is no module {error.name} on this node.", f"It is looked for in {os.getcwd()} and PYTHONPATH."
        ) from None
    if not isinstance(task, Task):
        raise InputError(f"{name} in {module} is no task.", "Jobs call what was made with @exs.task, and nothing else.")
    return task


def call(address: str) -> None:
    """Run the task and report its result. What the task raises goes on."""
    task = found(address, settings.load().allow_modules)
    params = json.loads(os.environ.get("EXS_PARAMS", "{}"))
    result = task(**params)
    if result is not None:
        job.result(result if isinstance(result, dict) else {"result": result})


def main() -> NoReturn:
    """Entry point."""
    try:
        if len(sys.argv) != 2:
            raise InputError("exs.calls takes one argument.", "python -m exs.calls MODULE:TASK")
        call(sys.argv[1])
    except ExsError as error:
        print(f"exs: {error}", file=sys.stderr)
        sys.exit(EXIT_REFUSED if isinstance(error, Refused) else error.exit_code)
    sys.exit(0)


if __name__ == "__main__":
    main()
