"""From recorded commands to the scripts that are submitted: one point each, in a directory of its own."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from exs import ids
from exs.command import render
from exs.errors import InputError
from exs.model import Json
from exs.paths import LogRoot
from exs.settings import Limits
from exs.sweep.commandline import COMMAND, from_words
from exs.sweep.model import Options
from exs.tools.batch.record import Recorded
from exs.tools.batch.script import Script, assignments_of, python_at

#: Directory, under the one that a command is called in, below which each job has a numbered one: MLXP's.
LOGS = "logs"
SCRIPT, STDOUT, STDERR = "script.sh", "log.stdout", "log.stderr"
INFO = Path("metadata", "info.yaml")
#: What the scheduler said; a file of its own, because the job writes INFO from its first moment on.
SUBMITTED = Path("metadata", "submitted.json")

_PARENT = re.compile(r"\+{0,2}mlxp\.logger\.parent_log_dir=(?P<value>.+)\Z")
_FORCED = re.compile(
    r"\+{0,2}mlxp\.(?:logger\.forced_log_id|logger\.parent_log_dir|use_scheduler|use_version_manager|interactive_mode)="
)
_LAUNCHES = re.compile(r"^\s*(?:import|from)\s+mlxp\b|\b(?:mlxp|exs)\.launch\b", re.MULTILINE)


@dataclass(frozen=True)
class Job:
    """One point of one command. `words`: the command; `params`: its `key=value` words."""

    recorded: Recorded
    words: tuple[str, ...]
    params: dict[str, Json]

    @property
    def typed(self) -> str:
        """The command as a person would type it; assignments before it stay what they are."""
        count = assignments_of(self.words)
        before = [
            f"{name}={shlex.quote(value)}" for name, _, value in (each.partition("=") for each in self.words[:count])
        ]
        return " ".join([*before, *map(shlex.quote, self.words[count:])])

    @property
    def parent(self) -> Path:
        """The directory of the numbered ones."""
        given = [match["value"] for each in self.words if (match := _PARENT.match(each))]
        return Path(os.path.normpath(Path(self.recorded.cwd, given[-1] if given else LOGS)))

    @property
    def is_mlxp(self) -> bool:
        """True when its Python file is a program of MLXP's kind, which is told its directory by options."""
        at = python_at(self.words)
        scripts = [each for each in self.words[at + 1 :] if each.endswith(".py")] if at is not None else []
        try:
            text = Path(self.recorded.cwd, scripts[0]).read_text(encoding="utf-8", errors="replace") if scripts else ""
        except OSError:
            return False
        return bool(_LAUNCHES.search(text))


def jobs(script: Script, recorded: Sequence[Recorded], limits: Limits) -> list[Job]:
    """Every point of every command, the last key fastest. Raises InputError with the line of the script."""
    found: list[Job] = []
    for each in recorded:
        try:
            found += _points(each, limits)
        except InputError as error:
            line = script.statements[each.statement].line
            raise InputError(f"{script.where}:{line}: {error.message}", error.hint) from None
    if not found:
        raise InputError(
            f"{script.where} has no command that could be a job.",
            "Write one as you would run it: python main.py lr=0.1,0.01 seed=1,2",
        )
    return found


def _points(recorded: Recorded, limits: Limits) -> Iterator[Job]:
    words = list(recorded.words)
    at = python_at(words)
    if at is not None and "/" not in words[at]:
        # Absolute, as in MLXP: a scheduler that starts jobs in a fresh environment finds no virtual environment.
        words[at] = shutil.which(words[at], path=recorded.path) or words[at]
    count = assignments_of(words)
    sweep = from_words(words[count:], Options(), limits, Path(recorded.cwd))
    for point in sweep.jobs():
        argv = render(sweep.spec.commands[COMMAND], point.params, {}).argv
        yield Job(recorded, (*words[:count], *argv), dict(point.params))


def text_of_script(script: Script, job: Job, directory: Path, submitted_from: str, with_jobs: frozenset[int]) -> str:
    """The script of one job that has `directory`, in MLXP's order: directives, what prepares, cd, command, the rest.

    `with_jobs`: the numbers of the statements that make jobs; each job's script has its own one alone.
    """
    number = directory.name
    name = f"{directory.parent.name}{script.scheduler.separator}{number}"
    head = script.scheduler.head(name, str(directory / STDOUT), str(directory / STDERR))
    own = job.recorded.statement
    others = [
        (at, each.text)
        for at, each in enumerate(script.statements)
        if at not in with_jobs and (each.is_function or not each.has_job)
    ]
    before = [text for at, text in others if at < own]
    if before:  # in the directory where it was tried: some schedulers start a job in the home directory
        before.insert(0, f"cd {shlex.quote(submitted_from)}")
    if job.is_mlxp:
        mine = [
            f"+mlxp.logger.forced_log_id={number}",
            f"+mlxp.logger.parent_log_dir={directory.parent}",
            *(f"+mlxp.{option}=False" for option in ("use_scheduler", "use_version_manager", "interactive_mode")),
        ]
        words = (*(each for each in job.words if not _FORCED.match(each)), *mine)
    else:
        words = job.words
        params = json.dumps(job.params, ensure_ascii=False)
        before += [f"export EXS_OUTPUT={shlex.quote(str(directory))}", f"export EXS_PARAMS={shlex.quote(params)}"]
    typed = Job(job.recorded, words, job.params).typed
    lines = [
        script.shebang,
        *head,
        *script.directives,
        *(before or [""]),
        *job.recorded.variables,
        f"cd {shlex.quote(job.recorded.cwd)}",
        " ".join(filter(None, (f"{job.recorded.timed}{typed}", job.recorded.behind))),
        *(text for at, text in others if at > own),
    ]
    return "\n".join(lines) + "\n"


def make_directory(parent: Path) -> Path:
    """A new numbered directory below `parent`, one more than the highest ever; two submitters never get the same."""
    return parent / str(ids.take(LogRoot(str(parent))))


def write_info(job: Job, directory: Path) -> None:
    """What MLXP's readers know of a job that waits. Written before it is submitted: afterwards the job writes it."""
    entries = {
        "status": "STARTING",
        "work_dir": job.recorded.cwd,
        "logger": {
            "log_id": int(directory.name),
            "log_dir": str(directory),
            **{f"{each}_dir": str(directory / each) for each in ("metrics", "metadata", "artifacts")},
        },
        "scheduler": {},
        "version_manager": None,
    }
    lines = [f"{key}: {json.dumps(value)}\n" for key, value in entries.items()]  # JSON is YAML
    write(directory / INFO, "".join(lines).replace('"STARTING"', "STARTING"))


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8", errors="surrogateescape")
    temporary.chmod(mode)
    temporary.replace(path)
