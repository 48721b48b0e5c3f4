"""`exs job`: Determined's spelling of the verbs of the queue."""

from __future__ import annotations

import click

from exs.cli import queue, update


@click.group("job", invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """The queue, in Determined's words: job list, job update, job update-batch. Without one: job list."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(queue.command)


command.add_command(queue.command, "list")
command.add_command(queue.command, "ls")
command.add_command(update.command, "update")
command.add_command(update.batch, "update-batch")
