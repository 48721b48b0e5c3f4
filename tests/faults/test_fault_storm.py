"""F55, the short form of `python -m tests.storm`: three nodes, random faults by seed, then quiet, then the verdict."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SEED = os.environ.get("EXS_STORM_SEED", "1")


@pytest.mark.fault(55)
@pytest.mark.timeout(300)
def test_f55_a_storm() -> None:
    words = [sys.executable, "-m", "tests.storm", "--seed", SEED, "--minutes", "0.2"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"storm of seed {SEED}: " in done.stdout and "nothing lost" in done.stdout
