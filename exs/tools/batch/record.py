"""Runs a batch script on the spot, with every command that is a job left out and noted instead.

Bash itself says which commands come, in which order, with which words: loops, functions, variables and conditions mean
here what they mean in the script. Its DEBUG trap asks before each command and, under `extdebug`, leaves it out. What
stands behind the last job is not run at all. Once nobody answers it any more, bash runs nothing: least of all a job.
The script's own traps are not set: one on EXIT runs where nobody asks, one on DEBUG would stand in the place of ours.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import BinaryIO

from exs.command import BASH
from exs.errors import InputError
from exs.tools.batch.script import Script, Segment, Statement, assignments_of, is_job, split_redirections, words_of

#: Set while a script is read, so that one that calls `exs submit` itself is refused and not read forever.
READING = "EXS_SUBMIT_READS"

_PROLOGUE = r"""
shopt -s extdebug
exec {__exs_stdout}>&1
__exs_ask() {
    case $1 in __exs_*) __exs_reply=; return 1;; esac
    __exs_own=1
    (( BASH_SUBSHELL == 0 )) || [[ /dev/fd/1 -ef /dev/fd/$__exs_stdout ]] || __exs_own=0
    printf '%s\0' "$__exs_own" "$__exs_statement" "$1" >&$EXS_SUBMIT_TELLS
    IFS= read -r -d '' __exs_reply <&$EXS_SUBMIT_HEARS || exit 75
    [[ $__exs_reply == "("* ]]
}
__exs_tell() {
    __exs_held=()
    IFS= read -r -d '' __exs_names <&$EXS_SUBMIT_HEARS || exit 75
    for __exs_name in $__exs_names; do
        [[ -v $__exs_name ]] && __exs_held+=("$(declare -p "$__exs_name")")
    done
    printf '%s\0' "$PWD" "$PATH" "${#__exs_words[@]}" "${__exs_words[@]}" >&$EXS_SUBMIT_TELLS
    printf '%s\0' "${#__exs_held[@]}" "${__exs_held[@]}" >&$EXS_SUBMIT_TELLS
}
trap() { :; }
builtin trap - EXIT ERR RETURN
builtin trap '__exs_ask "$BASH_COMMAND" && { eval "__exs_words=$__exs_reply"; IFS=" " __exs_tell; }
      [[ -z $__exs_reply ]]' DEBUG
"""


@dataclass(frozen=True)
class Recorded:
    """A command that is a job: expanded `words`, where (`cwd`, `path` is its $PATH), in which statement, by number.

    `timed`: `time ` if that stood before it. `behind`: redirections and what it is piped to, as written.
    `variables`: lines that set what the statement had set itself, for `behind` and for programs that read them.
    """

    statement: int
    words: tuple[str, ...]
    cwd: str
    path: str
    timed: str
    behind: str
    variables: tuple[str, ...]


def complete(text: str) -> bool:
    """True if `text` is whole commands for bash. What it cannot read at all is never complete."""
    done = subprocess.run([BASH, "-n", "-c", text], stdin=subprocess.DEVNULL, capture_output=True)
    return done.returncode == 0 and not done.stderr


def record(script: Script) -> list[Recorded]:
    """The jobs' commands in the order in which the script would run them.

    What else stands in it is run, as far as the last job, its output on standard error. Raises InputError for a script
    that fails before its end, and where two jobs depend on each other.
    """
    if READING in os.environ:
        raise InputError(
            f"{script.where} calls exs submit, which is reading it.", "Call it from outside of the script."
        )
    last = max((at for at, each in enumerate(script.statements) if each.has_job), default=-1)
    if any(each.is_function for each in script.statements):
        last = len(script.statements) - 1
    lines = [_PROLOGUE]
    for at, statement in enumerate(script.statements[: last + 1]):
        _check(script, statement)
        lines.append(f"__exs_statement={at}\n{statement.text}")
    lines.append("__exs_statement=end\n:\nexit 0")
    told_read, told = os.pipe()
    hears, hears_write = os.pipe()
    env = os.environ | {"EXS_SUBMIT_TELLS": str(told), "EXS_SUBMIT_HEARS": str(hears), READING: "1"}
    with (
        os.fdopen(told_read, "rb") as messages,
        os.fdopen(hears_write, "wb", buffering=0) as answers,
        subprocess.Popen(
            [BASH, "-c", "\n".join(lines), script.where],
            stdin=subprocess.DEVNULL,
            stdout=2,
            pass_fds=(told, hears),
            env=env,
        ) as child,
    ):
        os.close(told)
        os.close(hears)
        session = _Session(script, messages, answers)
        session.run()
        code = child.wait()
    if code and not session.ended:
        line = script.statements[session.at].line
        raise InputError(
            f"{script.where}:{line}: the script ended here with exit code {code}; nothing was submitted.",
            "Its lines are run once, without the jobs, to see which jobs there are.",
        )
    return session.found


def _check(script: Script, statement: Statement) -> None:
    """Refuse a job that waits for another one: each is submitted on its own."""
    parts = statement.segments
    for before, after in pairwise(parts):
        if before.operator in ("&&", "||") and all(is_job(words_of(each.command)) for each in (before, after)):
            raise InputError(
                f"{script.where}:{statement.line}: two jobs are joined by {before.operator}; each would be submitted.",
                "Write them on two lines, or put both into one script that is the job.",
            )


class _Session:
    """What the shell asks, and what it is told."""

    def __init__(self, script: Script, messages: BinaryIO, answers: BinaryIO) -> None:
        self.found: list[Recorded] = []
        self.at = 0
        self.ended = False
        self._script = script
        self._messages = messages
        self._answers = answers
        self._buffer = b""

    def run(self) -> None:
        """Until the shell has ended."""
        while (own := self._next()) is not None:
            statement, command = self._next() or "", self._next() or ""
            if statement == "end":
                self.ended = True
                self._say("")
                continue
            self.at = int(statement or 0)
            written, redirections = split_redirections(command)
            if _hinders_reading(words_of(written)):
                self._say("-")
            elif own != "1":
                self._say("")
            elif is_job(words_of(written)):
                self._say(f"({written})")
                self._record(command, redirections)
            else:
                self._say("-" if self._goes_with_a_job(command) else "")

    def _record(self, command: str, redirections: str) -> None:
        texts = [self._script.statements[self.at]]
        texts += [each for each in self._script.statements if each.is_function]
        names = {name for each in texts for name in each.names}
        self._say(" ".join(sorted(names)))
        cwd, path = self._next() or "", self._next() or ""
        words = self._list()
        lines = [re.sub(r"\Adeclare -(\S+) ", _setter, each) for each in self._list()]
        place = _find(texts, command)
        timed, piped = (place[0][place[1]].timed, _behind(*place)) if place else ("", "")
        if len(texts) == 1 and self._script.statements[self.at].text.strip().startswith(words[0]):
            lines = lines if "$" in redirections + piped else []
        behind = " ".join(filter(None, (redirections, piped)))
        self.found.append(Recorded(self.at, tuple(words), cwd, path, timed, behind, tuple(lines)))

    def _goes_with_a_job(self, command: str) -> bool:
        """True for what stands in a pipe with a job or waits for it: it goes into the job's script."""
        place = _find([self._script.statements[self.at]], command)
        if place is None:
            return False
        parts, at = place
        while at and parts[at - 1].operator in _JOINS:
            at -= 1
            if is_job(words_of(split_redirections(parts[at].command)[0])):
                return True
        return False

    def _say(self, text: str) -> None:
        self._answers.write(os.fsencode(text) + b"\0")

    def _list(self) -> list[str]:
        return [self._next() or "" for _ in range(int(self._next() or 0))]

    def _next(self) -> str | None:
        while b"\0" not in self._buffer:
            data = os.read(self._messages.fileno(), 65536)
            if not data:
                return None
            self._buffer += data
        text, _, self._buffer = self._buffer.partition(b"\0")
        return os.fsdecode(text)


_JOINS = ("|", "|&", "&&", "||")


def _hinders_reading(words: Sequence[str]) -> bool:
    """True for what would set a trap past the function of that name, or end the asking; it is left out."""
    rest = list(words[assignments_of(words) :])
    past = False
    while rest and rest[0] in ("builtin", "command", "-p", "--"):
        past = True
        del rest[0]
    if not rest:
        return False
    if rest[0] == "trap":
        return past
    if rest[0] == "shopt":
        return "extdebug" in rest
    if rest[0] == "unset":
        return "trap" in rest
    off = any(re.match(r"\+\w*T", word) for word in rest)
    return rest[0] == "set" and (off or ("+o" in rest and "functrace" in rest))


def _setter(match: re.Match[str]) -> str:
    """`declare -p` prints `declare -x i="1"`; in a script it reads better as a person writes it."""
    return {"x": "export ", "-": ""}.get(match[1], match[0])


def _find(texts: Sequence[Statement], command: str) -> tuple[list[Segment], int] | None:
    """Where a command that bash prints stands in the script."""
    wanted = re.sub(r"[\s\\]", "", command)
    for statement in texts:
        for at, each in enumerate(statement.segments):
            if re.sub(r"[\s\\]", "", each.command).rstrip(")}") in (wanted, wanted.rstrip(")}")):
                return statement.segments, at
    return None


def _behind(parts: Sequence[Segment], at: int) -> str:
    """`| tee log`, `|| echo failed`: what a job's command is joined to."""
    found = ""
    while parts[at].operator in _JOINS and at + 1 < len(parts):
        found += f" {parts[at].operator} {parts[at + 1].text.strip()}"
        at += 1
    return found.strip()
