"""Finds the placeholders whose value a second shell would read as code: bash -c "... {p} ...", eval, ssh.

Quoting protects a value from one shell only. What hands its arguments to another one is known here by name.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from exs.sweep.quoting import Piece, Slot

_SHELL = re.compile(r"(ba|da|a|k|z|fi|t?c)?sh\Z")
#: Other programs that give the argument after -c to a shell.
_TAKES_CODE = re.compile(r"(su|runuser|sg|script|flock)\Z")
#: Programs and builtins all of whose arguments are read again, as code, names or arithmetic.
_READS_AGAIN = re.compile(
    r"(eval|trap|let|declare|typeset|unset|read|mapfile|readarray|getopts|alias|ssh|rsh|mosh|parallel|watch)\Z"
)
#: Builtins that read the argument after -v as the name of a variable, whose subscript they evaluate.
_TAKES_NAME = re.compile(r"(printf|test|\[)\Z")
#: Words before the command proper.
_WRAPPER = re.compile(
    r"(command|builtin|exec|env|nohup|nice|time|sudo|setsid|stdbuf|timeout|xargs|ionice|taskset|srun)\Z"
)
#: Words after which another command begins: also `in`, because of `case x in (x) command`.
_KEYWORD = re.compile(r"(if|then|elif|else|while|until|do|in|!|\{|time|coproc)\Z")
_OPTION_OR_NUMBER = re.compile(r"[-+0-9]")
_CODE_OPTION = re.compile(r"-[A-Za-z]*c[A-Za-z]*\Z|--command\Z")
_OPTION_WITH_VALUE = re.compile(r"[-+][A-Za-z]*[oO]\Z|--(rcfile|init-file)\Z")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*(\[[^\]]*\])?\+?=", re.ASCII)


@dataclass
class Word:
    """One word of a command: its pieces, and its text with NUL where something is filled in."""

    pieces: list[Piece] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(p.text if p.kind == "text" and p.context != "opaque" else "\0" for p in self.pieces)

    @property
    def slots(self) -> list[Slot]:
        return [p.slot for p in self.pieces if p.slot]

    @property
    def assigns(self) -> bool:
        """True for VAR=value, as long as its name is not quoted."""
        first = self.pieces[0]
        return first.kind == "text" and first.context == "bare" and bool(_ASSIGNMENT.match(first.text))


def simple_commands(pieces: Iterable[Piece]) -> list[list[Word]]:
    """The commands between operators, each a list of words; those in $( ) and ( ) stand for themselves."""
    done: list[list[Word]] = []
    open_commands: list[list[Word]] = [[]]
    fresh = [True]  # whether the next piece starts a word, per open command
    for piece in pieces:
        if piece.kind == "open":
            open_commands.append([])
            fresh.append(True)
        elif piece.kind == "close":
            done.append(open_commands.pop())
            fresh.pop()
        elif piece.kind == "operator":
            done.append(open_commands[-1])
            open_commands[-1], fresh[-1] = [], True
        elif piece.kind == "space":
            fresh[-1] = True
        else:
            if fresh[-1]:
                open_commands[-1].append(Word())
            open_commands[-1][-1].pieces.append(piece)
            fresh[-1] = False
    return [command for command in done + open_commands if command]


def read_again(words: Sequence[Word]) -> Iterator[tuple[Slot, str]]:
    """Placeholders of one simple command that something would read again, with what it is."""
    for position, word in enumerate(words):
        if _SHELL.match(posixpath.basename(word.text)):
            yield from _code(words[position:], after_operands=False)
    for position in _command_positions(words):
        name = posixpath.basename(words[position].text)
        arguments = words[position + 1 :]
        if _READS_AGAIN.match(name):
            yield from ((slot, f"`{name}`") for word in arguments for slot in word.slots)
        if _TAKES_CODE.match(name):
            yield from _code(words[position:], after_operands=True)
        if _TAKES_NAME.match(name):
            for option, word in pairwise(arguments):
                if option.text == "-v":
                    yield from ((slot, f"`{name} -v`") for slot in word.slots)


def _code(words: Sequence[Word], after_operands: bool) -> Iterator[tuple[Slot, str]]:
    """Placeholders in the code of `sh -c code arguments ...`; `after_operands`: -c may follow other arguments."""
    coded = has_value = False
    for word in words[1:]:
        is_option = word.text.startswith(("-", "+"))
        if not is_option and not has_value:
            if coded:
                yield from ((slot, f"`{words[0].text} -c`") for slot in word.slots)
            if coded or not (after_operands or word.slots):  # a placeholder may turn out to be an option
                return
        coded |= bool(_CODE_OPTION.match(word.text))
        has_value = bool(_OPTION_WITH_VALUE.match(word.text))


def _command_positions(words: Sequence[Word]) -> list[int]:
    """Where the name of a command may stand: at the start, and after every word that can begin another."""
    starts = [0] + [at + 1 for at, word in enumerate(words) if _KEYWORD.match(word.text)]
    return list(dict.fromkeys(position for start in starts for position in _names_from(words, start)))


def _names_from(words: Sequence[Word], start: int) -> Iterator[int]:
    """The first word from `start` on that is no assignment; after a wrapper also the next two that are no option."""
    wanted, wrapped = 1, False
    for position in range(start, len(words)):
        word = words[position]
        if word.assigns or (wrapped and _OPTION_OR_NUMBER.match(word.text)):
            continue
        yield position
        if _WRAPPER.match(posixpath.basename(word.text)):
            wanted, wrapped = 2, True
        else:
            wanted -= 1
        if not wanted:
            return
