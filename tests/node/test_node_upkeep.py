"""What slots do for the whole queue, and what they say when Redis does not let them."""

from __future__ import annotations

from exs.store import keys
from harness.fleet import Fleet


def test_a_slot_that_cannot_look_for_lost_jobs_says_so_once(fleet: Fleet) -> None:
    """No claim runs into that key: nobody else would tell that what is lost stays lost."""
    client = fleet.server.client()
    node = fleet.node("a")
    client.delete(keys.STAGES)
    client.sadd(keys.STAGES, "x")
    node.wait_for("cannot look for lost jobs: Redis at")
    node.wait_for("exs doctor names the key and what to type.")
    reaped = client.hget(keys.PULSE, "at")
    fleet.wait(lambda: client.hget(keys.PULSE, "at") != reaped, "another look")
    assert node.text().count("cannot look") == 1
    client.delete(keys.STAGES)
    client.zadd(keys.STAGES, {"nobody": 1})
    fleet.wait(lambda: not client.exists(keys.STAGES), "the end of a push that was broken off: it can look again")
    client.sadd(keys.STAGES, "x")
    fleet.wait(lambda: node.text().count("cannot look") == 2, "the next time that it cannot")
