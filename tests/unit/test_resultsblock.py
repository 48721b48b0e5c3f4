"""Schedy's block of results in a program's output, however it is cut."""

from __future__ import annotations

from typing import Any

import pytest

from exs_worker.resultsblock import ResultsBlock

BEGIN, END = b"--- RESULTS ---\n", b"--- END RESULTS ---\n"


def found(*chunks: bytes, limit: int = 1000) -> ResultsBlock:
    block = ResultsBlock(limit)
    for chunk in chunks:
        block.feed(chunk)
    block.finish()
    return block


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (b"", {}),
        (BEGIN + b'{"a": 1}\n' + END, {"a": 1}),
        (b"x\n" + BEGIN + b'{"a": 1,\n "b": [2, NaN]}', {"a": 1, "b": [2, "nan"]}),
        (b'x\r\n--- RESULTS --- \r\n{"a": 1}\r\n--- END RESULTS ---\r\ny' + b"z" * 200, {"a": 1}),
        (BEGIN + b'{"a": 1, "b": 1}\n' + END + b"more\n" + BEGIN + b'{"b": 2}\n' + END, {"a": 1, "b": 2}),
        (b"not --- RESULTS ---\n{}\n", {}),
        (b"--- RESULTS ---", {}),
    ],
)
def test_a_block_is_found_wherever_the_chunks_are_cut(text: bytes, values: dict[str, Any]) -> None:
    for cut in range(len(text) + 1):
        block = found(text[:cut], text[cut:])
        assert (block.values, block.problem) == (values, ""), cut
    assert found(*(bytes([byte]) for byte in text)).values == values


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"no", "Expecting value"),
        (b"[1]", "not an object but list"),
        (b'{"a": "' + b"x" * 2000 + b'"}', "larger than 1000 bytes"),
        (b"x" * 10_000, "larger than 1000 bytes"),
        (b'{"a": "\\ud800"}', "a lone surrogate"),
        (b"[" * 100_000, "larger than 1000 bytes"),
    ],
)
def test_a_block_that_cannot_be_read_says_why_and_the_next_one_counts(text: bytes, why: str) -> None:
    block = found(BEGIN + text + b"\n" + END, b"x\n" + BEGIN + b'{"ok": 1}\n' + END)
    assert (block.problem, block.values) == (why, {"ok": 1})


def test_output_without_a_block_is_not_kept() -> None:
    block = ResultsBlock(1000)
    for _ in range(50):
        block.feed(b"x" * 100_000)
        assert len(block._edge) <= 64 and block._block is None
