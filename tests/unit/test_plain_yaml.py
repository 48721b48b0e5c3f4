"""The quick reader of YAML says what PyYAML says, or leaves it to PyYAML."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from exs.errors import BrokenRecord
from exs.reader import plainyaml

_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(
        ["yes", "No", "1e-3", "12:30:45", "04:56:28", "20/11/2026", "2026-11-20", "~", "0o7", "0x1f", "1_0"]
    ),
    st.text("ab: #-'\"1.", max_size=8),
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text("abyn_-1 ", min_size=1, max_size=6), inner, max_size=3),
    ),
    max_leaves=12,
)


def same(a: Any, b: Any) -> bool:
    return repr(a) == repr(b)  # 1, 1.0 and True apart


@given(st.dictionaries(st.text("abyn_-1 ", min_size=1, max_size=6), _VALUES, max_size=4), st.booleans())
def test_what_pyyaml_writes_is_read_as_pyyaml_reads_it(data: dict[str, Any], flow: bool) -> None:
    text = yaml.safe_dump(data, sort_keys=False, default_flow_style=flow or None)
    assert same(plainyaml.read(text, "a"), yaml.safe_load(text))


@given(st.text("ab:-'\" \n#{}[]1.ey/&*!|>%@", max_size=40))
@example("a:\n- 1\nb: 2\n")
@example("a: b\n  c: 1\n")
@example("a:\n    b: 1\n  c: 2\n")
@example("a: 'x\n  y: 1'\n")
@example("a:\n  - 1\n  b: 2\n")
@example("a:\n- 1\n- b: 2\n")
def test_any_text_is_read_as_pyyaml_reads_it(text: str) -> None:
    try:
        expected = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        expected = None
        with pytest.raises(BrokenRecord):
            plainyaml.read(text, "a")
        return
    if isinstance(expected, dict):
        assert same(plainyaml.read(text, "a"), expected)


def test_files_of_mlxp_need_no_pyyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(yaml, "safe_load")
    text = (
        "status: COMPLETE\nexecutable: /v/bin/python\nstart_date: 20/11/2026\nstart_time: 04:56:28\n"
        "end_time: '14:56:28'\nlogger:\n  log_id: 1\n  log_dir: /a/logs/1\nscheduler: null\n"
        "lr: 0.001\nlayers:\n- 1\n- 2\n"
    )
    assert plainyaml.read(text, "info.yaml") == {
        "status": "COMPLETE",
        "executable": "/v/bin/python",
        "start_date": "20/11/2026",
        "start_time": "04:56:28",
        "end_time": "14:56:28",
        "logger": {"log_id": 1, "log_dir": "/a/logs/1"},
        "scheduler": None,
        "lr": 0.001,
        "layers": [1, 2],
    }
