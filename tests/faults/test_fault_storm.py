"""F55: three nodes, random faults by seed, then quiet; what must hold after any history holds.

A longer one, of any seed: `python -m tests.storm --seed 7 --minutes 10`.
"""

from __future__ import annotations

import os

import pytest

from harness.fleet import Fleet
from storm.run import storm


@pytest.mark.fault(55)
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [int(os.environ.get("EXS_STORM_SEED", "1"))])
def test_f55_a_storm(fleet: Fleet, seed: int) -> None:
    storm(fleet, seed, seconds=12, jobs=60)
