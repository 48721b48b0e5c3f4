"""The documents of the systems that exs takes over from, and the blocks in them."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = ROOT / "tests" / "data" / "seeds"
ORIGINALS = ROOT.parent / "shared" / "seeds"


def text_of(name: str) -> str:
    return (DOCUMENTS / name).read_text(encoding="utf-8")


def fenced(name: str, language: str = "") -> list[str]:
    """The fenced blocks of a Markdown document that say `language`."""
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(name), re.MULTILINE | re.DOTALL)


def literal(name: str, containing: str) -> str:
    """The indented block of a reStructuredText document that contains a text."""
    blocks = re.findall(r"^\.\. code.*?\n\n((?:[ \t]+\S.*\n|\n)+)", text_of(name), re.MULTILINE)
    (block,) = [block for block in blocks if containing in block]
    return textwrap.dedent(block).strip("\n")
