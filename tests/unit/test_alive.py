"""A run that was killed does not run, whatever its last word was."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exs.alive import status_of
from exs.process import boot_id, start_of

#: Takes the lock, and says so.
HOLDER = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
input()
"""


@pytest.fixture
def lock(tmp_path: Path) -> str:
    return str(tmp_path / "lock")


@pytest.fixture
def run(lock: str) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "-c", HOLDER, lock]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
        process.kill()


def info(run: subprocess.Popen[str], **mark: Any) -> dict[str, Any]:
    about = {"boot": boot_id(), "started": start_of(run.pid), "locked": True, **mark}
    return {"status": "RUNNING", "process_id": run.pid, "exs": about}


@pytest.mark.parametrize("mark", [{}, {"boot": "another machine"}], ids=["here", "elsewhere"])
def test_a_run_ends_with_its_process(run: subprocess.Popen[str], lock: str, mark: dict[str, str]) -> None:
    said = info(run, **mark)
    assert status_of(said, lock) == "RUNNING"
    run.kill()
    run.wait(20)
    assert status_of(said, lock) == "FAILED"


def test_another_process_of_its_number_is_not_the_run(run: subprocess.Popen[str], lock: str) -> None:
    assert status_of(info(run, started=start_of(run.pid) + 1), lock) == "FAILED"


def test_what_cannot_be_told_stands(run: subprocess.Popen[str], lock: str) -> None:
    elsewhere = info(run, boot="another machine", locked=False)
    run.kill()
    run.wait(20)
    assert status_of(elsewhere, lock) == "RUNNING", "its file system had no locks"
    assert status_of(info(run, boot="another machine"), f"{lock}.copied.without") == "RUNNING"
    assert status_of({"status": "RUNNING", "process_id": run.pid}, lock) == "RUNNING", "MLXP's own"
    assert status_of({**info(run), "status": "COMPLETE"}, lock) == "COMPLETE"
