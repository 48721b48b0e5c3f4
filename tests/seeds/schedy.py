"""Schedy's tutorial: its code as it stands there, but for the import lines, and what it says should come out."""

from __future__ import annotations

import re
import textwrap

from seeds.documents import literal, text_of

DOCUMENT = "schedy-scheduler.rst"
#: `import schedy` is what a user changes; `time` is ours so that a minute passes in a moment.
IMPORTS = {"import schedy": "import exs as schedy", "import time": "import soon as time"}
SOON = "from time import *\nfrom time import sleep as _sleep\n\n\ndef sleep(seconds):\n    _sleep(min(seconds, 0.2))\n"


def python(containing: str) -> str:
    """The first block of Python in the document with these words, ready to run."""
    blocks = re.findall(r"::\n\n((?:[ \t]+\S.*\n|\n)+)", text_of(DOCUMENT))
    block = next(block for block in blocks if containing in block and "import schedy" in block)
    lines = textwrap.dedent(block).strip("\n").splitlines()
    return "\n".join(IMPORTS.get(line, line) for line in lines) + "\n"


def shell(containing: str) -> str:
    """The command of a block of shell, for `exs`."""
    return literal(DOCUMENT, containing).splitlines()[0].replace("schedy", "exs", 1)


def table(job: str) -> list[str]:
    """The table of the document, with this job's id in it."""
    lines = literal(DOCUMENT, "| id     | status").splitlines()
    more = len(job) - len("ExhnhQ")
    wider = [re.sub(r"^([+|]-+)", lambda rule: rule[1] + "-" * more, line) for line in lines]
    wider = [line.replace("| id     |", "| id     " + " " * more + "|") for line in wider]
    return [line.replace("ExhnhQ", job) for line in wider]
