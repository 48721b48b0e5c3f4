"""The `exs` command: finds the verb, turns every error into one sentence and an exit code.

`exs --help` imports click and this file alone; a verb's module is imported when the verb is called.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import click

from exs.errors import EXIT_BAD_INPUT, EXIT_INTERRUPTED, EXIT_OK, ExsError

#: Exit code for what should not have happened (EX_SOFTWARE), apart from those that tell about jobs and input.
EXIT_BUG = 70
#: Exit code for output that could not be written (EX_IOERR).
EXIT_OUTPUT = 74
#: What a shell reports for a program that SIGPIPE ended: the reader has seen enough.
EXIT_PIPE = 141

#: Verbs by topic: name -> (module in exs.cli, one line of help). Each module has its command in `command`.
VERBS: dict[str, dict[str, tuple[str, str]]] = {
    "Look": {
        "list": ("list", "Experiments, or the jobs of one as a table (-t NAME)."),
        "queue": ("queue", "Who comes next: experiments in scheduling order."),
        "show": ("show", "Everything about a job or an experiment."),
        "plot": ("plot", "A picture of results over parameters, or of curves."),
        "logs": ("logs", "What a job printed, from whatever machine (-f follows)."),
        "results": ("results", "Runs that a query finds, the best of them, groups in numbers."),
        "fetch": ("fetch", "Bring run directories from their nodes to this machine."),
        "compare": ("compare", "In what two jobs, experiments or run directories differ."),
        "export": ("export", "Write an experiment to a file that results and list read."),
        "diff": ("diff", "What the code has otherwise today than when a job was pushed."),
        "cmd": ("cmd", "A line that runs what a job runs, by hand."),
        "checkout": ("checkout", "The code of a job, as it was pushed, in a new directory."),
        "why": ("why", "Why a job waits, what each slot says to it, when it starts."),
        "workers": ("workers", "Who works, on which GPUs, on what."),
        "wait": ("wait", "Wait until all is done; exit code 1 if something failed."),
    },
    "Make": {
        "plan": ("plan", "What a push would add, skip and leave; changes nothing."),
        "push": ("push", "Queue a sweep: a file, or a command with its values."),
        "add": ("add", "Make an experiment for jobs by hand, or drawn at random."),
        "run": ("run", "Push a sweep and work on it here, until it is done."),
        "submit": ("submit", "Submit the points of a batch script to SLURM, OAR, PBS, SGE, LSF."),
    },
    "Steer": {
        "update": ("update", "Priority, place, pool or slots of an experiment."),
        "update-batch": ("update_batch", "Several such changes at once, or none."),
        "experiment": ("experiment", "In Determined's words: experiment create CONFIG CONTEXT_DIR."),
        "job": ("job", "The queue in Determined's words: job list, job update."),
        "pause": ("pause", "Keep experiments or jobs off the GPUs; they keep their places."),
        "activate": ("activate", "Let paused ones run again, from where they were."),
        "edit": ("edit", "Another command or other parameters for a job."),
        "cancel": ("cancel", "Take jobs out of the queue and end running ones."),
        "kill": ("kill", "The same, running ones at once."),
        "retry": ("retry", "Queue crashed and canceled jobs again."),
        "rm": ("rm", "Remove jobs or whole experiments."),
        "archive": ("archive", "Take experiments that are over out of the lists."),
        "unarchive": ("unarchive", "Bring archived ones back."),
    },
    "Nodes": {
        "worker": ("worker", "Work on queued jobs with this machine's GPUs or CPUs."),
        "pull": ("pull", "Run a command for each job of such an experiment."),
        "drain": ("drain", "Give a node or slot no more jobs."),
        "enable": ("enable", "Let a drained node or slot take jobs again."),
        "pool": ("pool", "Pools of workers: list, show, choose how each schedules."),
        "node": ("node", "Make this machine's worker a service of systemd."),
        "server": ("server", "This user's embedded Redis: start, stop, status, url."),
        "doctor": ("doctor", "What is wrong with Redis, this machine, the queue; what to type."),
    },
}
ALIASES = {"ls": "list"}


class Verbs(click.Group):
    """The group of `VERBS`, imported one at a time."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for verbs in VERBS.values() for name in verbs]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = ALIASES.get(cmd_name, cmd_name)
        for verbs in VERBS.values():
            if name in verbs:
                found = import_module(f"exs.cli.{verbs[name][0]}").command
                assert isinstance(found, click.Command)
                return found
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        found = self.get_command(ctx, name)
        if found is None:
            from difflib import get_close_matches

            close = get_close_matches(name, [*self.list_commands(ctx), *ALIASES], n=1)
            meant = f" Did you mean {close[0]!r}?" if close else ""
            raise click.UsageError(f"There is no command {name!r}.{meant}", ctx)
        return name, found, args[1:]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for topic, verbs in VERBS.items():
            with formatter.section(topic):
                formatter.write_dl([(name, help_line) for name, (_, help_line) in verbs.items()])


@click.group(
    cls=Verbs,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Jobs are named NAME, NAME/17, NAME/20-25, by id, or `last`. "
    "Redis: EXS_REDIS_URL, else a server of your own, started when first needed.",
)
@click.option("-v", "--verbose", count=True, help="-vv shows the traceback of an error.")
@click.option("--version", is_flag=True, help="Show the version.")
@click.option("--json", "as_json", is_flag=True, help="Without a command: as JSON, with everything there is.")
@click.pass_context
def exs(ctx: click.Context, verbose: int, version: bool, as_json: bool) -> None:
    """A queue of machine-learning experiments: sweeps go in, workers pull, a table of results comes out.

    Without a command: what is active, and how many workers are busy and idle.
    """
    if version:
        from exs import __version__

        click.echo(f"exs {__version__}")
    elif ctx.invoked_subcommand is None:
        from exs.cli.list import show_active

        show_active("json" if as_json else None)
    elif as_json:
        raise click.UsageError(f"--json stands behind the command: exs {ctx.invoked_subcommand} --json", ctx)


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Entry point of `exs` and `python -m exs`; exits with the codes in `exs.errors`."""
    words = list(sys.argv[1:] if args is None else args)
    # A command lives for moments, and most of what it makes as long: looking for garbage took a fifth of a long list.
    gc.set_threshold(100_000, 50, 100)
    if "_EXS_COMPLETE" in os.environ:
        exs.main(words, prog_name="exs")
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller: >&-
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
    for stream in (sys.stdout, sys.stderr):
        # A locale that lacks a character must not end a list with a UnicodeEncodeError.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    code = _run(words)
    if code not in (EXIT_PIPE, EXIT_OUTPUT):
        try:
            sys.stdout.flush()
        except OSError as error:
            code = _unwritten(error)
    if code in (EXIT_PIPE, EXIT_OUTPUT):
        # The interpreter flushes once more at its end and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _run(words: list[str]) -> int:
    """Run one command line; the exit code."""
    if words[:1] == ["help"]:
        words = [*words[1:], "--help"]
    debug = bool(os.environ.get("EXS_DEBUG")) or words[:1] == ["-vv"] or words[:2] == ["-v", "-v"]
    try:
        with exs.make_context("exs", words) as context:
            exs.invoke(context)
        return EXIT_OK
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        return _bad_usage(error)
    except ExsError as error:
        if debug:
            _traceback()
        return _say(error.message, error.hint, error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        print(file=sys.stderr)
        return EXIT_INTERRUPTED
    except Exception as error:
        if isinstance(error, OSError) and not error.filename and error.errno in _OF_OUTPUT:
            return _unwritten(error)
        if debug:
            _traceback()
        text = ": ".join(filter(None, (type(error).__name__, " ".join(str(error).split())[:300])))
        return _say(f"internal error: {text}", "This is a bug in exs: run with EXS_DEBUG=1 to see where.", EXIT_BUG)


#: What writing to standard output fails with: its reader has gone, its disk is full, its terminal is gone.
_OF_OUTPUT = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EIO)


def _unwritten(error: OSError) -> int:
    if isinstance(error, BrokenPipeError):
        return EXIT_PIPE
    return _say(f"the output cannot be written: {error.strerror}.", "", EXIT_OUTPUT)


def _bad_usage(error: click.ClickException) -> int:
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is not None and error.message == context.get_help():  # click 8.2: a group without a command
        print(error.message, file=sys.stderr)
        return EXIT_BAD_INPUT
    hint = f"Try: {context.command_path} --help" if context is not None else ""
    from exs.cli.usage import sentence

    return _say(sentence(error), hint, EXIT_BAD_INPUT)


def _say(message: str, hint: str, code: int) -> int:
    from exs.view.text import safe

    print(f"exs: {safe(message)}", file=sys.stderr)
    if hint:
        for line in hint.split("\n"):
            print(f"     {safe(line)}", file=sys.stderr)
    return code


def _traceback() -> None:
    import traceback

    traceback.print_exc()
