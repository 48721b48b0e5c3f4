"""A configuration names what the script has, and imports nothing."""

from __future__ import annotations

import collections.abc as abc_of_collections
import datetime
import logging
import xml.dom

import pytest

import exs
from exs.compat.mlxp import instance_from_dict, instantiate
from exs.errors import InputError


class Mine:
    class Inner:
        pass


def test_classes_of_the_script() -> None:
    assert instance_from_dict("datetime.timedelta", {"hours": 2}) == datetime.timedelta(hours=2)
    assert instantiate("Mine.Inner") is Mine.Inner
    assert instantiate("logging.Formatter") is logging.Formatter
    assert instantiate("xml.dom.Node") is xml.dom.Node
    assert instantiate("abc_of_collections.Mapping") is abc_of_collections.Mapping


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("os.system", "the script has no 'os'"),
        ("builtins.eval", "the script has no 'builtins'"),
        ("logging.os.system", "is a module of its own. Import os in the script"),
        ("logging.sys", "is a module of its own"),
        ("__builtins__", "names no class"),
        ("Mine.__class__.__mro__", "names no class"),
        ("datetime.timedelt", "Did you mean 'timedelta'?"),
        ("datetim.timedelta", "Did you mean 'datetime'?"),
        ("", "names no class"),
        (7, "names no class"),
    ],
)
def test_nothing_else(name: str, sentence: str) -> None:
    with pytest.raises(InputError) as told:
        instantiate(name)
    assert sentence in str(told.value)


def test_what_cannot_be_called() -> None:
    with pytest.raises(InputError, match="is a int, and cannot be called"):
        instance_from_dict("datetime.MAXYEAR", {})


def test_names_of_mlxp_are_found_in_exs() -> None:
    """`mlxp.__all__`, but for GitVM: a run uses the code as it lies in its directory."""
    for name in ("launch", "Reader", "DefaultLogger", "ConfigDict", "Context", "DataFrame"):
        assert isinstance(getattr(exs, name), type) or name == "launch"
