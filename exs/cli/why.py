"""`exs why`."""

from __future__ import annotations

import click

from exs.cli.output import forms, show
from exs.cli.session import open_store


@click.command("why")
@click.argument("job", metavar="NAME/17|ID|NAME|last")
@forms(json="As JSON, with what every slot says.", quiet="The id of the job only.")
def command(job: str, form: str | None) -> None:
    """Why a job waits: its position, what every slot says to it, and when it is likely to start.

    With the NAME of an experiment it is about the job of it that is next.
    """
    from exs.view.why import WhyPage

    show(WhyPage(open_store().why(job)), form)
