"""Reads a batch script: its first line, its directives, its statements, and which commands in it are jobs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from exs.errors import InputError
from exs.tools.batch.schedulers import Scheduler, of_script

#: What runs a program that is the job: the words before it are none of ours.
_LAUNCHERS = frozenset({"srun", "mpirun", "mpiexec", "torchrun", "accelerate", "deepspeed", "horovodrun", "aprun"})
#: What stands before a program that it runs.
_PREFIXES = frozenset(
    ("exec", "command", "env", "nohup", "nice", "ionice", "setsid", "stdbuf", "timeout", "numactl", "taskset")
)
#: Programs whose arguments may look like a job's, and builtins of the shell that prepare one.
_OTHERS = frozenset(
    re.findall(
        r"\S+",
        """module ml spack conda mamba pip pip3 uv export declare local typeset readonly alias set unset source . eval
        echo printf test [ [[ cd pushd popd cp mv rm ln ls cat chmod mkdir tar rsync scp wget curl git dd which type
        command hash trap read wait sleep exit return true false shopt ulimit umask""",
    )
)
_RUNS_PROGRAMS = frozenset({"conda", "mamba", "uv", "command", "eval"})  #: as in `conda run -n env python main.py`
_PYTHON = re.compile(r"(?:.*/)?python[0-9.]*\Z")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
_SWEPT = re.compile(r"\+{0,2}[A-Za-z_][\w.-]*=(?:[^,]*,|range\(|choice\()")
_KEY = re.compile(r"\+{0,2}[A-Za-z_][\w.-]*=")
_TOOLS = frozenset({"pip", "venv", "ensurepip", "virtualenv", "json.tool", "http.server"})
_FUNCTION = re.compile(r"\s*(?:function\s+[\w:.-]+|[\w:.-]+\s*\(\s*\))")
_TOKEN = re.compile(
    r"""\\.|'[^']*'|"(?:\\.|[^"\\])*"|`(?:\\.|[^`\\])*`|\$\{[^}]*\}|\$?\(|\)"""
    r"""|(?P<redirect>(?:(?<!\S)\d+)?(?:&>>|&>|<<<|<<-?|>>|>\||<>|[<>]&?))"""
    r"""|(?P<operator>\|\||&&|;;&?|\|&|[|;&\n])|(?P<comment>(?<![^\s;])\#[^\n]*)|.""",
    re.DOTALL | re.VERBOSE,
)


@dataclass(frozen=True)
class Segment:
    """A simple command of a statement as written; `operator` stands behind it: `|`, `&&`, `;`, newline or ""."""

    text: str
    operator: str

    @property
    def command(self) -> str:
        """Without the words of the grammar before it: do, then, time ..."""
        return re.sub(
            r"\A(?:\s*(?:do|then|else|elif|if|while|until|time(?:\s+-p)?|!|\{|\()(?=[\s(]|$))*\s*", "", self.text
        )

    @property
    def timed(self) -> str:
        """`time ` or `time -p ` where that stands before it."""
        found = re.search(r"(?<!\S)time(?:\s+-p)?\s+\Z", self.text[: len(self.text) - len(self.command)])
        return f"{' '.join(found[0].split())} " if found else ""


@dataclass(frozen=True)
class Statement:
    """A complete command of the script, of one line or more. `line`: its first, from 1."""

    text: str
    line: int

    @cached_property
    def segments(self) -> list[Segment]:
        """Its simple commands, in order."""
        return segments(self.text)

    @property
    def is_function(self) -> bool:
        """True for the definition of a function."""
        return bool(_FUNCTION.match(self.text))

    @property
    def has_job(self) -> bool:
        """True when a command in it looks like a job's."""
        return any(is_job(words_of(split_redirections(each.command)[0])) for each in self.segments)

    @property
    def names(self) -> list[str]:
        """The variables that it sets by its own text, as a loop does."""
        found = re.findall(r"(?:\bfor|\bselect)\s+([A-Za-z_]\w*)|(?<![\w.$-])([A-Za-z_]\w*)\+?=", self.text)
        return list(dict.fromkeys(loop or assigned for loop, assigned in found))


@dataclass(frozen=True)
class Script:
    """A batch script. `where`: its path as given."""

    where: str
    shebang: str
    scheduler: Scheduler
    directives: list[str]
    statements: list[Statement]


def read_script(text: str, where: str, complete: Callable[[str], bool]) -> Script:
    """The script in `text`; `complete` says whether lines are whole commands of bash. Raises InputError."""
    if "\0" in text:
        raise InputError(f"{where} is no text.")
    lines = text.splitlines()
    shebang = lines[0].strip() if lines and lines[0].startswith("#!") else "#!/bin/bash"
    if not re.search(r"/(?:env\s+)?(?:bash|sh|dash|zsh|ksh)\b", shebang):
        raise InputError(f"{where}:1: {shebang} is no shell.", "Write #!/bin/bash.")
    scheduler = of_script(lines, where)
    directives = [line.rstrip() for line in lines if scheduler.owns(line)]
    return Script(where, shebang, scheduler, directives, _statements(lines, where, complete))


def _statements(lines: Sequence[str], where: str, complete: Callable[[str], bool]) -> list[Statement]:
    found: list[Statement] = []
    held: list[str] = []
    first = 0
    for number, line in enumerate(lines, 1):
        if not held and (not line.strip() or line.lstrip().startswith("#")):
            continue
        first = first if held else number
        held.append(line)
        if re.search(r"(?<!\\)(?:\\\\)*\\\Z", line):
            continue
        text = "\n".join(held)
        if complete(text):
            found.append(Statement(text, first))
            held = []
    if held:
        raise InputError(
            f"{where}:{first}: bash cannot read what begins here.", f"bash -n {shlex.quote(where)} says why."
        )
    return found


def segments(text: str) -> list[Segment]:
    """The simple commands in a text of bash, and what stands behind each."""
    found: list[Segment] = []
    depth = start = 0
    for match in _TOKEN.finditer(text.replace("\\\n", "  ")):
        if match[0] in ("(", "$("):
            depth += match[0] == "$(" or depth > 0
        elif match[0] == ")":
            depth -= depth > 0
        elif depth == 0 and (match["operator"] or match["comment"]):
            operator = match["operator"] or ""
            _add(found, text[start : match.start()], operator)
            start = match.end()
    _add(found, text[start:], "")
    return found


def _add(found: list[Segment], text: str, operator: str) -> None:
    if text.strip():
        found.append(Segment(text, operator))
    elif found and not found[-1].operator:  # a comment stood between
        found[-1] = Segment(found[-1].text, operator)


def split_redirections(command: str) -> tuple[str, str]:
    """The words of a simple command as written, and its redirections, which bash prints behind them."""
    depth = 0
    for match in _TOKEN.finditer(command):
        if match[0] in ("(", "$("):
            depth += 1
        elif match[0] == ")":
            depth -= 1
        elif depth == 0 and match["redirect"]:
            return command[: match.start()].rstrip(), command[match.start() :].strip()
    return command.rstrip(), ""


def words_of(text: str) -> list[str]:
    """The words of a simple command, unexpanded."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def assignments_of(words: Sequence[str]) -> int:
    """How many words before the program are VAR=x."""
    return next((at for at, word in enumerate(words) if not _ASSIGNMENT.match(word)), len(words))


def python_at(words: Sequence[str]) -> int | None:
    """Where the interpreter stands that runs a script or module; None if there is none."""
    for at, word in enumerate(words):
        if not _PYTHON.match(word):
            continue
        rest = iter(words[at + 1 :])
        for option in rest:
            if option == "-m":
                return at if next(rest, "pip").partition(".")[0] not in _TOOLS else None
            if option in ("-W", "-X"):
                next(rest, None)
            elif not option.startswith("-"):
                return at if option.endswith(".py") or "/" in option or "$" in option else None
            elif option.startswith("-c") or option in ("-V", "--version", "-"):
                return None
    return None


def is_job(words: Sequence[str]) -> bool:
    """True for a command that goes to the scheduler: Python with a script, a launcher, or a program that is given
    `key=value`, by its path or with several values."""
    words = list(words[assignments_of(words) :])
    if not words:
        return False
    program = words[0].rpartition("/")[2]
    if program in _PREFIXES and any(word.rpartition("/")[2] in _LAUNCHERS for word in words):
        return True
    if program in _OTHERS and not (program in _RUNS_PROGRAMS and python_at(words)):
        return False
    if python_at(words) is not None or program in _LAUNCHERS:
        return True
    if _PYTHON.match(words[0]):
        return False
    keys = [word for word in words[1:] if _KEY.match(word)]
    by_path = "/" in words[0] or words[0].endswith(".py")
    return (by_path and bool(keys)) or any(_SWEPT.match(word) for word in keys) or words[0].endswith(".py")
