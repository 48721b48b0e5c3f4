"""exs experiment create, Determined's spelling of push; exs push --paused."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.lab import Exs
from exs.model import JobState
from exs.store.store import Store

CONFIG = """\
name: e
entrypoint: python3 model.py
hyperparameters: {lr: {type: categorical, vals: [0.1, 0.2]}}
searcher: {name: grid, metric: loss}
"""


@pytest.fixture
def project(exs: Exs) -> Path:
    """A configuration, and a context beside it."""
    exs.env["TMPDIR"] = str(exs.cwd)  # what a failed local test leaves goes with this test
    context = exs.cwd / "context"
    context.mkdir()
    (context / "model.py").write_text("import helper\nprint('value', helper.VALUE, flush=True)\n")
    (context / "helper.py").write_text("VALUE = 7\n")
    (exs.cwd / "e.yaml").write_text(CONFIG)
    return context


def test_a_configuration_with_its_context_is_queued_and_runs_from_a_copy(
    exs: Exs, store: Store, project: Path, tmp_path: Path
) -> None:
    out, _ = exs.both("experiment", "create", "e.yaml", "context")
    assert out.splitlines()[-1] == "Created experiment e"
    (project / "helper.py").write_text("VALUE = 8\n")
    exs.both("worker", "--cpus", "1", "--idle-exit", "0.2s")
    assert store.experiment("e").counts[JobState.DONE] == 2
    assert "value 7" in exs.both("logs", "e/0")[0]
    out, _ = exs.both("experiment", "create", "e.yaml", "context")
    assert "Created" not in out and "+0 new  =2 done" in out and "--name NAME makes another" in out
    assert "Created experiment f" in exs.both("experiment", "create", "e.yaml", "context", "--name", "f")[0]


def test_paused_it_waits_from_the_first_moment(exs: Exs, store: Store, project: Path) -> None:
    exs.both("experiment", "create", "e.yaml", "context", "--paused")
    row = store.experiment("e")
    assert row.paused and "pushed with --paused" in row.paused_by
    exs.both("worker", "--cpus", "1", "--idle-exit", "0.2s")
    assert store.experiment("e").counts[JobState.QUEUED] == 2
    (exs.cwd / "s.yaml").write_text("name: s\ncommand: 'true'\n")
    exs.both("push", "--paused", "s.yaml")
    exs.both("worker", "--cpus", "1", "--idle-exit", "0.2s")
    assert store.experiment("s").counts[JobState.QUEUED] == 1
    exs.both("activate", "s")
    exs.both("worker", "--cpus", "1", "--idle-exit", "0.2s")
    assert store.experiment("s").counts[JobState.DONE] == 1
    assert store.audit() == []


def test_a_local_test_needs_no_redis_and_runs_in_a_copy_of_the_context(exs: Exs, project: Path) -> None:
    exs.env["EXS_REDIS_URL"] = "redis://127.0.0.1:1"
    (project / "startup-hook.sh").write_text("echo hooked\n")
    out, _ = exs.both("experiment", "create", "e.yaml", "context", "--local", "--test-mode")
    assert "code: 3 files" in out and out.endswith("passed\n")
    (project / "helper.py").unlink()
    out, _ = exs.both("experiment", "create", "e.yaml", "context", "--local", "--test-mode", code=1)
    assert "  | hooked" in out and "No module named 'helper'" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--paused", "-f"), "exclude each other"),
        (("--local",), "--local and --test-mode go together"),
        (("--test-mode",), "--local and --test-mode go together"),
        (("nowhere",), "the context nowhere does not exist"),
        (("e.yaml",), "must be a directory, maybe use --include instead"),
    ],
)
def test_what_makes_no_sense_is_refused(
    exs: Exs, store: Store, project: Path, words: tuple[str, ...], said: str
) -> None:
    _, err = exs.both("experiment", "create", "e.yaml", *words, code=2)
    assert said in err
    assert store.experiments() == []
