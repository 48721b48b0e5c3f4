"""Submits jobs one after the other, and stops at the first that the scheduler does not take."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from exs.errors import EXIT_JOB_FAILED, ExsError, InputError
from exs.tools.batch.jobs import SCRIPT, SUBMITTED, Job, make_directory, text_of_script, write, write_info
from exs.tools.batch.schedulers import Scheduler
from exs.tools.batch.script import Script


class NotSubmitted(ExsError):
    """The scheduler refused a job."""

    exit_code = EXIT_JOB_FAILED


@dataclass(frozen=True)
class Submitted:
    """A job that the scheduler has. `id`: its number there, "" if it told none."""

    job: Job
    directory: Path
    id: str


def check_command(scheduler: Scheduler) -> None:
    """Raise InputError unless its submit command is on PATH."""
    if shutil.which(scheduler.submit[0]) is None:
        raise InputError(
            f"{scheduler.submit[0]}, which submits to {scheduler.label}, is not on PATH.",
            "Submit on a machine of the cluster, or look at the scripts with --dry-run.",
        )


def submit(script: Script, jobs: Sequence[Job], first: int, cwd: str) -> Iterator[Submitted]:
    """Submit the jobs from number `first` on (1 is the first of all), each as it comes.

    A job's directory, script and state are written before it is submitted, and nothing that it writes itself after
    that. Raises NotSubmitted at the first that is refused, whose directory is removed.
    """
    with_jobs = frozenset(job.recorded.statement for job in jobs)
    for number, job in enumerate(jobs[first - 1 :], first):
        directory = make_directory(job.parent)
        try:
            write(directory / SCRIPT, text_of_script(script, job, directory, cwd, with_jobs), 0o755)
            if job.is_mlxp:
                write_info(job, directory)
            answer = _ask(script, job, directory, number, len(jobs))
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise
        given = script.scheduler.read_id(answer)
        record = {"scheduler": script.scheduler.label, "id": given, "answer": answer.strip(), "params": job.params}
        write(directory / SUBMITTED, json.dumps(record, ensure_ascii=False) + "\n")
        yield Submitted(job, directory, given)


def _ask(script: Script, job: Job, directory: Path, number: int, of: int) -> str:
    """Run the submit command; returns what it printed."""
    scheduler = script.scheduler
    path = directory / SCRIPT
    argv = [*scheduler.submit, *(() if scheduler.on_stdin else (str(path),))]
    with path.open("rb") as file:
        try:
            done = subprocess.run(
                argv,
                stdin=file if scheduler.on_stdin else subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
            )
            why = "" if done.returncode == 0 else f"exit code {done.returncode}"
            said = " ".join(f"{done.stderr} {done.stdout}".split()) if why else ""
        except OSError as error:
            why, said = str(error.strerror or error), ""
    if why:
        line = script.statements[job.recorded.statement].line
        before = f"the {number - 1} before it are submitted" if number > 1 else "nothing was submitted"
        raise NotSubmitted(
            f"{script.where}:{line}: {scheduler.submit[0]} did not take job {number} of {of} ({why}): "
            f"{said[:500] or 'it said nothing.'}",
            f"{before[0].upper()}{before[1:]}; for the rest: exs submit --from {number} {script.where}",
        )
    return done.stdout
