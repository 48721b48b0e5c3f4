"""The commands of a job as a person would type them, secrets masked."""

from __future__ import annotations

import os.path

from exs.command import render, template_of
from exs.errors import ExsError
from exs.model import Spec
from exs.rows import JobRow
from exs.view.text import MASK, masked_all, without_secrets


def without_hidden(spec: Spec) -> dict[str, str]:
    """The variables of a sweep, with the values of its `secrets` masked."""
    return {name: MASK if name in spec.secrets else value for name, value in spec.env.items()}


def typed(row: JobRow, spec: Spec) -> dict[str, str]:
    """Name of each command that the job runs -> its words, with the job's values in them.

    A command that cannot be filled in says why instead; so does its job when it starts.
    """
    name = os.path.basename(row.directory) or row.name if spec.job_dirs else row.name
    own = {
        "_name": without_secrets(name, row.params),
        "_output": without_secrets(os.path.join(spec.output, name) if spec.job_dirs else spec.output, row.params),
        "_datetime": spec.datetime,
    }
    found: dict[str, str] = {}
    for command in row.commands or spec.commands:
        try:
            found[command] = render(spec.commands[command], masked_all(row.params), own).typed
        except (ExsError, KeyError, TypeError) as error:  # the record is another version's, or somebody wrote it
            found[command] = f"cannot be shown: {error}"
    return found


def templates(spec: Spec) -> dict[str, str]:
    """Name of each command of a push -> its words as the sweep has them, parameters in braces."""
    found: dict[str, str] = {}
    for command, compiled in spec.commands.items():
        try:
            found[command] = template_of(compiled)
        except (KeyError, TypeError, AttributeError) as error:  # as in `typed`
            found[command] = f"cannot be shown: {error}"
    return found
