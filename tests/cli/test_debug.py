"""exs run -d: the first job alone, its output on the screen, nothing recorded as done."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from cli.lab import Exs, wait_for
from exs.store.store import Store
from exs_worker import proctree


@pytest.fixture
def alone(exs: Exs) -> Exs:
    """No Redis: debugging needs none."""
    exs.env["EXS_REDIS_URL"] = "redis://127.0.0.1:1"
    return exs


def write(exs: Exs, **commands: str) -> None:
    lines = "".join(f"  {name}: {json.dumps(text)}\n" for name, text in commands.items())
    (exs.cwd / "s.yaml").write_text(f"name: dbg\ncommands:\n{lines}params: {{x: [1, 2]}}\n")


def debug(exs: Exs, code: int = 0) -> tuple[str, str]:
    return exs.both("run", "-d", "--cpus", "1", "s.yaml", code=code)


def test_every_command_is_shown_byte_for_byte_and_in_order(alone: Exs) -> None:
    write(alone, a="printf 'a%s\\r\\n\\033[1m' {x}", b="echo b >&2", c="true", d="printf 'd, unended'")
    out, err = debug(alone)
    assert out == "a1\r\n\x1b[1mb\nd, unended"
    assert "X_1: DONE after" in err and "log  " in err
    (log,) = alone.cwd.glob("output/X_1/log.d.*")
    assert str(log) in err
    assert [path.name for path in alone.cwd.glob("output/*")] == ["X_1"]


def test_a_failure_is_code_1_and_stops_the_chain(alone: Exs) -> None:
    write(alone, a="echo {x}; exit 3", b="echo never")
    out, err = debug(alone, code=1)
    assert out == "1\n" and "X_1: CRASHED after" in err and "exit code 3" in err


@pytest.mark.parametrize("before", [None, b'{"a": {"code": 0, "gpu": ""}, "old": {"code": 1}}', b"not JSON at all"])
def test_stat_json_is_left_as_it_was(alone: Exs, before: bytes | None) -> None:
    write(alone, a="echo {x}")
    stat = alone.cwd / "output" / "X_1" / "stat.json"
    stat.parent.mkdir(parents=True)
    if before is not None:
        stat.write_bytes(before)
    debug(alone)
    assert (stat.read_bytes() if stat.exists() else None) == before


def test_what_was_debugged_runs_nevertheless(exs: Exs, store: Store) -> None:
    write(exs, a="echo {x}")
    debug(exs)
    assert store.experiments() == []
    assert "2 done" in exs("run", "--cpus", "1", "s.yaml")
    assert len(list(exs.cwd.glob("output/X_1/log.a.*"))) == 2
    assert len(list(exs.cwd.glob("output/*"))) == 2, "the run finds the directory that was debugged in"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_ends_it(alone: Exs, how: signal.Signals) -> None:
    write(alone, a="echo begun; sleep 1000 & echo $! > begun; wait")
    process = alone.start("run", "-d", "--cpus", "1", "s.yaml")
    begun = alone.cwd / "begun"
    wait_for(lambda: begun.exists() and begun.read_text(), "the job")
    process.send_signal(how)
    out, err = process.communicate(timeout=30)
    assert proctree.read(int(begun.read_text())) is None
    assert process.returncode == 130
    assert out == b"begun\n" and b"CANCELED" in err


def test_a_directory_that_cannot_be_made_is_one_sentence(alone: Exs) -> None:
    write(alone, a="echo {x}")
    (alone.cwd / "output").write_text("a file")
    out, err = debug(alone, code=1)
    assert out == "" and "CRASHED" in err and "output" in err


def test_a_program_that_is_not_there_is_one_sentence(alone: Exs, tmp_path: Path) -> None:
    write(alone, a="./nothere {x}")
    _, err = debug(alone, code=1)
    assert "nothere" in err and len(err.splitlines()) <= 2


def test_a_reader_that_has_gone_leaves_stat_json_as_it_was(alone: Exs) -> None:
    """`exs run -d | head`: the job ends, and does not count as done."""
    write(alone, a="seq 100000; touch ended")
    process = alone.start("run", "-d", "--cpus", "1", "s.yaml")
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    said = process.stderr.read().decode()
    process.wait(30)
    assert "Traceback" not in said
    assert (alone.cwd / "ended").exists()
    assert not (alone.cwd / "output" / "X_1" / "stat.json").exists()
