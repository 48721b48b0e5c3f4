"""`exs results --with MODULE:FUNCTION`: a function of the user's fills columns from each run directory."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exs.cli.session import note
from exs.errors import ExsError, InputError

if TYPE_CHECKING:
    from exs.reader.run import Run


def examined(runs: Iterable[Run], name: str, workers: int) -> list[Run]:
    """The runs with `result.NAME` for each metric that the function found. Raises InputError."""
    from exs.reader.examiner import Examiner

    function = load(name)
    runs = list(runs)
    examiner = Examiner()
    examiner.add(function)
    try:
        examiner.exam(runs, workers=workers)
    except ExsError:
        raise
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        said = ": ".join(filter(None, (type(error).__name__, str(error)[:200])))
        raise InputError(f"{name} failed at {where.filename}:{where.lineno}: {said}.") from None
    if examiner.elsewhere:
        note(f"{len(examiner.elsewhere)} runs were not examined: their directories are not on this machine.")
    found = examiner.experiments
    return [
        run.set({f"result.{key}": value for key, value in found[run.label].metric.items()})
        if run.label in found
        else run
        for run in runs
    ]


def load(name: str) -> Callable[..., Any]:
    """The function that MODULE:FUNCTION or FILE.py:FUNCTION names, from the working directory or Python's path.

    The user himself named it on this command line; nothing that was stored is ever imported. Raises InputError.
    """
    module, _, attribute = name.rpartition(":")
    if not module or not attribute.isidentifier():
        raise InputError(f"--with {name}: this is no function.", "For example: --with examine:accuracy")
    try:
        loaded = _file(module) if module.endswith(".py") else _module(module)
    except Exception as error:
        said = ": ".join(filter(None, (type(error).__name__, str(error)[:200])))
        raise InputError(f"--with {name}: {module} cannot be imported: {said}.") from None
    function = getattr(loaded, attribute, None)
    if not callable(function):
        raise InputError(f"--with {name}: {module} has no function {attribute}.")
    found: Callable[..., Any] = function
    return found


def _module(module: str) -> Any:
    from importlib import import_module

    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    return import_module(module)


def _file(path: str) -> Any:
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location(Path(path).stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
