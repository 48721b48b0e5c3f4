"""The machine of Redis loses power: the last second of its append-only file is gone, and the slots still know it."""

from __future__ import annotations

import shutil
from pathlib import Path

from exs.model import JobState
from harness.fleet import Fleet

S = JobState


class Disk:
    """What the server has on its disk at one moment; `lose` makes it all that it has."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._copy = fleet.root / "disk"
        shutil.copytree(fleet.server.directory, self._copy)

    def lose(self) -> None:
        """Power goes, and comes back."""
        where: Path = self._fleet.server.directory
        self._fleet.server.kill()
        shutil.rmtree(where)
        self._copy.rename(where)
        self._fleet.server.start()


def test_an_outcome_that_redis_forgot_is_told_again(fleet: Fleet) -> None:
    """A job of days was done, and seconds later Redis says that it runs: it does not run twice."""
    fleet.node("a")
    go = fleet.root / "go"
    (job,) = fleet.push("until", go)
    fleet.wait_running(job)
    disk = Disk(fleet)
    go.touch()
    fleet.wait_state(job, S.DONE)
    disk.lose()
    row = fleet.wait_state(job, S.DONE)
    assert (row.attempts, row.lost) == (1, 0)
    assert fleet.witness.runs() == {job: 1}
    fleet.check()


def test_a_claim_that_redis_forgot_with_the_outcome_before_it_is_ended(fleet: Fleet) -> None:
    """The slot went on with the next job, which Redis believes to be queued."""
    fleet.node("a", EXS_RENEW="20", EXS_LEASE="60", EXS_IDLE_POLL="0.2")
    first_go, second_go = fleet.root / "go", fleet.root / "go-on"
    (first,) = fleet.push("until", first_go, name="first")
    (second,) = fleet.push("until", second_go, name="second")
    fleet.wait_running(first)
    disk = Disk(fleet)
    first_go.touch()
    fleet.wait_running(second)
    disk.lose()
    second_go.touch()
    assert fleet.wait_state(first, S.DONE).attempts == 1
    fleet.wait_state(second, S.DONE)
    assert fleet.witness.runs()[first] == 1
    fleet.check()
