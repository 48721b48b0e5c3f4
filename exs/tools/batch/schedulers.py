"""The batch schedulers that `exs submit` speaks to: their directives, their submit commands, what these answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from exs.errors import InputError


@dataclass(frozen=True)
class Scheduler:
    """One of them. `directive`: how its lines begin. `submit`: the command; the script's path follows it, or, where
    `on_stdin`, the script is its standard input. `name`, `stdout`, `stderr`: its options for these, up to the value.
    `job_id`: where its answer has the number of the job. `separator`: between directory and number in a job's name.
    """

    label: str
    directive: str
    submit: tuple[str, ...]
    name: str
    stdout: str
    stderr: str
    job_id: str
    on_stdin: bool = False
    separator: str = "/"

    def head(self, name: str, stdout: str, stderr: str) -> list[str]:
        """The directives for a job's name and the files of its output. Raises InputError for a path of no use."""
        paths = (self._path(stdout), self._path(stderr))
        options = (self.name + name, self.stderr + paths[1], self.stdout + paths[0])
        return [f"{self.directive} {option}" for option in options]

    def owns(self, line: str) -> bool:
        """True for a line that is a directive of this scheduler."""
        word, _, rest = line.partition(" ")
        return word == self.directive and bool(rest.strip())

    def read_id(self, answer: str) -> str:
        """The job's number in what the submit command has printed; "" if it is not there."""
        match = re.search(self.job_id, answer, re.MULTILINE)
        return match[1] if match else ""

    def _path(self, path: str) -> str:
        if not path.isprintable() or '"' in path or "\\" in path:
            raise InputError(
                f"{path!r} cannot stand in a {self.directive} line.", "Work in a directory of another name."
            )
        if self.label == "SLURM":
            path = path.replace("%", "%%")  # %j and the like are filled in
        return f'"{path}"' if re.search(r"[\s'#$`;&|<>()*?]", path) else path


_SGE_OR_PBS_OR_MOAB = ("-N ", "-o ", "-e ")

SCHEDULERS = (
    Scheduler("SLURM", "#SBATCH", ("sbatch",), "--job-name=", "--output=", "--error=", r"^Submitted batch job (\d+)"),
    Scheduler("OAR", "#OAR", ("oarsub", "-S"), "-n ", "-O ", "-E ", r"OAR_JOB_ID=(\d+)"),
    Scheduler("TORQUE/PBS", "#PBS", ("qsub",), *_SGE_OR_PBS_OR_MOAB, r"^(\d+\S*)\s*$"),
    # A name with a slash is denied: "not allowed in object name".
    Scheduler("SGE", "#$", ("qsub",), *_SGE_OR_PBS_OR_MOAB, r"^Your job (\d+)", separator="."),
    Scheduler("MWM/Moab", "#MSUB", ("msub",), *_SGE_OR_PBS_OR_MOAB, r"^(\S+)\s*$"),
    # `bsub FILE` runs FILE without reading the directives in it.
    Scheduler("LSF", "#BSUB", ("bsub",), "-J ", "-o ", "-e ", r"^Job <(\d+)>", on_stdin=True),
)


def of_script(lines: Sequence[str], where: str) -> Scheduler:
    """The scheduler whose directives a script has. Raises InputError if it has none, or those of several."""
    found: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        for each in SCHEDULERS:
            if each.owns(line):
                found.setdefault(each.label, number)
    if not found:
        known = ", ".join(each.directive for each in SCHEDULERS)
        raise InputError(
            f"{where} has no directive of a batch scheduler.", f"Write lines that begin with one of {known}."
        )
    if len(found) > 1:
        both = " and of ".join(f"{label} (line {number})" for label, number in found.items())
        raise InputError(f"{where} has directives of {both}.", "Make a script for each of them.")
    return next(each for each in SCHEDULERS if each.label in found)
