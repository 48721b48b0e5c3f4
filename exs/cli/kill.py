"""`exs kill`."""

from __future__ import annotations

import click

from exs.cli.cancel import end
from exs.cli.output import forms
from exs.cli.selectors import Statuses, selectors_argument, status_option


@click.command("kill")
@selectors_argument
@status_option
@forms(json="Print the counts as JSON.", quiet="Print the ids of the jobs only.")
def command(selectors: tuple[str, ...], states: Statuses, form: str | None) -> None:
    """End running jobs now, with SIGKILL to their whole process tree, and take waiting ones out of the queue.

    They are CANCELED. `exs cancel` leaves them time to save what they have; kill overrides it.
    """
    end(selectors, states, kill=True, form=form)
