"""exs why beside a worker that works: it waits for the job that runs, and says when that is likely to be over."""

from __future__ import annotations

import re

from exs.model import JobState
from harness.fleet import Fleet


def test_a_waiting_job_waits_for_the_one_that_runs(fleet: Fleet) -> None:
    fleet.node("a")
    first, second, third = fleet.push("until", fleet.root / "go", jobs=3)
    fleet.wait_running(first)
    out = fleet.exs("why", "work/2")
    assert "every slot that can run it has a job" in out and "1 job of its own experiment before it" in out
    assert re.search(r"a:cpu0  busy for \S+ \(work/0\)", out)
    assert "does not wait: runs on a for" in fleet.exs("why", first)
    fleet.exs("drain", "a", "--why", "dust")
    assert re.search(r"a:cpu0  drained by \S+ .*: dust", fleet.exs("why", "work"))
    assert "drained" in fleet.exs("list")
    fleet.exs("enable", "a")
    (fleet.root / "go").touch()
    for job in (second, third):
        fleet.wait_state(job, JobState.DONE)
    assert fleet.exs("why", "work").startswith("no job of work waits: 3 done")
    fleet.check()
