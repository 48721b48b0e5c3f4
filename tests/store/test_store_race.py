"""Real processes that claim from one queue."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

from store.actors import Lab

ROOT = Path(__file__).parents[2]
JOBS = 5000

CLAIMER = """
import sys
from exs.model import JobState, Offer, Outcome
from exs.settings import Settings
from exs.store.push import new_id
from exs.store.store import open_store

url, name = sys.argv[1:]
store, offer = open_store(url, Settings()), Offer(name, "node", "boot")
done = Outcome(JobState.DONE)
claim = store.claim(offer, new_id())
while claim is not None:
    print(claim.index)
    _, claim = store.finish_and_claim(claim.job, claim.attempt, done, offer, new_id())
"""


def test_eight_processes_claim_each_of_5000_jobs_once(lab: Lab, queue_url: str) -> None:
    lab.push(*range(JOBS))
    claimers = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIMER, queue_url, f"slot{i}"], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        for i in range(8)
    ]
    taken = Counter(int(line) for process in claimers for line in process.communicate(timeout=60)[0].split())
    assert [process.returncode for process in claimers] == [0] * 8
    assert sorted(taken) == list(range(JOBS))
    assert set(taken.values()) == {1}
    assert set(lab.states()) == {"DONE"}
    assert lab.store.audit() == []
