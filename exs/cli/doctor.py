"""`exs doctor`."""

from __future__ import annotations

import click

from exs.answers import Severity
from exs.cli.output import forms, show
from exs.cli.session import connected_settings, host
from exs.errors import EXIT_JOB_FAILED, EXIT_OK, EXIT_REDIS, EXIT_REFUSED

_CODES = {
    Severity.OK: EXIT_OK,
    Severity.NOTE: EXIT_OK,
    Severity.WARNING: EXIT_JOB_FAILED,
    Severity.ERROR: EXIT_REFUSED,
}


@click.command("doctor")
@forms(quiet="Warnings and errors only, one line each.")
@click.pass_context
def command(context: click.Context, form: str | None) -> None:
    """Look at Redis, at this machine and at the queue; say what is wrong and what to type. Changes nothing.

    Exit code 0 if all is well or there is nothing to do, 1 with a warning (something does not run as it could),
    4 with an error (work, or the safety of the nodes, is at risk), 3 if Redis cannot be reached.
    """
    from exs.doctor.examine import examine
    from exs.view.findings import Page

    found = examine(connected_settings, host())
    page = Page(found.headings, found.findings)
    show(page, form)
    context.exit(EXIT_REDIS if found.unreachable else _CODES[page.worst])
