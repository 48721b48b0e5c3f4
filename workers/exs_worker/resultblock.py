"""Schedy's results: JSON between `--- RESULTS ---` and `--- END RESULTS ---` in the output of a job."""

from __future__ import annotations

import json

from exs.model import Json
from exs.values import mapping

BEGIN, END = "--- RESULTS ---", "--- END RESULTS ---"


class NoResults(ValueError):
    """Why the output has no results, in words for people. `absent`: there is no block at all."""

    def __init__(self, why: str, absent: bool = False) -> None:
        super().__init__(why)
        self.absent = absent


def results_in(output: str, limit: int) -> dict[str, Json]:
    """The object in each block of `output`, merged in order; the last block may lack its end.

    `limit`: bytes of JSON. Raises NoResults.
    """
    found: dict[str, Json] = {}
    blocks = _blocks(output)
    if not blocks:
        raise NoResults(f"its output has no line {BEGIN}", absent=True)
    for text in blocks:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise NoResults(f"what follows {BEGIN} is not JSON: {error}") from None
        if not isinstance(value, dict):
            raise NoResults(f"what follows {BEGIN} is no JSON object but {type(value).__name__}")
        found |= mapping(value, "results")
    if len(json.dumps(found)) > limit:
        raise NoResults(f"its results take more than {limit} bytes of JSON (result_bytes)")
    return found


def _blocks(output: str) -> list[str]:
    blocks: list[list[str]] = []
    inside = False
    for line in output.splitlines():
        word = line.strip()
        if word == BEGIN:
            blocks.append([])
            inside = True
        elif word == END:
            inside = False
        elif inside:
            blocks[-1].append(line)
    return ["\n".join(lines) for lines in blocks]
