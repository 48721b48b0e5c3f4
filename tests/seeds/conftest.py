"""The same user at a shell as in the tests of the commands, on a machine without a GPU driver."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli.conftest import exs as shell
from cli.conftest import queue_url, store
from cli.lab import Exs

__all__ = ["queue_url", "shell", "store"]


@pytest.fixture
def exs(shell: Exs, tmp_path: Path, real_gpus: None) -> Exs:
    """A shell in an empty directory, where GPUs are pinned by index: the documents' GPU 3 need not exist."""
    hidden = tmp_path / "no-driver"
    hidden.mkdir()
    (hidden / "pynvml.py").write_text("raise ImportError('hidden by a test')\n")
    shell.env["PYTHONPATH"] = os.pathsep.join([str(hidden), shell.env["PYTHONPATH"]])
    shell.cwd = tmp_path / "project"
    shell.cwd.mkdir()
    return shell
