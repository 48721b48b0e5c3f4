"""Commands as written in a sweep file become compiled commands (`exs.command`).

`{p}` stands for the value of p and `[p]` for the words `--p value`. The command is split first and filled in
later, so that no value can become shell syntax. One without shell syntax needs no shell: a process less.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from exs.command import expansion, text_of
from exs.errors import ExsError, InputError
from exs.model import Json
from exs.sweep.quoting import Find, Piece, Slot, scan
from exs.sweep.reparse import Word, read_again, simple_commands
from exs.sweep.suggest import hint

#: What a job knows of itself, besides its parameters.
RESERVED = ("_name", "_output", "_datetime")
#: Bytes that Linux takes as one word of a command line (MAX_ARG_STRLEN), so also as the text for `bash -c`.
WORD_BYTES = 128 * 1024 - 1
#: Values per parameter that are tried before a push; a range of a million need not be walked.
CHECKED_VALUES = 1000
#: A list form `[x, y]` gives the value to several options, a case form gives each value options of its own.
Alias = Sequence[str] | Mapping[str, Mapping[str, Json]]

_NAME = r"([\w-]+(?:\.[\w-]+)*)"  # `{1..5}` is bash's


@dataclass(frozen=True)
class Style:
    """How a dialect writes placeholders. `strict`: an unknown name is an error, else it is text."""

    curly: re.Pattern[str] = re.compile(rf"\{{{_NAME}\}}")
    square: re.Pattern[str] = re.compile(rf"\[{_NAME}\]")
    strict: bool = True
    one_line: bool = False


STYLES = {
    "exs": Style(),
    # YAML keeps the line ends of a folded command whose lines are indented; runner joined them all the same.
    "runner": Style(one_line=True),
    "determined": Style(strict=False),
    "experiment-scheduler": Style(curly=re.compile(rf"\{{\{{\s*{_NAME}\s*\}}\}}"), square=re.compile(r"(?!)()")),
}

#: What only a shell has, or has otherwise than the program of that name;
#: bash's echo, true and false do as /bin's do.
_BASH_ALONE = """
    . : [ [[ ]] ! { } alias bg bind break builtin caller case cd command compgen complete compopt continue
    coproc declare dirs disown do done elif else enable esac eval exec exit export fc fg fi for function getopts
    hash help history if in jobs kill let local logout mapfile popd printf pushd pwd read readarray readonly
    return select set shift shopt source suspend test then time times trap type typeset ulimit umask unalias
    unset until wait while
"""
_SHELL_WORDS = frozenset(_BASH_ALONE.split())
_LINE_END = re.compile(r"\s*\\?\n\s*")


@dataclass
class _Compiler:
    params: Mapping[str, Sequence[Json]]
    where: str
    style: Style
    aliases: Mapping[str, Alias]
    variables: dict[str, Json] = field(default_factory=dict)
    chosen: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def find(self, text: str, at: int) -> Slot | None:
        """The placeholder that starts at `at`, if one does; raises InputError for one that nothing fills."""
        char = text[at]
        if char not in "{[":
            return None
        match = (self.style.curly if char == "{" else self.style.square).match(text, at)
        if not match:
            return None
        known = match[1] in self.params or match[1] in RESERVED
        if not known and self.style.strict and (char == "{" or _stands_alone(text, match)):
            raise self.unknown(match)
        return Slot(match[1], char == "[", match.end()) if known else None

    def unknown(self, match: re.Match[str]) -> InputError:
        advice = hint(match[1], [*self.params, *RESERVED], "Parameters")
        if match[0][0] == "{" and not advice.startswith("Did you mean"):
            advice += f" Write \\{match[0]} for the text itself."
        return InputError(f"{self.where}: placeholder {match[0]}: no parameter of that name.", advice)

    def check_values(self, slot: Slot) -> None:
        for value in islice(self.params.get(slot.name, ()), CHECKED_VALUES):
            try:
                text_of(value, slot.name)
            except ExsError as error:
                raise InputError(f"{self.where}: {error.message}", error.hint) from None

    def refuse(self, slot: Slot, inside: str) -> InputError:
        shown = f"[{slot.name}]" if slot.square else f"{{{slot.name}}}"
        advice = "Give it to a script as an argument."
        if inside.endswith("-c`"):
            advice = f"Write {inside[1:-1]} '... \"$1\" ...' _ {shown}."
        return InputError(f"{self.where}: {shown} stands in {inside}, where its value could become code.", advice)

    def direct(self, words: Sequence[Word]) -> dict[str, Json]:
        return {"argv": [compiled for word in words for compiled in self.word(word)]}

    def word(self, word: Word) -> list[list[Json]]:
        """The words that one word as written stands for: several for an alias."""
        if word.slots and word.slots[0].square:
            return [[{"option": name, **source}] for name, source in self.options(word.slots[0].name)]
        segments = [{"value": piece.slot.name} if piece.slot else piece.text for piece in word.pieces]
        return [[segment for segment in segments if segment != ""]]

    def options(self, name: str) -> list[tuple[str, dict[str, Json]]]:
        """The options for which `[name]` stands, each with where its value comes from."""
        alias = self.aliases.get(name, (name,))
        if not isinstance(alias, Mapping):
            return [(option, {"of": name}) for option in alias]
        options = dict.fromkeys(option for case in alias.values() for option in case)
        return [
            (
                option,
                {"of": name, "cases": {text: case[option] for text, case in alias.items() if option in case}},
            )
            for option in options
        ]

    def shell(self, text: str, pieces: Sequence[Piece]) -> dict[str, Json]:
        parts, done = [], 0
        for piece in pieces:
            if piece.slot:
                parts += [text[done : piece.start], self.expanded(piece.slot, piece.context, text)]
                done = piece.end
        return {"sh": "".join(parts) + text[done:], "vars": self.variables}

    def expanded(self, slot: Slot, context: str, text: str) -> str:
        if not slot.square:
            return expansion(self.variable("VALUE", slot.name, {"value": slot.name}, text), context)
        parts = []
        for option, source in self.options(slot.name):
            flag = self.variable("FLAG", option, {"flag": option, **source}, text)
            argument = self.variable("ARGUMENT", option, {"argument": option, **source}, text)
            parts += [expansion(flag, "flag"), expansion(argument, "argument")]
        return " ".join(parts)

    def variable(self, kind: str, name: str, source: Mapping[str, Json], text: str) -> str:
        """The environment variable that carries `source`; one that the command itself does not mention."""
        key = (kind, name, source.get("of", ""))
        if key not in self.chosen:
            variable = f"EXS_{kind}_" + re.sub(r"\W", "_", name, flags=re.ASCII)
            while variable in text or variable in self.variables:
                variable += "_"
            self.chosen[key] = variable
            self.variables[variable] = dict(source)
        return self.chosen[key]


def compile_command(
    command: str | list[str],
    params: Mapping[str, Sequence[Json]],
    where: str,
    *,
    style: str = "exs",
    aliases: Mapping[str, Alias] | None = None,
) -> dict[str, Json]:
    """The compiled form of a command that stands at `where` ("file:line").

    `params`: the known parameters with some of their values. `style`: a key of STYLES. `aliases`: what `[p]`
    stands for where that is not `--p`. Raises InputError for a placeholder that nothing fills or that stands
    where a value could become code, for a value that no command line can carry, and for quotes not closed.
    """
    compiler = _Compiler(params, where, STYLES[style], aliases or {})
    texts = command if isinstance(command, list) else [command]
    if any(len(text.encode("utf-8", "replace")) > WORD_BYTES for text in texts):
        raise InputError(f"{where}: the command is longer than {WORD_BYTES:,} bytes.", "Put it into a script.")
    if isinstance(command, list):
        words = [_whole_word(text, compiler.find) for text in command]
        _check(compiler, [piece for word in words for piece in word.pieces], [words])
        return compiler.direct(words)
    text = _trimmed(command)
    if compiler.style.one_line:
        text = _LINE_END.sub(" ", text)
    found = scan(text, compiler.find, where)
    commands = simple_commands(found.pieces)
    if not commands:
        raise InputError(f"{where}: the command is empty.", "Write what a job runs.")
    _check(compiler, found.pieces, commands)
    first = commands[0][0]
    if found.shell or first.assigns or first.text in _SHELL_WORDS:
        return compiler.shell(text, found.pieces)
    return compiler.direct(commands[0])


def placeholders(compiled: Mapping[str, Json]) -> set[str]:
    """Names of the parameters, reserved ones included, that a compiled command shows."""
    segments = [segment for word in compiled.get("argv", ()) for segment in word if not isinstance(segment, str)]
    return {source.get("of", source.get("value")) for source in [*segments, *compiled.get("vars", {}).values()]}


def _trimmed(command: str) -> str:
    """`command` without white space around it; a last backslash keeps what it escapes."""
    text, after = command.strip(), command[len(command.rstrip()) :]
    return text + after[:1] if text.endswith("\\") else text


def _stands_alone(text: str, match: re.Match[str]) -> bool:
    """True if `[name]` is a word of its own; as a glob it could only match files of one letter."""
    return (
        not text[max(match.start() - 1, 0) : match.start()].strip() and not text[match.end() : match.end() + 1].strip()
    )


def _whole_word(text: str, find: Find) -> Word:
    """A word of a command that was given as a list: nothing in it but placeholders means anything."""
    word, at, done = Word(), 0, 0
    while at < len(text):
        slot = find(text, at)
        if slot:
            word.pieces.append(Piece("text", text[done:at], "single", done, at))
            word.pieces.append(Piece("slot", "", "bare", at, slot.end, slot))
            done = slot.end
        at = slot.end if slot else at + 1
    word.pieces.append(Piece("text", text[done:], "single", done, len(text)))
    return word


def _check(compiler: _Compiler, pieces: Sequence[Piece], commands: Sequence[Sequence[Word]]) -> None:
    """Raise InputError for the first placeholder that cannot stand where it stands."""
    for piece in pieces:
        if piece.slot:
            compiler.check_values(piece.slot)
            if piece.unfit:
                raise compiler.refuse(piece.slot, piece.unfit)
    for words in commands:
        for word in words:
            _check_square(compiler, word)
        for slot, reader in read_again(words):
            raise compiler.refuse(slot, reader)


def _check_square(compiler: _Compiler, word: Word) -> None:
    square = next((piece for piece in word.pieces if piece.slot and piece.slot.square), None)
    if square is None or square.slot is None:
        return
    quoted = square.context != "bare"
    if quoted or any(piece is not square and (piece.slot or piece.text) for piece in word.pieces):
        name = square.slot.name
        raise InputError(
            f"{compiler.where}: [{name}] stands for the words --{name} VALUE and cannot be "
            f"{'quoted' if quoted else 'part of a word'}.",
            f"Write {{{name}}} for the value alone.",
        )
