"""Values reach the command byte for byte, as single words, whatever they look like and wherever they stand (F47)."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exs.command import Rendered, render, text_of
from exs.errors import ExsError
from exs.model import Json
from exs.sweep.template import compile_command

HOSTILE = [
    "; touch HACKED",
    "$(touch HACKED)",
    "`touch HACKED`",
    "a\ntouch HACKED",
    "' ; touch HACKED ; '",
    '" ; touch HACKED ; "',
    "-rf",
    "| touch HACKED",
    "&& touch HACKED",
    "> HACKED",
    "${IFS}",
    "$HOME",
    "*",
    "~",
    "{a,b}",
    "a b  c",
    "",
    "\\",
    "\\'",
    "!!",
    "#",
    "=x",
    "'\"'\"'",
    "a[$(touch HACKED)]",
    "\udcff\udc80",  # bytes that are no UTF-8
    "ü\t\x01\x7f",
    '"${EXS_VALUE_p}"',
]
values = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
    st.text("'\"\\$`(){}[]*?~!#&|;<> \n\tab=", max_size=12),
)
SHELL = "printf '%s\\0' "
DIRECT = "/usr/bin/printf '%s\\0' "


def run(rendered: Rendered, cwd: Path) -> list[str]:
    """The words that the command printed."""
    done = subprocess.run(
        rendered.argv, env={**os.environ, **rendered.env}, cwd=cwd, capture_output=True, timeout=20, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]


def argv_of(command: str, cwd: Path, **params: Json) -> list[str]:
    compiled = compile_command(command, {name: [] for name in params}, "f:1")
    words = run(render(compiled, params, {}), cwd)
    assert list(cwd.iterdir()) == []
    return words


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("printf", [SHELL, DIRECT], ids=["shell", "direct"])
def test_hostile_values_arrive_as_they_are(value: str, printf: str, tmp_path: Path) -> None:
    words = argv_of(printf + """{p} x{p}y "a {p} b" 'c {p} d' [p]""", tmp_path, p=value)
    assert words == [value, f"x{value}y", f"a {value} b", f"c {value} d", "--p", value]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=values, second=values)
def test_any_values_arrive_as_they_are(first: str, second: str, tmp_path: Path) -> None:
    template = """{p} "{q}{p}" '{q}'{p}"$(printf '%sX' {q} "{p}")" --k={p}"""
    words = argv_of(SHELL + template, tmp_path, p=first, q=second)
    assert words == [first, second + first, f"{second}{first}{second}X{first}X", f"--k={first}"]


quoted = st.one_of(
    st.text("ab.-/=,:@%+", min_size=1, max_size=4).map(lambda text: (text, text)),
    st.text('ab $`"\\|;&}()*\n#', max_size=5).map(lambda text: (f"'{text}'", text)),
    st.text("ab '|;&()*\n#", max_size=5).map(lambda text: (f'"{text}"', text)),
    st.sampled_from([("\\ ", " "), ("\\'", "'"), ('\\"', '"'), ("\\{p}", "{p}"), ("$((1+1))", "2"), ("${X-1}", "1")]),
    st.sampled_from([("{p}", None), ('"{p}"', None), ("'{p}'", None), ('"$(printf %s. {p})"', ".")]),
)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=values, parts=st.lists(quoted, min_size=1, max_size=6))
def test_a_placeholder_fits_between_any_neighbours(
    value: str, parts: list[tuple[str, str | None]], tmp_path: Path
) -> None:
    if parts[0][0].startswith(("=", "~")):
        parts = [("x", "x"), *parts]
    written = "".join(source for source, _ in parts)
    expected = "".join(value if text is None else f"{value}." if "printf" in source else text for source, text in parts)
    for printf in (SHELL, DIRECT):
        assert argv_of(printf + written, tmp_path, p=value) == [expected]


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=values)
def test_the_typed_form_does_the_same_when_a_person_types_it(value: str, tmp_path: Path) -> None:
    template = """{p} "a {p}" 'b {p}' 'b'{p}'c' [p] [on] [off] "$(printf %s. '{p}')" """
    for printf in (SHELL, DIRECT):
        text = printf + (template if printf == SHELL else template.partition('"$(')[0])
        compiled = compile_command(text, {"p": [], "on": [], "off": []}, "f:1")
        rendered = render(compiled, {"p": value, "on": True, "off": False}, {})
        assert run(Rendered(["/bin/bash", "-c", rendered.typed]), tmp_path) == run(rendered, tmp_path)
        assert list(tmp_path.iterdir()) == []


@settings(deadline=None, max_examples=200)
@given(text=st.text("ab \\'\"{}=~#!,.-/[]:\n\t", max_size=12))
def test_words_are_split_as_bash_splits_them(text: str) -> None:
    try:
        compiled = compile_command(DIRECT + text, {}, "f:1", style="determined")
    except ExsError:
        return  # a quote that is not closed
    if "argv" not in compiled or len(compiled["argv"]) == 2:
        return
    bash = subprocess.run(["/bin/bash", "-c", DIRECT + text], capture_output=True, timeout=20, check=True)
    assert render(compiled, {}, {}).argv[2:] == bash.stdout.decode().split("\0")[:-1]


WRAPS = [
    *("{} {}", "{};{}", "{}\n{}", "{}|{}", "{}&&{}", "{}{}", "echo {}", "echo {} {}", "command {}", "! {}", "(({}))"),
    *('"{}"', "'{}'", "$'{}'", '$"{}"', "\\{}", "# {}\n", "$({})", '"$({})"', "`{}`", '"`{}`"', "$(({}))", "$[{}]"),
    *("${{x:-{}}}", '"${{x:-{}}}"', '${{x:-"{}"}}', "${{x[{}]}}", "({})", "{{ {};}}", "f() {{ {}; }};f", "<({})"),
    *("[[ {} ]]", "[[ {} -eq 1 ]]", "a[{}]=1", "a=({})", "a=([{}]=1)", "x={}", "export x={}", "[ {} -eq 1 ]"),
    *(
        "if {};then {};fi",
        "if (({})) then {};fi",
        "if [[ {} ]] then {};fi",
        "if ({}) then {};fi",
        "case a in (a) {};;esac",
        "cat <<E\nx\nE\neval {}",
        "function f {{ {};}};f",
        "while ! {};do {};break;done",
        "for x in {};do {};done",
        "for ((x={};x<1;x++));do {};done",
        "case {} in {}) {};;esac",
    ),
    *(
        "$(case a in a) echo {};;esac)",
        "cat <<E\n{}\nE\n{}",
        "cat <<'E'\n{}\nE\n{}",
        "cat <<<{}",
        "cat <<-E;{}\n{}\nE\n",
    ),
    *(
        "eval {}",
        "let x={}",
        "declare x={}",
        "declare -i x={}",
        "bash -c {}",
        "sh -ec {} {}",
        "test -v {}",
        "trap {} EXIT",
    ),
    *("printf -v {} x", "unset {}", "read {}", "command eval {}", "x=1 eval {}", "exec env bash -c {}", "time {}"),
]
nested = st.recursive(
    st.sampled_from(["{p}", "{p}", "x", "1", "'", '"', "\\", "{p}={p}"]),
    lambda inner: st.tuples(st.sampled_from(WRAPS), inner, inner, inner).map(lambda each: each[0].format(*each[1:])),
    max_leaves=8,
)
ATTACKS = ["$(touch HACKED)", "a[$(touch HACKED)]", "';touch HACKED;'", '"`touch HACKED`"', "x\nE\ntouch HACKED\n"]


@settings(deadline=None, max_examples=150)
@given(template=nested, attack=st.sampled_from(ATTACKS))
def test_whatever_the_template_no_value_runs_as_code(template: str, attack: str) -> None:
    try:
        compiled = compile_command(template, {"p": []}, "f:1")
    except ExsError:
        return
    rendered = render(compiled, {"p": attack}, {})
    with tempfile.TemporaryDirectory() as cwd:
        subprocess.run(
            rendered.argv if rendered.env else ["true"],
            env={**os.environ, **rendered.env},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=20,
            check=False,
        )
        assert "HACKED" not in os.listdir(cwd)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1e-5", "1e-5"),
        (1e-05, "1e-05"),
        (0.001, "0.001"),
        (3, "3"),
        (True, "True"),
        (False, "False"),
        ([1, "ä"], '[1,"ä"]'),
        ({"a": None}, '{"a":null}'),
    ],
)
def test_the_text_of_a_value(value: Json, text: str) -> None:
    assert text_of(value, "p") == text


@pytest.mark.parametrize("value", [None, "a\0b", ["\ud800"]])
@pytest.mark.parametrize("command", ["x {p}", "x {p} | y", "x [p]", "x [p]; y"])
def test_a_value_no_command_line_can_carry_is_an_error(value: Json, command: str) -> None:
    compiled = compile_command(command, {"p": []}, "f:1")
    with pytest.raises(ExsError, match="parameter p "):
        render(compiled, {"p": value}, {})


def test_a_job_without_the_value_is_an_error() -> None:
    compiled = compile_command("x {p}", {"p": []}, "f:1")
    with pytest.raises(ExsError, match=r"no value for \{p\}"):
        render(compiled, {}, {})


@pytest.mark.parametrize("printf", [SHELL, DIRECT], ids=["shell", "direct"])
def test_flags_appear_for_true_and_vanish_for_false(printf: str, tmp_path: Path) -> None:
    assert argv_of(printf + "a [f] b", tmp_path, f=True) == ["a", "--f", "b"]
    assert argv_of(printf + "a [f] b", tmp_path, f=False) == ["a", "b"]
    assert argv_of(printf + "a [f] b", tmp_path, f="") == ["a", "--f", "", "b"]


def test_a_flag_is_not_inherited_from_a_job_around_this_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = compile_command(SHELL + "a [f]", {"f": []}, "f:1")
    outer = render(compiled, {"f": "outer"}, {})
    for name, value in outer.env.items():
        monkeypatch.setenv(name, value)
    assert run(render(compiled, {"f": False}, {}), tmp_path) == ["a"]


def test_reserved_values_are_as_safe_as_parameters(tmp_path: Path) -> None:
    reserved = {"_output": "o' $(touch HACKED)", "_name": "n", "_datetime": "d"}
    compiled = compile_command(SHELL + "{_output}/tb {_name} '{_datetime}'", {}, "f:1")
    assert run(render(compiled, {"_output": "a parameter of that name"}, reserved), tmp_path) == [
        "o' $(touch HACKED)/tb",
        "n",
        "d",
    ]
    assert list(tmp_path.iterdir()) == []


def test_aliases_give_one_value_to_several_options(tmp_path: Path) -> None:
    for printf in (SHELL, DIRECT):
        compiled = compile_command(
            printf + "[both] [arch]",
            {"both": [], "arch": []},
            "f:1",
            aliases={"both": ["x", "y"], "arch": {"pre": {"norm": True, "dim": 8}, "1": {"norm": False, "k": "a b"}}},
        )
        pre = run(render(compiled, {"both": 3, "arch": "pre"}, {}), tmp_path)
        assert pre == ["--x", "3", "--y", "3", "--norm", "--dim", "8"]
        assert run(render(compiled, {"both": 3, "arch": 1}, {}), tmp_path)[4:] == ["--k", "a b"]
