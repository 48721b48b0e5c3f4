"""JSON from Redis: the quick way and the careful one agree, and what is no finite number is refused by both."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exs.errors import BrokenRecord
from exs.store import records

_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=40,
)


@given(_VALUES, st.sampled_from(["", " ", "\n"]))
def test_what_was_written_is_read(value: Any, space: str) -> None:
    text = space + json.dumps(value, ensure_ascii=False) + space
    assert repr(records.loads(text.encode("utf-8", "surrogatepass"), "a")) == repr(json.loads(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1]x",
        "NaN",
        "[Infinity]",
        "-Infinity",
        "1e999",
        "[1E+400]",
        "9" * 400 + ".0",
        "9" * 240 + "e99",
        "[1.0e308, 2.0e309]",
    ],
)
def test_what_is_no_json_or_not_finite_is_refused(text: str) -> None:
    with pytest.raises(BrokenRecord):
        records.loads(text, "a")


@given(st.from_regex(r"\A-?[0-9]{1,260}(\.[0-9]{1,3})?([eE][+-]?[0-9]{1,4})?\Z"))
def test_a_number_that_is_read_is_finite(text: str) -> None:
    try:
        found = records.loads(text, "a")
    except BrokenRecord:
        return
    assert isinstance(found, int) or math.isfinite(found)
