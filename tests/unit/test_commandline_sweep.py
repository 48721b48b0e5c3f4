"""`exs push -- python main.py lr=10.,1. seed=1,2`: the words, their values, and the command of each job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exs.command import render
from exs.errors import InputError
from exs.settings import Limits
from exs.sweep import words as typed_words
from exs.sweep.commandline import from_words
from exs.sweep.model import Options, Sweep

CWD = Path("/work/my project")


def sweep_of(*words: str, **options: Any) -> Sweep:
    return from_words(words, Options(**options), Limits(), CWD)


def commands(sweep: Sweep) -> list[list[str]]:
    return [render(sweep.spec.commands["run"], job.params, {}).argv for job in sweep.jobs()]


def values(word: str) -> list[Any]:
    name = word.lstrip("+").partition("=")[0]
    return [job.params[name] for job in sweep_of("python", "main.py", word).jobs()]


def test_the_last_key_is_the_fastest_and_the_command_is_as_typed() -> None:
    sweep = sweep_of("python", "main.py", "optimizer.lr=10.,1.", "seed=1,2")
    assert commands(sweep) == [
        ["python", "main.py", "optimizer.lr=10.", "seed=1"],
        ["python", "main.py", "optimizer.lr=10.", "seed=2"],
        ["python", "main.py", "optimizer.lr=1.", "seed=1"],
        ["python", "main.py", "optimizer.lr=1.", "seed=2"],
    ]
    found = [(job.params["optimizer.lr"], job.params["seed"]) for job in sweep.jobs()]
    assert found == [(10.0, 1), (10.0, 2), (1.0, 1), (1.0, 2)]
    assert sweep.count == 4
    assert next(sweep.jobs()).name == "Optimizer.Lr_10-Seed_1"


@pytest.mark.parametrize(
    ("word", "found", "typed"),
    [
        ("a=1", [1], ["a=1"]),
        ("a=1e-3,x", [0.001, "x"], ["a=1e-3", "a=x"]),
        ("a=true,no", [True, "no"], ["a=true", "a=no"]),
        ("a=range(1,4)", [1, 2, 3], ["a=1", "a=2", "a=3"]),
        ("a=range(3)", [0, 1, 2], ["a=0", "a=1", "a=2"]),
        ("a=range(0,1,0.5)", [0.0, 0.5], ["a=0.0", "a=0.5"]),
        ("a=choice(7,8)", [7, 8], ["a=7", "a=8"]),
        ("+a=[1,2]", [[1, 2]], ["+a=[1,2]"]),
        ("+a=[1,2],[3,4]", [[1, 2], [3, 4]], ["+a=[1,2]", "+a=[3,4]"]),
        ("a={k: [1,2]}", [{"k": [1, 2]}], ["a={k: [1,2]}"]),
        ("a='b,c',d", ["b,c", "d"], ["a='b,c'", "a=d"]),
        ("a='1',1", ["1", 1], ["a='1'", "a=1"]),
        ('a="b,\\"c",d', ['b,"c', "d"], ['a="b,\\"c"', "a=d"]),
        ("a=don't,do", ["don't", "do"], ["a=don't", "a=do"]),
        ("a=", [""], ["a="]),
        ("a=1,,2", [1, "", 2], ["a=1", "a=", "a=2"]),
        ("a=null,~", [None], ["a=null"]),
        ("a=b=c", ["b=c"], ["a=b=c"]),
        ("a=1 , 2", [1, 2], ["a=1", "a=2"]),
        ("a=f(1,2),3", ["f(1,2)", 3], ["a=f(1,2)", "a=3"]),
        ("a=${x},${y}", ["${x}", "${y}"], ["a=${x}", "a=${y}"]),
        ("a=smile:(", ["smile:("], ["a=smile:("]),
        ("a=007", [7], ["a=007"]),
        ("++a.b=1,2", [1, 2], ["++a.b=1", "++a.b=2"]),
        ("a=2024-01-01", ["2024-01-01"], ["a=2024-01-01"]),
        ("a=; rm -rf /,$(id)", ["; rm -rf /", "$(id)"], ["a=; rm -rf /", "a=$(id)"]),
        ("a=1.0,1.", [1.0], ["a=1.0"]),
    ],
)
def test_a_word_means_its_values_and_reaches_the_program_as_typed(
    word: str, found: list[Any], typed: list[str]
) -> None:
    assert values(word) == found
    assert [type(value) for value in values(word)] == [type(value) for value in found]
    assert [command[2] for command in commands(sweep_of("python", "main.py", word))] == typed


@pytest.mark.parametrize(
    "word", ["--lr=1,2", "-x", "{lr}", "[lr]", "~a=1,2", "a,b", "=1,2", "1a=2,3", "", "--fmt={a}", "./x=1,2", "a b=1,2"]
)
def test_other_words_stay_as_they_are(word: str) -> None:
    assert commands(sweep_of("python", "main.py", word)) == [["python", "main.py", word]]


def test_code_after_c_is_no_parameter() -> None:
    sweep = sweep_of("python", "-c", "x=1,2", "a=1,2")
    assert commands(sweep) == [["python", "-c", "x=1,2", "a=1"], ["python", "-c", "x=1,2", "a=2"]]


def test_spelling_is_no_parameter() -> None:
    for job in sweep_of("python", "main.py", "a=10.,007", "b=1e3").jobs():
        assert list(job.params) == ["a", "b"]


def test_spelling_is_no_part_of_a_point() -> None:
    def points(word: str) -> set[str]:
        return {job.point for job in sweep_of("python", "main.py", word).jobs()}

    assert points("a=10.") == points("a=10.0") == points("a=1e1")
    assert points("a=10.") < points("a=10.0,3")
    assert points("a=10").isdisjoint(points("a=10."))


def test_the_sweep_is_called_after_directory_and_script() -> None:
    assert sweep_of("python", "-u", "train/main.py", "a=1").name == "my-project-main"
    assert sweep_of("./job").name == "my-project-job"
    assert sweep_of("python", "x.py", name="n").name == "n"
    one, two = sweep_of("python", "x.py", "a=1"), sweep_of("python", "x.py", "a=1,2")
    assert one.source == two.source == "/work/my project: python x.py a="


def test_options_reach_the_sweep() -> None:
    sweep = sweep_of("x", "a=range(100)", sample=7, seed=3, output="o", job_dirs=False)
    assert sweep.count == 7 == len(list(sweep.jobs()))
    assert (sweep.spec.output, sweep.spec.job_dirs, sweep.spec.cwd) == ("o", False, str(CWD))
    assert [job.point for job in sweep.jobs()] == [
        job.point for job in sweep_of("x", "a=range(100)", sample=7, seed=3).jobs()
    ]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "there is no command after --"),
        ([""], "there is no command after --"),
        (["A=1", "python"], r"'A=1' is no program; only a shell reads it\. Write: env A=1"),
        (["x", "a=1", "a=2"], "the parameter 'a' is given twice"),
        (["x", "a=[1,2"], r"the word 'a=\[1,2': '\]' is missing"),
        (["x", "a=[1"], r"^the word 'a=\[1': not valid YAML: .* Quote the value if it is plain text\.$"),
        (["x", "a='b,c"], "a quote is not closed"),
        (["x", "a=interval(0,1)"], r"interval\(\.\.\.\) is not known"),
        (["x", "a=range(0,5),7"], r"range\(\.\.\.\) and choice\(\.\.\.\) stand alone"),
        (["x", "a=range(a,b)"], "range takes"),
        (["x", "a=range(5,0)"], "is empty"),
        (["x", "a=range(0,100000000000)"], "the range has 100,000,000,000 values"),
        (["x", "a=range(1000)", "b=range(1000)", "c=range(2)"], "the command line: has 2,000,000 jobs"),
        (["x", "a=.nan,1"], "is not a finite number"),
        (["x", "a=" + "9" * 5000], "a number of 5,000 characters is too long"),
        (["x", "a=" + "[" * 60], "is nested deeper than 50"),
        (["x", "a=!!python/name:os,1"], None),
        (["x", "a=[!!python/name:os.system x]"], "is not allowed"),
        (["x", "a=\0"], "holds a NUL"),
        (["x", "a=\udc80"], "is not valid UTF-8"),
        (["x", "a=" + "y" * 2_000_000], "the command is longer than"),
        (["x", "a=" + "y" * 100_000], "bytes of parameters, more than the limit"),
        (["x", "a=[]x,]"], "not valid YAML"),
    ],
)
def test_bad_words_get_one_sentence(words: list[str], sentence: str | None) -> None:
    if sentence is None:
        assert commands(sweep_of(*words))
        return
    with pytest.raises(InputError, match=sentence) as caught:
        sweep_of(*words)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"title": "t"}, "has no titles"),
        ({"commands": ("train",)}, "there is no command 'train'"),
        ({"overrides": ("a=1",)}, "-o key=value changes a sweep file"),
        ({"name": "push"}, "--name: 'push' is a command of exs"),
        ({"sample": 0}, "--sample must be from 1"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        sweep_of("python", "x.py", **options)


@given(st.text(max_size=20).filter(lambda text: "\0" not in text))
def test_any_word_is_taken_or_refused_with_a_sentence(text: str) -> None:
    try:
        found = commands(sweep_of("python", "main.py", f"a={text}"))
    except InputError as error:
        assert "\n" not in str(error)
        return
    assert all(command[2].startswith("a=") for command in found)
    if len(found) == 1 and "," not in text and "(" not in text:
        assert found == [["python", "main.py", f"a={text}"]]


@given(st.lists(st.text(alphabet="abc123.[]{}() ", min_size=1, max_size=5), min_size=1, max_size=5))
def test_elements_that_are_quoted_come_back(parts: list[str]) -> None:
    text = ",".join(f"'{part}'" for part in parts)
    assert [typed_words.value(each, "w", Limits()) for each in typed_words.elements(text, "w")] == parts
