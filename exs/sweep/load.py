"""A sweep file becomes a `Sweep`: read, recognised by its keys, handed to its dialect."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from time import localtime, strftime

from exs.errors import InputError
from exs.model import Json
from exs.settings import Limits
from exs.sweep import overrides, yamlfile
from exs.sweep.context import Context, stem_name
from exs.sweep.model import Options, Sweep
from exs.sweep.suggest import did_you_mean, shorten
from exs.sweep.yamlfile import Document

#: What only one dialect has at the top of its first document.
MARKS = {
    "runner": ("template",),
    "experiment-scheduler": ("tasks", "task"),
    "Determined": ("entrypoint", "searcher", "hyperparameters"),
    "exs": ("command", "commands", "params"),
}


def load_file(path: Path, options: Options, limits: Limits, cwd: Path) -> Sweep:
    """The sweep that stands in the file at `path`, pushed from `cwd`; raises InputError with file:line."""
    return _load(yamlfile.read(path, limits), path, options, limits, cwd)


def load_data(data: Mapping[str, Json], source: str, options: Options, limits: Limits, cwd: Path) -> Sweep:
    """The sweep that a mapping holds, as one of exs's own files would; `source` says whose it is, as a path.

    Raises InputError; the lines that it names are those of the mapping written as JSON.
    """
    try:
        text = json.dumps(data, indent=1, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{source}: the sweep cannot be written as JSON: {error}.") from None
    return _load(text, Path(source), options, limits, cwd)


def _load(text: str, path: Path, options: Options, limits: Limits, cwd: Path) -> Sweep:
    source = str(path)
    documents = yamlfile.load(text, source, "1.2", limits)
    dialect = detect(documents, source)
    if dialect in ("runner", "experiment-scheduler"):
        if options.overrides:
            raise InputError(f"{source}: is a file of {dialect}; -o key=value changes exs's and Determined's.")
        documents = yamlfile.load(text, source, "1.1", limits)
    elif len(documents) > 1:
        raise InputError(f"{documents[1].where()}: a second document; only runner's files have several.")
    else:
        documents = [overrides.apply(documents[0], options.overrides, limits)]
    absolute = Path(os.path.abspath(cwd / path))
    context = Context(
        source=str(absolute),
        stem_name=stem_name(absolute.parent, path.stem, limits),
        options=options,
        limits=limits,
        cwd=str(cwd.absolute()),
        datetime=now(),
    )
    return _read(dialect, documents, context)


def now() -> str:
    """runner's `{_datetime}`: local time, one per push."""
    return strftime("%Y-%m-%d.%H:%M:%S", localtime())


def detect(documents: list[Document], source: str) -> str:
    """The dialect of a file, one of MARKS; raises InputError if it is empty, no mapping, or two at once."""
    if not documents or (len(documents) == 1 and documents[0].value is None):
        raise InputError(f"{source}: is empty.", "A sweep file needs at least a command.")
    first = documents[0]
    if not isinstance(first.value, dict):
        raise InputError(f"{first.where()}: must hold a mapping, not {shorten(first.value)}.")
    found = {dialect: key for dialect, keys in MARKS.items() for key in keys if key in first.value}
    if len(found) > 1:
        parts = [f"{key!r} of {dialect}'s (line {_line(first, key)})" for dialect, key in found.items()]
        raise InputError(f"{source}: mixes the keys of different kinds of files: {' and '.join(parts)}.")
    if not found and len(documents) > 1:
        guess = next((hint for key in first.value if (hint := did_you_mean(key, MARKS["runner"]))), "")
        raise InputError(f"{first.where()}: has several documents, but the first has no 'template'.", guess)
    return next(iter(found), "exs")


def _line(document: Document, key: str) -> str:
    return document.where(key).rpartition(":")[2]


def _read(dialect: str, documents: list[Document], context: Context) -> Sweep:
    if dialect == "runner":
        from exs.sweep.dialects import runner

        return runner.read(documents, context)
    if dialect == "experiment-scheduler":
        from exs.sweep.dialects import experiment_scheduler

        return experiment_scheduler.read(documents, context)
    if dialect == "Determined":
        from exs.sweep.dialects import determined

        return determined.read(documents, context)
    from exs.sweep.dialects import own

    return own.read(documents, context)
