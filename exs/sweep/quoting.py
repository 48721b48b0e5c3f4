"""Reads a command the way bash quotes it: what is a word, and how each placeholder in it is quoted.

The scanner follows four states: bare, "double", 'single', and $( ) or ( ), which start bare again. What else
bash reads by rules of its own (here-documents, backticks, arithmetic, ${ }, comments) is opaque: its end is
found, and a placeholder in it is marked unfit. Where the end is not certain, all that follows is opaque.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from exs.errors import InputError


@dataclass(frozen=True)
class Slot:
    """A placeholder: `{name}`, or `[name]` if `square`. It ends before `end`."""

    name: str
    square: bool
    end: int


@dataclass
class Piece:
    """A part of the command. `kind`: "text", "slot", "space", "operator", "open" or "close" (of parentheses).

    `text`: what remains once quotes are removed. `context`: "bare", "double" or "single". `unfit`: why no
    placeholder can stand here. `start`, `end`: its place in the source.
    """

    kind: str
    text: str
    context: str
    start: int
    end: int
    slot: Slot | None = None
    unfit: str = ""


@dataclass(frozen=True)
class Scan:
    """The pieces in order; `shell`: the command means something only to a shell."""

    pieces: list[Piece]
    shell: bool


Find = Callable[[str, int], "Slot | None"]


def scan(text: str, find: Find, where: str) -> Scan:
    """The pieces of a command; `find` says whether a placeholder starts at an index.

    Raises InputError for a quote or parenthesis that is not closed.
    """
    return _Scanner(text, find, where).run()


_HEREDOC = re.compile(r"<<(-?)[ \t]*(?:'([^'\n]*)'|\"([^\"\n]*)\"|\\?([\w.-]+))(?=[\s;&|<>)]|\Z)")
_BACKTICKS = re.compile(r"`(?:\\.|[^`\\])*`", re.DOTALL)
_ANSI_C = re.compile(r"\$'(?:\\.|[^'\\])*'", re.DOTALL)
_VARIABLE = re.compile(r"\$(?:\w+|[@*#?$!-])", re.ASCII)
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*\Z", re.ASCII)
#: Runs of characters that mean nothing in their context and start no placeholder.
_RUN = {
    "bare": re.compile(r"[\w/@%+-]+"),
    "double": re.compile(r"[^\"\\$`{\[]+"),
    "single": re.compile(r"[^'{\[]+"),
}
_CASE = re.compile(r"case\b")
_PAIRS = {"{": "}", "(": ")", "[": "]"}
#: Inside ${ }, $(( )) and $[ ] these may hide the closing bracket.
_HIDES_THE_END = frozenset("'\"\\`")


class _Scanner:
    def __init__(self, text: str, find: Find, where: str) -> None:
        self.text, self.find, self.where = text, find, where
        self.at = 0
        self.pieces: list[Piece] = []
        self.shell = False
        self.stack = ["bare"]  # "bare", "double", "single", "(" and "$("
        self.word = ""  # the bare text of the word so far, NUL for everything else
        self.last_subscript = max(text.rfind("]="), text.rfind("]+="))
        self.substitutions = 0  # how many $( are open
        self.word_starts = True
        self.conditional = False  # inside [[ ]]
        self.heredocs: list[tuple[str, bool]] = []  # delimiters and whether tabs are stripped

    def run(self) -> Scan:
        step = {"double": self._double, "single": self._single}
        while self.at < len(self.text):
            slot = self.find(self.text, self.at)
            if slot:
                self._slot(slot, "[[ ]]" if self.conditional else "")
                self.at = slot.end
            else:
                step.get(self.stack[-1], self._bare)()
        if len(self.stack) > 1:
            opened = {"double": '"', "single": "'"}.get(self.stack[-1], self.stack[-1])
            raise InputError(f"{self.where}: the command opens {opened} and never closes it.", "Close it.")
        return Scan(self.pieces, self.shell)

    def _slot(self, slot: Slot, unfit: str) -> None:
        context = self.stack[-1] if self.stack[-1] in ("double", "single") else "bare"
        self.pieces.append(Piece("slot", "", context, self.at, slot.end, slot, unfit))
        self.word, self.word_starts = self.word + "\0", False

    def _text(self, text: str, length: int) -> None:
        context = self.stack[-1] if self.stack[-1] in ("double", "single") else "bare"
        last = self.pieces[-1] if self.pieces else None
        end = self.at + length
        if last and last.kind == "text" and last.context == context and last.end == self.at:
            last.text, last.end = last.text + text, end
        else:
            self.pieces.append(Piece("text", text, context, self.at, end))
        self.word += text if context == "bare" else "\0"
        self.at, self.word_starts = end, False

    def _mark(self, kind: str, length: int) -> None:
        """A separator of words; anything but white space needs a shell."""
        end = self.at + length
        self.pieces.append(Piece(kind, self.text[self.at : end], "bare", self.at, end))
        self.at, self.word, self.word_starts = end, "", True
        self.shell |= kind != "space"

    def _opaque(self, end: int, what: str) -> None:
        """Skip to `end`; whatever placeholder is on the way is unfit, because it stands in `what`."""
        self.shell = True
        first = self.at
        while self.at < end:
            slot = self.find(self.text, self.at) if self.text[self.at - 1 : self.at] != "$" else None
            if slot:
                self._slot(slot, what)
            self.at = slot.end if slot else self.at + 1
        if first < end:
            self.pieces.append(Piece("text", self.text[first:end], "opaque", first, end))
        self.word, self.word_starts = self.word + "\0", False
        if end == len(self.text):
            del self.stack[1:]  # perhaps closed in there; bash will say if not

    def _single(self) -> None:
        if self.text[self.at] == "'":
            self.stack.pop()
            self.at += 1
        else:
            self._run("single")

    def _run(self, context: str) -> None:
        """Take one character, or as many as mean nothing."""
        run = _RUN[context].match(self.text, self.at)
        text = run[0] if run else self.text[self.at]
        self._text(text, len(text))

    def _double(self) -> None:
        char, following = self.text[self.at], self.text[self.at + 1 : self.at + 2]
        if char == '"':
            self.stack.pop()
            self.at += 1
        elif char == "\\" and following:
            self._text("" if following == "\n" else following if following in '$`"\\' else char + following, 2)
        elif char == "$":
            self._dollar()
        elif char == "`":
            self._backticks()
        else:
            self._run("double")

    def _bare(self) -> None:
        char = self.text[self.at]
        if char == "\\":
            self._escape()
        elif char in "'\"":
            self._text("", 1)  # so that '' is a word
            self.stack.append("single" if char == "'" else "double")
        elif char in " \t":
            self._mark("space", 1)
        elif char == "\n":
            self._newline()
        elif char == "$":
            self._dollar()
        elif char == "`":
            self._backticks()
        elif char in "()":
            self._parenthesis(char)
        elif char in "|&;<>":
            self._operator()
        elif char == "#" and self.word_starts:
            end = self.text.find("\n", self.at)
            self._opaque(len(self.text) if end < 0 else end, "a comment")
        else:
            self._plain(char)

    def _escape(self) -> None:
        following = self.text[self.at + 1 : self.at + 2]
        if following != "\n":
            self._text(following or "\\", 2 if following else 1)
        elif self.word_starts or self.text[self.at + 2 : self.at + 3].strip() == "":
            self.at += 2  # a continued line: nothing at all, not even an end of the word
        else:
            self._opaque(len(self.text), "or after a word that goes on in the next line")

    def _plain(self, char: str) -> None:
        if char not in "{[" and _RUN["bare"].match(char) and not self.word_starts:
            self._run("bare")
            return
        rest = self.text[self.at : self.at + 3]
        if self.word_starts and rest[:2] in ("[[", "]]") and rest[2:].strip(";|&)") in ("", " ", "\t", "\n"):
            self.conditional = rest[:2] == "[["
        if self.word_starts and self.substitutions and _CASE.match(self.text, self.at):
            self._opaque(len(self.text), "or after a `case` inside $( )")
            return
        if char == "[" and self._assigns_subscript():
            self._opaque(self.last_subscript + 1, "the subscript of an array")
            return
        tilde = char == "~" and (self.word_starts or self.text[self.at - 1] in "=:")
        braces = char == "}" and "{" in self.word and ("," in self.word or ".." in self.word)
        self.shell |= tilde or braces or char in "*?["
        self._text(char, 1)

    def _assigns_subscript(self) -> bool:
        """True if the [ here may start the subscript of `a[...]=` or of `a=([...]=...)`, which bash evaluates."""
        if self.at >= self.last_subscript:
            return False
        return bool(_IDENTIFIER.match(self.word)) if self.word else "(" in self.stack

    def _operator(self) -> None:
        heredoc = _HEREDOC.match(self.text, self.at)
        if heredoc:
            delimiter = next(group for group in heredoc.groups()[1:] if group is not None)
            self.heredocs.append((delimiter, heredoc[1] == "-"))
            self._mark("operator", len(heredoc[0]))
        elif self.text.startswith("<<<", self.at):
            self._mark("operator", 3)
        elif self.text.startswith("<<", self.at):
            self._opaque(len(self.text), "or after a here-document")
        else:
            self._mark("operator", 1)

    def _newline(self) -> None:
        self._mark("operator", 1)
        while self.heredocs:
            delimiter, tabs = self.heredocs.pop(0)
            end = re.compile(rf"^{chr(9) + '*' if tabs else ''}{re.escape(delimiter)}$", re.MULTILINE).search(
                self.text, self.at
            )
            self._opaque(min(end.end() + 1, len(self.text)) if end else len(self.text), "a here-document")
            self._mark("operator", 0)

    def _parenthesis(self, char: str) -> None:
        if char == "(" and self.word_starts and self.text.startswith("((", self.at):
            self._opaque(self._balanced(self.at), "(( ))")
        elif char == "(":
            self._mark("open", 1)
            self.stack.append("(")
        elif self.stack[-1] in ("(", "$("):
            substitution = self.stack.pop() == "$("
            self.substitutions -= substitution
            self._mark("close", 1)
            if substitution:
                self.word, self.word_starts = "\0", False
        else:
            self._mark("operator", 1)  # of a pattern in `case`

    def _backticks(self) -> None:
        match = _BACKTICKS.match(self.text, self.at)
        self._opaque(match.end() if match else len(self.text), "backticks")

    def _dollar(self) -> None:
        self.shell = True
        bare = self.stack[-1] != "double"
        following = self.text[self.at + 1 : self.at + 3]
        ansi_c = _ANSI_C.match(self.text, self.at) if bare else None
        variable = _VARIABLE.match(self.text, self.at)
        if following == "\\\n":
            self._opaque(len(self.text), "or after a $ that goes on in the next line")
        elif following == "((":
            self._opaque(self._balanced(self.at + 1), "$(( ))")
        elif following[:1] == "(":
            self._mark("open", 2)
            self.stack.append("$(")
            self.substitutions += 1
        elif following[:1] in ("{", "["):
            self._opaque(self._balanced(self.at + 1), "${ }" if following[:1] == "{" else "$[ ]")
        elif ansi_c:
            self._opaque(ansi_c.end(), "$' '")
        elif variable:
            self._text(variable[0], len(variable[0]))
        else:
            self._text("$", 1)

    def _balanced(self, start: int) -> int:
        """Where the bracket at `start` ends; the end of the text where quotes make that uncertain."""
        opening, closing = self.text[start], _PAIRS[self.text[start]]
        depth = 0
        for index in range(start, len(self.text)):
            char = self.text[index]
            depth += (char == opening) - (char == closing)
            if depth == 0:
                return index + 1
            if char in _HIDES_THE_END or (char == "(" and opening == "{"):
                break
        return len(self.text)
