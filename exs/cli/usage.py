"""What click says of a bad command line, in the words and the form of exs: one sentence, with a full stop."""

from __future__ import annotations

import re

import click

#: How click words it -> how every other sentence of exs does.
_WORDS = (
    (re.compile(r"^No such command "), "There is no command "),
    (re.compile(r"^Got unexpected extra arguments? \((.*)\)\Z", re.DOTALL), r"There are words too many: \1"),
    (re.compile(r" is not a valid integer( range)?\b"), " is no whole number"),
    (re.compile(r" is not a valid float( range)?\b"), " is no number"),
    (re.compile(r"\(Did you mean one of: (.*)\?\)\.?"), r"Did you mean one of \1?"),
    (re.compile(r" Choose from:\s*"), " There are: "),
    (re.compile(r",\s+"), ", "),
)


def sentence(error: click.ClickException) -> str:
    """What is wrong."""
    text = error.format_message().strip()
    for words, ours in _WORDS:
        text = words.sub(ours, text)
    return text if text.endswith((".", "?", "!")) else f"{text}."
