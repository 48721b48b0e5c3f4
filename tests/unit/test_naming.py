"""Names of run directories: runner's for what runner documents, safe for everything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exs.errors import InputError
from exs.model import Json
from exs.paths import safe_file_name
from exs.sweep.naming import check_typed, directory_name, fitting, unique

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()
)
params = st.dictionaries(st.text(max_size=30), st.one_of(scalars, st.lists(scalars, max_size=3)), max_size=5)


@pytest.mark.parametrize(
    ("swept", "name"),
    [
        ({"param": 1}, "Param_1"),
        ({"curl": 1, "bracket": 1}, "Curl_1-Bracket_1"),
        ({"my_long_param_name": 1, "another-param": True}, "myLoPaName_1-AnParam_T"),
        ({"lr": 0.0001}, "Lr_0.0001"),
        ({"lr": 100000000}, "Lr_1e+08"),
        ({"lr": "1e-5"}, "Lr_1e-5"),
        ({"lr": 1.0e-3}, "Lr_0.001"),
        ({"p": "a/b"}, "P_a_b"),
        ({"p": "../x"}, "P_x"),
        ({"p": "/abs/.x"}, "P_abs_.x"),
        ({"p": False}, "P_F"),
        ({"p": "x" * 150}, "P_" + "x" * 100),
        ({"p": "start" + "e" * 100}, "P_" + "e" * 100),
        ({"p": "a b\t'c'"}, "P_a_b__c_"),
        ({"p": [1, "two"]}, "P_1,two"),
        ({"p": None}, "P_None"),
        ({"p": 10**400}, f"P_1{'0' * 400}"),
        ({"-": ".."}, "_"),
        ({}, "default"),
    ],
)
def test_names_are_runners(swept: dict[str, Json], name: str) -> None:
    assert directory_name(swept) == name


def test_an_existing_path_is_called_by_its_last_component() -> None:
    assert directory_name({"data": "sets/CIFAR/", "p": "a/b"}, lambda text: text == "sets/CIFAR/") == (
        "Data_CIFAR-P_a_b"
    )


@given(params)
def test_every_name_is_safe(swept: dict[str, Json]) -> None:
    name = fitting(directory_name(swept), "0123456789abcdef", 200)
    assert safe_file_name(name)
    assert name.isascii() and name.isprintable() and not set(name) & set(" /\\'\"$`;|&*?[]{}()<>~!#")
    assert name[0] not in ".-"
    assert len(name) <= 200


@given(params, params, st.integers(20, 255))
def test_different_points_have_different_names(one: dict[str, Json], two: dict[str, Json], limit: int) -> None:
    names = {
        unique(directory_name(one), "aaaaaa0000000000", limit),
        unique(directory_name(two), "bbbbbb0000000000", limit),
    }
    assert len(names) == 2
    assert all(len(name) <= limit and safe_file_name(name) for name in names)


def test_a_long_name_keeps_its_start_and_tells_its_point() -> None:
    assert fitting("a" * 30, "0123456789abcdef", 30) == "a" * 30
    assert fitting("a" * 31, "0123456789abcdef", 30) == "a" * 23 + "-012345"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "/etc/passwd", "../x", "a b", "-rf", "a\0", "a\n", "ä", 3, None, True]
)
def test_a_name_that_was_typed_is_refused_not_changed(name: Json) -> None:
    with pytest.raises(InputError, match=r"^f.yaml:3: the task .* cannot be part of a file name"):
        check_typed(name, "the task", "f.yaml:3")


def test_a_typed_name_that_is_too_long_is_refused() -> None:
    with pytest.raises(InputError, match="has 201 characters, more than 200"):
        check_typed("a" * 201, "the task", "f.yaml:3")
    assert check_typed("a" * 200, "the task", "f.yaml:3") == "a" * 200
