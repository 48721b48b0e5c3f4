"""`exs submit`: each point of each command of a batch script as a job of the site's scheduler."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from exs.cli import session
from exs.errors import InputError
from exs.view.text import safe


@click.command("submit")
@click.argument("script")
@click.option("--dry-run", is_flag=True, help="Show the scripts and submit nothing.")
@click.option(
    "--from", "first", type=click.IntRange(min=1), default=1, metavar="N", help="Leave out the jobs before N."
)
@click.option("-q", "--quiet", is_flag=True, help="Only the numbers that the scheduler gave.")
def command(script: str, dry_run: bool, first: int, quiet: bool) -> None:
    """Submit a script with the directives of SLURM, OAR, TORQUE/PBS, SGE, Moab or LSF, as mlxpsub does.

    Its commands stand there as one would run them: `python main.py lr=0.1,0.01 seed=1,2` is four jobs, the last key
    fastest. Each has a directory logs/N with script.sh, log.stdout and log.stderr. No queue of exs takes part.
    Exit code 1 if the scheduler refuses one; those before it stay submitted.
    """
    from exs.tools.batch.jobs import jobs, text_of_script
    from exs.tools.batch.record import complete, record
    from exs.tools.batch.script import read_script
    from exs.tools.batch.submit import check_command, submit

    try:
        text = Path(script).read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        raise InputError(f"{script}: no such file.") from None
    except OSError as error:
        raise InputError(f"{script}: cannot be read: {error.strerror or error}.") from None
    read = read_script(text, script, complete)
    if not dry_run:
        check_command(read.scheduler)
    sys.stdout.flush()
    found = jobs(read, record(read), session.settings().limits)
    if first > len(found):
        raise InputError(f"--from {first}: {script} has {_jobs(len(found))}.")
    cwd = os.getcwd()
    if dry_run:
        made = frozenset(job.recorded.statement for job in found)
        for number, job in enumerate(found[first - 1 :], first):
            lines = text_of_script(read, job, job.parent / "N", cwd, made).splitlines()
            session.put([f"# job {number} of {len(found)}", *lines])
        return
    count = 0
    for done in submit(read, found, first, cwd):
        count += 1
        if quiet:
            session.put([safe(done.id)])
        else:
            where = os.path.relpath(done.directory, cwd)
            session.put([safe(f"{where}  {read.scheduler.label} {done.id or '-'}  {done.job.typed}")])
    if not quiet:
        session.note(f"submitted {_jobs(count)} to {read.scheduler.label}")


def _jobs(number: int) -> str:
    return "1 job" if number == 1 else f"{number} jobs"
