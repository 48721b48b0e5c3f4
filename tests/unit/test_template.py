"""Which commands need a shell, which placeholders are refused, and what is said then."""

from __future__ import annotations

import contextlib
import json

import pytest

from exs.errors import InputError
from exs.model import Json
from exs.sweep.template import compile_command, placeholders

PARAMS: dict[str, list[Json]] = {"p": ["a b"], "lr": [0.1], "temp-temp": [1], "optimizer.lr": [1]}


def compiled(command: str | list[str], style: str = "exs") -> dict[str, Json]:
    result = compile_command(command, PARAMS, "f.yaml:7", style=style)
    assert json.loads(json.dumps(result)) == result
    return result


def refused(command: str | list[str], style: str = "exs") -> str:
    with pytest.raises(InputError) as caught:
        compile_command(command, PARAMS, "f.yaml:7", style=style)
    assert str(caught.value).startswith("f.yaml:7: ")
    return str(caught.value)


@pytest.mark.parametrize(
    "command",
    [
        "python train.py --lr {lr}",
        "python train.py '--x=a|b' \"c;d\" e\\ f",
        "python main.py optimizer.lr={optimizer.lr} [lr]",
        "echo a#b c~d e!f x=y",
        "python a.py \\\n  --lr {lr}",
        "python a.py {} {'temp-temp': {temp-temp}}",
        "python run.py eval --ckpt {p}",
        "true",
        "./train.sh",
    ],
)
def test_no_shell_where_none_is_needed(command: str) -> None:
    assert "argv" in compiled(command)


@pytest.mark.parametrize(
    "command",
    [
        "a | b",
        "a & b",
        "a; b",
        "a > b",
        "a < b",
        "(a)",
        "a $HOME",
        'a "$HOME"',
        'a "`b`"',
        "a `b`",
        "a ~/b",
        "a x=~/b",
        "a *",
        "a b?",
        "a [xy]*",
        "a {b,c}",
        "a {1..3}",
        "a\nb",
        "a # b",
        "X=1 a",
        "cd a",
        "source a",
        "export A={p}",
        "exit 3",
        "test -f a",
        "[ -f a ]",
        "if",
        "! a",
        "printf a",
        '"cd" a',
    ],
)
def test_bash_runs_what_only_a_shell_understands(command: str) -> None:
    assert "sh" in compiled(command)


@pytest.mark.parametrize(
    "command",
    [
        "bash train.sh -c {p}",
        "python main.py script -c {p}",
        "srun -n 4 python train.py watch {p}",
        "python a.py --layers '[{p},2]' \"data[{p}]=1\" ",
        "python a.py layers=[{p},2]",
        ["python", "data[{p}]=1", "[{p}]"],
        ["X[{p}]=1"],
    ],
)
def test_what_only_looks_like_code_is_let_through(command: str | list[str]) -> None:
    assert placeholders(compiled(command)) == {"p"}


def test_a_list_never_needs_a_shell() -> None:
    assert compiled(["cd", "a|b", "{p}x", "[lr]", "$HOME"]) == {
        "argv": [["cd"], ["a|b"], [{"value": "p"}, "x"], [{"option": "lr", "of": "lr"}], ["$HOME"]]
    }


@pytest.mark.parametrize(
    ("command", "inside"),
    [
        ("cat <<E\n{p}\nE", "a here-document"),
        ("cat <<-'E F'\n\t{p}\n\tE F\n", "a here-document"),
        ("cat <<A <<B\na\nA\n{p}\nB", "a here-document"),
        ("echo `a {p}`", "backticks"),
        ('echo "`a {p}`"', "backticks"),
        ("echo $((1+{p}))", "$(( ))"),
        ("((x={p}))", "(( ))"),
        ("echo $[{p}+1]", "$[ ]"),
        ("echo ${x:-{p}}", "${ }"),
        ('echo "${x:-{p}}"', "${ }"),
        ("echo $'{p}'", "$' '"),
        ("a # {p}", "a comment"),
        ("[[ {p} -eq 1 ]] && a", "[[ ]]"),
        ("a[{p}]=1; b", "the subscript of an array"),
        ("a['x'\"{p}\"]+=1; b", "the subscript of an array"),
        ("a=([{p}]=1); b", "the subscript of an array"),
        ("bash -c 'a {p}'", "`bash -c`"),
        ("bash --rcfile x {lr} -c 'a {p}'", "`bash -c`"),
        ("sudo -u me ssh host {p}", "`ssh`"),
        ('bash -c "a {p}"', "`bash -c`"),
        ("bash -euc {p}", "`bash -c`"),
        ("bash -e -o pipefail -c {p}", "`bash -c`"),
        ("/bin/sh -c {p}", "`/bin/sh -c`"),
        ("nohup env A=1 sh -lc 'a {p}' &", "`sh -c`"),
        ("docker run image sh -c 'a {p}'", "`sh -c`"),
        ("su user -c {p}", "`su -c`"),
        ("echo $(bash -c '{p}')", "`bash -c`"),
        ("bash $(a) -c '{p}'", "`bash -c`"),
        ("eval a {p}", "`eval`"),
        ("if a; then eval {p}; fi", "`eval`"),
        ("A=1 eval {p}", "`eval`"),
        ("builtin eval {p}", "`eval`"),
        ("if ((1)) then eval {p}; fi", "`eval`"),
        ("if [[ a ]] then eval {p}; fi", "`eval`"),
        ("f() { eval {p}; }; f", "`eval`"),
        ("case a in (a) eval {p};; esac", "`eval`"),
        ("cat <<E\nx\nE\neval {p}", "`eval`"),
        ("cat <<E\nx\nE\na[{p}]=1", "the subscript of an array"),
        ("a=([{p} {p}]=1)", "the subscript of an array"),
        ("a\\\n[{p}]=1", "or after a word that goes on in the next line"),
        ("echo $\\\n((1+{p}))", "or after a $ that goes on in the next line"),
        ("trap 'a {p}' EXIT", "`trap`"),
        ("declare -i x={p}", "`declare`"),
        ("printf -v {p} a", "`printf -v`"),
        ("ssh host a {p}", "`ssh`"),
        ("timeout -k 5 60 ssh host 'a {p}'", "`ssh`"),
        ("watch -n 1 a {p}", "`watch`"),
        (["bash", "-c", "a {p}"], "`bash -c`"),
        (["ssh", "host", "{p}"], "`ssh`"),
    ],
)
def test_a_place_where_a_value_could_become_code_is_refused(command: str | list[str], inside: str) -> None:
    assert f"{{p}} stands in {inside}, where its value could become code." in refused(command)


@pytest.mark.parametrize(
    "command",
    [
        "echo ${x:-'}'} {p}",  # a quoted } may or may not end ${ }
        "echo $(case a in a) b;; esac) '{p}'",
        "cat << $E\na\n$E\necho {p}",
        "echo ${x:-$(a)} {p}",
    ],
)
def test_after_what_cannot_be_followed_nothing_is_filled_in(command: str) -> None:
    assert "could become code" in refused(command)
    assert "sh" in compiled(command.replace("{p}", "p"))


@pytest.mark.parametrize(
    ("command", "filled"),
    [
        ("cat <<E\nx\nE\na {p}", 'cat <<E\nx\nE\na "${V}"'),
        ("cat <<< {p}", 'cat <<< "${V}"'),
        ("a ${x} ${x:-${y}} $# $$ {p}", 'a ${x} ${x:-${y}} $# $$ "${V}"'),
        ("a $((1<<2)) {p} # comment", 'a $((1<<2)) "${V}" # comment'),
        ("for ((i=0;i<3;i++)); do a {p}; done", 'for ((i=0;i<3;i++)); do a "${V}"; done'),
        ("[[ -f x ]] && a {p}", '[[ -f x ]] && a "${V}"'),
        ("case x in x) a {p};; esac", 'case x in x) a "${V}";; esac'),
        ("bash -c 'a \"$1\"' _ {p}", None),
        ("a $(b \"{p}\" '{p}')", "a $(b \"${V}\" ''\"${V}\"'')"),
        ("export A={p}; a", 'export A="${V}"; a'),
        ("a 'it'\\''s' {p} > {p}", "a 'it'\\''s' \"${V}\" > \"${V}\""),
        ("a ${p} '{p}'", "a ${p} ''\"${V}\"''"),
    ],
)
def test_what_is_near_such_a_place_is_not(command: str, filled: str | None) -> None:
    result = compiled(command)
    if filled is None:
        assert "argv" in result
    else:
        assert result == {"sh": filled.replace("V", "EXS_VALUE_p"), "vars": {"EXS_VALUE_p": {"value": "p"}}}


def test_a_variable_is_not_one_that_the_command_itself_uses() -> None:
    result = compiled("EXS_VALUE_p=1; a {p}")
    assert result == {"sh": 'EXS_VALUE_p=1; a "${EXS_VALUE_p_}"', "vars": {"EXS_VALUE_p_": {"value": "p"}}}


def test_names_that_differ_only_in_punctuation_have_variables_of_their_own() -> None:
    result = compile_command("a {x-y} {x.y}; b", {"x-y": [], "x.y": []}, "f:1")
    assert result["sh"] == 'a "${EXS_VALUE_x_y}" "${EXS_VALUE_x_y_}"; b'
    assert [source["value"] for source in result["vars"].values()] == ["x-y", "x.y"]


@pytest.mark.parametrize("command", ["a --x=[lr]", "a '[lr]'", 'a "x [lr]"', "a [lr]{p}", ["a", "x[lr]"]])
def test_an_option_is_two_words_and_no_part_of_one(command: str | list[str]) -> None:
    assert "[lr] stands for the words --lr VALUE and cannot be" in refused(command)


@pytest.mark.parametrize("style", ["exs", "runner"])
@pytest.mark.parametrize("command", ["a {lrr}", "a '{lrr}' | b", "a [lrr]", ["a", "{lrr}"]])
def test_a_name_that_nothing_fills_is_an_error(command: str | list[str], style: str) -> None:
    assert refused(command, style).endswith("no parameter of that name. Did you mean 'lr'?")


def test_an_unknown_name_shows_those_there_are_and_how_to_write_the_text() -> None:
    assert refused("awk '{print}'").endswith(
        "Parameters: p, lr, temp-temp, optimizer.lr, _name, _output, _datetime. Write \\{print} for the text itself."
    )
    assert compiled("echo \\{print}") == {"argv": [["echo"], ["{print}"]]}


def test_brackets_that_are_no_parameter_are_a_glob() -> None:
    assert compiled("ls [xy]z a[0]") == {"sh": "ls [xy]z a[0]", "vars": {}}


def test_determined_leaves_unknown_names_as_text() -> None:
    assert compiled("a {x} {lr}", "determined") == {"argv": [["a"], ["{x}"], [{"value": "lr"}]]}


def test_experiment_scheduler_writes_double_braces() -> None:
    assert compiled("a {{ lr }} {{p}} {x} [q]x", "experiment-scheduler")["sh"] == (
        'a "${EXS_VALUE_lr}" "${EXS_VALUE_p}" {x} [q]x'
    )
    assert "placeholder {{ lrr }}" in refused("a {{ lrr }}", "experiment-scheduler")


def test_runner_joins_the_lines_of_a_folded_command() -> None:
    assert compiled("python a.py\n  --lr {lr} \\\n  [p]\n", "runner") == {
        "argv": [["python"], ["a.py"], ["--lr"], [{"value": "lr"}], [{"option": "p", "of": "p"}]]
    }


def test_runner_replaces_only_the_inner_braces() -> None:
    result = compiled("a \"{'temp-temp': {temp-temp}}\"", "runner")
    assert result == {"argv": [["a"], ["{'temp-temp': ", {"value": "temp-temp"}, "}"]]}


def test_a_command_longer_than_linux_can_start_is_refused() -> None:
    assert "longer than 131,071 bytes" in refused("a " + "x" * 131_070)
    assert "longer than 131,071 bytes" in refused(["a", "x" * 131_072])
    compiled(["a", "x" * 131_071])


@pytest.mark.timeout(20)  # a tenth of a second each; quadratic work in one of them took a minute
@pytest.mark.parametrize(
    "text", [unit * 30_000 for unit in ("{", "a[", "( ", "$(", "{p}", "[p] ")] + [f"'{'{p}' * 30_000}'|a"]
)
def test_a_hostile_command_is_read_at_once(text: str) -> None:
    with contextlib.suppress(InputError):
        compile_command(text, PARAMS, "f.yaml:7")


@pytest.mark.parametrize("command", ["", " \n ", "a 'b", 'a "b', "a $(b", "(a"])
def test_an_empty_or_broken_command_is_an_error(command: str) -> None:
    assert refused(command).startswith("f.yaml:7: ")


@pytest.mark.parametrize("value", [None, "a\0b", "\ud800"])
def test_a_value_that_cannot_be_shown_is_found_before_anything_is_pushed(value: Json) -> None:
    with pytest.raises(InputError, match="f:1: parameter p "):
        compile_command("a {p}", {"p": [1, value]}, "f:1")
    assert compile_command("a", {"p": [value]}, "f:1") == {"argv": [["a"]]}


def test_the_names_that_a_command_shows() -> None:
    assert placeholders(compiled("a {p} [lr] {_output}")) == {"p", "lr", "_output"}
    assert placeholders(compiled("a {p} [lr] '{_output}' | b")) == {"p", "lr", "_output"}
