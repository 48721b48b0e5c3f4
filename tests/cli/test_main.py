"""What every command shares: help, errors, exit codes."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cli.lab import ROOT, Exs, Lab
from exs.cli.main import VERBS


@pytest.fixture
def alone(tmp_path: Path) -> Exs:
    """A user whose Redis is not there."""
    return Exs("redis://:hunter2@127.0.0.1:1/0", tmp_path)


def test_help_names_every_verb_and_imports_none(alone: Exs) -> None:
    text = alone("--help")
    for verbs in VERBS.values():
        for name, (_, line) in verbs.items():
            assert re.search(rf"^  {name} +{re.escape(line)}$", text, re.M), name
    code = "import sys; from exs.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += "print(sorted({m.split('.')[0] for m in sys.modules} & {'redis','rich','yaml','rq','json','asyncio'}))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True).stdout
    assert out.splitlines()[-1] == "[]"


def test_the_help_of_every_verb_can_be_shown_without_redis(alone: Exs) -> None:
    for verbs in VERBS.values():
        for name, (module, _) in verbs.items():
            if (ROOT / "exs" / "cli" / f"{module}.py").exists():
                assert alone(name, "--help").startswith(f"Usage: exs {name}")


def test_help_is_what_help_says_and_what_a_group_alone_says(alone: Exs) -> None:
    assert alone("help") == alone("--help") and alone("help", "worker", "stop") == alone("worker", "stop", "--help")
    assert "There is no command 'lst'" in alone.both("help", "lst", code=2)[1]
    assert alone.both("server", code=2) == ("", alone("server", "--help"))


def test_an_unknown_command_or_option_is_bad_usage_with_a_hint(alone: Exs) -> None:
    assert alone.both("lst", code=2)[1].startswith("exs: There is no command 'lst'. Did you mean 'list'?")
    assert "Try: exs list --help" in alone.both("list", "--tabel", "x", code=2)[1]
    assert alone("--version").startswith("exs ")


@pytest.mark.parametrize("words", [(), ("list",), ("workers",), ("show", "x"), ("wait", "x"), ("rm", "-y", "x")])
def test_redis_that_is_not_there_is_exit_code_3_without_the_password(alone: Exs, words: tuple[str, ...]) -> None:
    out, err = alone.both(*words, code=3)
    assert out == ""
    assert "127.0.0.1:1" in err and "hunter2" not in err


def test_redis_that_never_answers_is_exit_code_3(exs: Exs) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        exs.env["EXS_REDIS_URL"] = f"redis://:hunter2@127.0.0.1:{silent.getsockname()[1]}"
        exs.env["EXS_SOCKET_TIMEOUT"] = "0.5"
        _, err = exs.both("list", code=3)
    assert "does not answer" in err and "hunter2" not in err


def test_a_bad_setting_is_bad_input(exs: Exs) -> None:
    exs.env["EXS_LEASE"] = "soon"
    assert exs.both("list", code=2)[1] == "exs: EXS_LEASE='soon' is not a number.\n"


def test_hostile_words_come_back_escaped(exs: Exs, lab: Lab) -> None:
    _, err = exs.both("show", "\x1b[2J\x07", code=2)
    assert "\x1b" not in err and "\\x1b" in err


def test_an_error_of_ours_is_one_sentence_unless_the_traceback_is_wanted(exs: Exs, lab: Lab) -> None:
    _, err = exs.both("show", "nothing", code=2)
    assert len(err.splitlines()) == 2
    exs.env["EXS_DEBUG"] = "1"
    process = exs.start("show", "nothing")
    assert b"Traceback" in process.communicate(timeout=30)[1]
    del exs.env["EXS_DEBUG"]
    process = exs.start("-vv", "show", "nothing")
    assert b"Traceback" in process.communicate(timeout=30)[1]


def test_a_locale_without_our_characters_is_no_error(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=2)
    exs.env |= {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    assert "\\xb7" in exs("show", "resnet")


def test_ctrl_c_is_exit_code_130(exs: Exs, lab: Lab) -> None:
    lab.push(jobs=1)
    process = exs.start("logs", "-f", "resnet/0")
    assert process.stderr is not None
    process.stderr.readline()
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30)[1] == b"\n"
    assert process.returncode == 130


def test_output_that_cannot_be_written_is_one_sentence(exs: Exs) -> None:
    for verb in ("--version", "list"):
        with Path("/dev/full").open("wb") as full:
            process = exs.start(verb, stdout=full)
            _, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (74, b"exs: the output cannot be written: No space left on device.\n")


def test_closed_streams_are_no_error(exs: Exs) -> None:
    for words in ("--version", "list", "list -t nobody"):
        done = subprocess.run(
            ["sh", "-c", f'exec "$0" -m exs {words} >&- 2>&-', sys.executable], cwd=exs.cwd, env=exs.env, timeout=60
        )
        assert done.returncode == (2 if "nobody" in words else 0)


@pytest.mark.parametrize(
    ("words", "pair"),
    [
        (("list", "--json", "-q"), "--json and -q"),
        (("list", "-t", "x", "--csv", "--json"), "--json and --csv"),
        (("workers", "-q", "--csv"), "-q and --csv"),
        (("show", "x", "-q", "--json"), "--json and -q"),
        (("wait", "x", "-q", "--json"), "--json and -q"),
        (("cancel", "x", "-q", "--json"), "--json and -q"),
        (("retry", "x", "-q", "--json"), "--json and -q"),
        (("push", "x.yaml", "-q", "--json"), "--json and -q"),
    ],
)
def test_two_forms_of_output_are_refused(alone: Exs, words: tuple[str, ...], pair: str) -> None:
    out, err = alone.both(*words, code=2)
    assert out == "" and err.startswith(f"exs: {pair} are two forms of output: give one of them.\n")
