"""YAML: what scalars mean in both versions, where things stand, and F46's hostile files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from exs.errors import InputError
from exs.settings import Limits
from exs.sweep import yamlfile
from exs.sweep.yamlfile import Document

LIMITS = Limits()


def load(text: str | bytes, version: str = "1.2") -> list[Document]:
    return yamlfile.load(text, "f.yaml", version, LIMITS)


def value(text: str, version: str = "1.2") -> object:
    (document,) = load(text, version)
    return document.value


@pytest.mark.parametrize(
    ("written", "old", "new"),
    [
        ("1e-3", "1e-3", 0.001),
        ("1e-5", "1e-5", 0.00001),
        ("1.0e-3", 0.001, 0.001),
        ("1.e+3", 1000.0, 1000.0),
        ("10.", 10.0, 10.0),
        (".5", 0.5, 0.5),
        ("yes", True, "yes"),
        ("No", False, "No"),
        ("on", True, "on"),
        ("off", False, "off"),
        ("true", True, True),
        ("1:30", 90, "1:30"),
        ("0123", 83, 123),
        ("007", 7, 7),
        ("0o17", "0o17", 15),
        ("0x1F", 31, 31),
        ("1_000", 1000, "1_000"),
        ("2024-01-31", "2024-01-31", "2024-01-31"),
        ("2024-01-31 10:00:00", "2024-01-31 10:00:00", "2024-01-31 10:00:00"),
        ("~", None, None),
        ("", None, None),
        ("null", None, None),
        ("'1e-3'", "1e-3", "1e-3"),
        ("!!str 1", "1", "1"),
        ("!!float 1", 1.0, 1.0),
        ("-7", -7, -7),
        ("+7", 7, 7),
        ("=", "=", "="),
        ("1.2.3", "1.2.3", "1.2.3"),
    ],
)
def test_plain_scalars_mean_what_their_version_says(written: str, old: object, new: object) -> None:
    for version, wanted in (("1.1", old), ("1.2", new)):
        (document,) = load(f"a: {written}", version)
        found = document.value["a"]
        assert (found, type(found)) == (wanted, type(wanted)), version


def test_a_list_of_documents_keeps_the_order_of_keys() -> None:
    documents = load("b: 1\na: 2\n---\n---\nc: [3]\n")
    assert [document.value for document in documents] == [{"b": 1, "a": 2}, None, {"c": [3]}]
    assert list(documents[0].value) == ["b", "a"]
    assert load("") == []


def test_where_names_the_line_of_a_key_an_item_or_the_nearest_ancestor() -> None:
    first, second = load("a:\n  b: [1,\n    2]\n  c: x\n---\nd: 1\n")
    assert first.where("a") == "f.yaml:1"
    assert first.where("a", "b") == "f.yaml:2"
    assert first.where("a", "b", 1) == "f.yaml:3"
    assert first.where("a", "c") == "f.yaml:4"
    assert first.where("a", "no", "such") == "f.yaml:1"
    assert second.where("d") == "f.yaml:6"


def test_merge_keys_fill_what_is_not_written() -> None:
    text = "base: &base {x: 1, y: 2}\nmore: &more {y: 3, z: 4}\none: {<<: *base, y: 9}\ntwo: {<<: [*base, *more]}\n"
    for version in ("1.1", "1.2"):
        found = value(text, version)
        assert isinstance(found, dict)
        assert found["one"] == {"x": 1, "y": 9}
        assert found["two"] == {"x": 1, "y": 2, "z": 4}


def laughs(levels: int = 12) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, levels)]
    return "\n".join(lines)


def merges(levels: int = 20) -> str:
    lines = ["m0: &m0 {" + ", ".join(f"k{i}: 1" for i in range(1000)) + "}"]
    lines += [f"m{i}: &m{i} {{<<: [{', '.join([f'*m{i - 1}'] * 9)}], j{i}: 1}}" for i in range(1, levels)]
    return "\n".join(lines)


HOSTILE = {
    "billion laughs": (laughs(), r"f\.yaml:\d+: aliases and merges make the data too large"),
    "merge bomb": (merges(), r"f\.yaml:\d+: aliases and merges make the data too large"),
    "many aliases": ("a: &a 1\nb: [" + "*a, " * 300 + "]", r"f\.yaml:2: has more than 200 aliases"),
    "deep brackets": ("[" * 50_000, r"f\.yaml:1: is nested deeper than 50 levels"),
    "deep braces": ("{a: " * 50_000, r"f\.yaml:1: is nested deeper than 50 levels"),
    "deep dashes": ("- " * 50_000, r"f\.yaml:1: is nested deeper than 50 levels"),
    "deep blocks": ("".join(" " * i + "a:\n" for i in range(1000)), r"f\.yaml:\d+: is nested deeper than 50"),
    "5000-digit int": ("a: " + "9" * 5000, r"f\.yaml:1: a number of 5,000 characters is too long"),
    "1 MB hex": ("a: 1\nb: 0x" + "f" * 1_000_000, r"f\.yaml:2: a number of 1,000,002 characters"),
    "python object": ("a: !!python/object/apply:os.system [ls]", r"f\.yaml:1: the tag .* is not allowed"),
    "python name": ("a: !!python/name:os.system", r"f\.yaml:1: the tag .* is not allowed"),
    "binary": ("a: !!binary aGk=", r"f\.yaml:1: the tag .* is not allowed"),
    "set": ("a: !!set {x}", r"f\.yaml:1: the tag .* is not allowed"),
    "own tag": ("a: !include x.yaml", r"f\.yaml:1: the tag '!include' is not allowed"),
    "duplicate key": ("a: 1\nb: 2\na: 3", r"f\.yaml:3: the key 'a' stands twice, first in line 1"),
    "recursive anchor": ("a: &a [*a]", r"f\.yaml:1: \*a stands inside its own anchor"),
    "recursive merge": ("a: &a {<<: *a}", r"f\.yaml:1: \*a stands inside its own anchor"),
    "unknown alias": ("a: 1\nb: *x", r"f\.yaml:2: \*x has no anchor"),
    "NUL": ("a: 1\nb: \0", r"f\.yaml:2: the character U\+0000 is not allowed"),
    "escaped NUL": ('a: "\\0"', r"f\.yaml:1: a text with a NUL"),
    "half a surrogate": ('a: "\\ud800"', r"f\.yaml:1: a text with a NUL or half a surrogate"),
    "10 MB": ("a" * 10_000_000, r"f\.yaml: is larger than 1,048,576 bytes"),
    "infinity": ("a: .inf", r"f\.yaml:1: '\.inf' is not a finite number"),
    "not a number": ("a: [1, .nan]", r"f\.yaml:1: '\.nan' is not a finite number"),
    "not an int": ("a: !!int abc", r"f\.yaml:1: 'abc' is not an int"),
    "number as key": ("1: 2", r"f\.yaml:1: the key 1 is not text\. Quote it"),
    "list as key": ("[a]: 2", r"f\.yaml:1: the key .* is not text"),
    "null as key": ("a: 1\n~: 2", r"f\.yaml:2: the key None is not text"),
    "merge of a scalar": ("a: {<<: 3}", r"f\.yaml:1: << takes a mapping"),
    "syntax": ("a: 1\nb: c: d", r"f\.yaml:2: not valid YAML: mapping values are not allowed here"),
    "tab": ("a:\n\t- b", r"f\.yaml:2: not valid YAML"),
    "open quote": ('a: "b', r"f\.yaml:1: not valid YAML"),
    "not UTF-8": (b"a: 1\nb: \xff", r"f\.yaml:2: is not UTF-8 text"),
}


@pytest.mark.parametrize("version", ["1.1", "1.2"])
@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_refused_with_one_sentence_and_its_line(case: str, version: str) -> None:
    text, sentence = HOSTILE[case]
    with pytest.raises(InputError, match=sentence) as caught:
        load(text, version)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the peak of a process there")
def test_hostile_files_need_little_memory() -> None:
    program = (
        "import sys; sys.path[:0] = ['tests/unit', '.']\n"
        "from test_yamlfile import HOSTILE, load\n"
        "from exs.errors import InputError\n"
        "for text, _ in HOSTILE.values():\n"
        "    try: load(text)\n"
        "    except InputError: pass\n"
        "status = open('/proc/self/status').read()\n"
        "print(status.partition('VmHWM:')[2].split()[0])\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], check=True, cwd=root, capture_output=True, text=True)
    assert int(done.stdout) < 200 * 1024  # KiB, of which Python, pytest and the corpus take about 50,000


def test_a_bool_as_key_is_refused_where_it_is_one() -> None:
    assert value("on: 1") == {"on": 1}
    with pytest.raises(InputError, match=r"the key True is not text\. Quote it\."):
        load("on: 1", "1.1")


def test_an_alias_shares_data_within_its_budget() -> None:
    assert value("a: &a {x: [1, 2]}\nb: *a\nc: [*a, *a]") == {
        "a": {"x": [1, 2]},
        "b": {"x": [1, 2]},
        "c": [{"x": [1, 2]}, {"x": [1, 2]}],
    }


def test_anchors_end_with_their_document() -> None:
    with pytest.raises(InputError, match=r"f\.yaml:3: \*a has no anchor"):
        load("a: &a 1\n---\nb: *a")


def test_read_says_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        yamlfile.read(tmp_path / "none.yaml", LIMITS)
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        yamlfile.read(tmp_path, LIMITS)
    (tmp_path / "binary.yaml").write_bytes(b"a: 1\n\xff")
    with pytest.raises(InputError, match=r"binary\.yaml:2: is not UTF-8"):
        yamlfile.read(tmp_path / "binary.yaml", LIMITS)
    (tmp_path / "big.yaml").write_bytes(b"#" * (LIMITS.sweep_bytes + 1))
    with pytest.raises(InputError, match="is larger than"):
        yamlfile.read(tmp_path / "big.yaml", LIMITS)
    (tmp_path / "good.yaml").write_text("a: ä\n", encoding="utf-8")
    assert yamlfile.read(tmp_path / "good.yaml", LIMITS) == "a: ä\n"
