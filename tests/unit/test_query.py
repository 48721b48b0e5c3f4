"""The query language: MLXP's grammar and precedence, what was added to it, and errors that point at the place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exs.api.reader import Reader
from exs.reader.errors import InvalidKeyError, QueryError, QuerySyntaxError, QueryTypeError
from exs.reader.query import DEEPEST, MISSING, parse
from exs.reader.words import LONGEST
from unit.mlxp_runs import write_run, write_sweep


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    root = tmp_path_factory.mktemp("logs")
    write_sweep(root)
    return Reader(root, tmp_path_factory.mktemp("cache"))


def test_the_runs_are_those_of_the_table(reader: Reader) -> None:
    assert len(reader) == 18


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        # What MLXP 1.0.5 answers, measured on 18 such runs.
        ("info.status == 'COMPLETE' & config.model.num_units < 4", 12),
        ("config.seed in [1,4]", 6),
        ("~ config.seed in [1,4]", 12),
        ("config.seed == 1 | config.seed==2 & config.optimizer.lr > 1.", 9),
        ("(config.seed == 1 | config.seed==2) & config.optimizer.lr > 1.", 6),
        ("", 18),
        ("config.nokey == 1", 0),
        ("config.nokey != 1", 0),
        ("~ config.nokey == 1", 18),
        ("config.seed == '1'", 0),
        # What it refuses.
        ("config.optimizer.lr == 1e1", 9),
        ("config.optimizer.lr < 5e-1", 0),
        ("config.nokey == None", 18),
        ("config.nokey != None", 0),
        ("info.scheduler == None", 18),
        ("config.seed == 1 and config.optimizer.lr > 1.", 3),
        ("not config.seed == 1", 12),
        ("not config.seed == 1 and config.optimizer.lr > 1. or config.seed == 1", 12),
        ("config.seed not in [1, 4]", 12),
        ("config.seed == True", 0),
        ("config.seed == 1.0", 6),
        ("config.seed in []", 0),
        ('config.data.device == "cpu"', 18),
        ("train.loss.min < 0.08", 9),
        ("train.loss < 0.08", 9),
        ("train.loss.count == 3", 18),
        ("optimizer.lr == 1 & seed == 3", 3),
        ("`config.seed` == 3", 6),
    ],
)
def test_rows_that_a_query_finds(reader: Reader, query: str, rows: int) -> None:
    assert len(reader.filter(query)) == rows


@pytest.mark.parametrize(
    ("query", "at", "kind"),
    [
        ("config.seed = 1", 12, QuerySyntaxError),
        ("config.seed == 1 &", 18, QuerySyntaxError),
        ("(config.seed == 1", 0, QuerySyntaxError),
        ("config.seed == 1)", 16, QuerySyntaxError),
        ("config.seed == [1]", 15, QuerySyntaxError),
        ("config.seed in 1", 15, QuerySyntaxError),
        ("config.seed in [1 2]", 18, QuerySyntaxError),
        ("config.seed == a", 15, QuerySyntaxError),
        ("config.seed", 11, QuerySyntaxError),
        ("config.seed == 'a", 15, QuerySyntaxError),
        ("config.seed == 1x", 15, QuerySyntaxError),
        ("config.seed < None", 12, QuerySyntaxError),
        ("config.seed == 1 $", 17, QuerySyntaxError),
        ("1 == config.seed", 0, QuerySyntaxError),
        ("config.optimizer.lr > 'a'", 20, QueryTypeError),
        ("config.seed == 1 & train.los < 3", 19, InvalidKeyError),
    ],
)
def test_an_error_points_at_its_place(reader: Reader, query: str, at: int, kind: type[QueryError]) -> None:
    with pytest.raises(kind) as error:
        reader.filter(query)
    assert error.value.at == at
    shown, caret, *_ = error.value.hint.split("\n")
    assert caret == " " * at + "^"
    assert shown == query


def test_errors_are_pythons_own_too(reader: Reader) -> None:
    for query, kind in (("a = 1", SyntaxError), ("config.seed < 'a'", TypeError), ("train.los < 1", KeyError)):
        with pytest.raises(kind):
            reader.filter(query)


def test_a_slip_in_a_metric_is_corrected(reader: Reader) -> None:
    with pytest.raises(InvalidKeyError, match=r"Did you mean train\.loss"):
        reader.filter("train.los < 3")


def test_a_condition_that_decides_is_the_last_that_is_asked(tmp_path: Path) -> None:
    write_run(tmp_path / "logs", 1, {"lr": "auto"})
    write_run(tmp_path / "logs", 2, {"lr": 0.1})
    reader = Reader(tmp_path / "logs", tmp_path / "cache")
    with pytest.raises(QueryTypeError):
        reader.filter("config.lr > 0.01")
    assert [run.label for run in reader.filter("config.lr != 'auto' & config.lr > 0.01")] == ["2"]


def test_keys_with_a_dash_and_keys_that_are_no_words(tmp_path: Path) -> None:
    write_run(tmp_path / "logs", 1, {"my-key": {"a b": 1, "in": 2}})
    reader = Reader(tmp_path / "logs", tmp_path / "cache")
    assert len(reader.filter("config.my-key.in == 2 & `config.my-key.a b` == 1")) == 1


def test_nan_is_found(tmp_path: Path) -> None:
    write_run(tmp_path / "logs", 1, {"seed": 1}, {"train": [{"loss": 1.0}, {"loss": float("nan")}]})
    write_run(tmp_path / "logs", 2, {"seed": 2}, {"train": [{"loss": 1.0}]})
    reader = Reader(tmp_path / "logs", tmp_path / "cache")
    assert [run.label for run in reader.filter("train.loss == nan")] == ["1"]
    assert [run.label for run in reader.filter("train.loss.min == 1")] == ["1", "2"]


@pytest.mark.parametrize("opening", ["(", "~", "not ", "~("])
def test_depth_and_length_are_bounded(opening: str) -> None:
    deep = opening * 20_000
    for query in (deep, deep[:9000], opening * (DEEPEST + 1) + "a == 1", "a == 1 & " * 2000 + "a == 1"):
        with pytest.raises(QuerySyntaxError):
            parse(query)
    assert len("a == 1 & " * 1000 + "a == 1") < LONGEST
    assert parse("a == 1 & " * 1000 + "a == 1").holds({"a": 1}.get)


@given(st.text(alphabet="abc.<>=!&|~()[]'\" 0123456789-eE+_`\\,\t\u00e4", max_size=60))
def test_any_text_is_a_query_or_a_typed_error(text: str) -> None:
    try:
        parse(text).holds(lambda key: MISSING)
    except QueryError as error:
        assert 0 <= error.at <= len(text)


_VALUES = {"a": 1, "b": "x", "c": True}
_ATOMS = st.sampled_from(["a == 1", "a == 2", "b == 'x'", "b in ['y']", "c == True", "d == 1"])


def _tree(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.tuples(st.just("~"), children),
        st.tuples(st.just("&"), children, children),
        st.tuples(st.just("|"), children, children),
    )


def _python(tree: Any) -> bool:
    if isinstance(tree, str):
        return {"a == 1": True, "b == 'x'": True, "c == True": True}.get(tree, False)
    if tree[0] == "~":
        return not _python(tree[1])
    return all(map(_python, tree[1:])) if tree[0] == "&" else any(map(_python, tree[1:]))


_BINDS = {"|": 0, "&": 1, "~": 2}


def _query(tree: Any, outer: int, words: bool) -> str:
    """As text with no parenthesis that the precedence makes superfluous."""
    if isinstance(tree, str):
        return tree
    spelled = {"|": "or", "&": "and", "~": "not"}[tree[0]] if words else tree[0]
    own = _BINDS[tree[0]]
    parts = [_query(part, own, words) for part in tree[1:]]
    text = f"{spelled} {parts[0]}" if own == 2 else f" {spelled} ".join(parts)
    return f"({text})" if own < outer else text


@given(st.recursive(_ATOMS, _tree, max_leaves=20), st.booleans())
def test_precedence_is_that_of_the_tree(tree: Any, words: bool) -> None:
    assert parse(_query(tree, 0, words)).holds(lambda key: _VALUES.get(key, MISSING)) is _python(tree)


@given(
    st.one_of(st.integers(), st.floats(allow_nan=False), st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
)
def test_every_value_can_be_written(value: object) -> None:
    text = "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'" if isinstance(value, str) else repr(value)
    assert parse(f"k == {text}").holds({"k": value}.get)
