"""One storm from its first job to the verdict."""

from __future__ import annotations

from harness.fleet import Fleet
from storm.oracles import violations
from storm.trouble import Storm


def storm(fleet: Fleet, seed: int, seconds: float, jobs: int) -> list[str]:
    """Trouble for so many seconds, about `jobs` jobs, then quiet; returns the history.

    Raises AssertionError with the seed and the history if something does not hold.
    """
    rng = Storm(fleet, seed)
    try:
        # Longer than it takes until a silent node's jobs are lost, and few at a time, so that another slot is free to
        # run one while the silent node still does (I4).
        long = max(3, jobs // 10)
        fleet.push("alone", "pause", 4, "sign", name="long", jobs=long, retries=10_000, gpus=None, max_running=2)
        fleet.push("alone", "daemons", "pause", 0.3, "sign", jobs=jobs, retries=10_000, gpus=None)
        fleet.push("exit", 3, name="fails", jobs=max(2, jobs // 10), retries=1, breaker=False)
        slow = max(2, jobs // 20)
        fleet.push("stubborn", "pause", 60, name="slow", jobs=slow, timeout=0.2, grace=0.2, breaker=False)
        rng.start()
        rng.rage(seconds)
        rng.calm()
        for row in fleet.store.experiments():
            fleet.wait_all(row.name, 60 + seconds)
        spools = [site.node.home for site in rng.sites]
        fleet.wait(lambda: not fleet.witness.living(), "the end of all processes", 20)
        fleet.wait(lambda: not [path for home in spools for path in home.rglob("*.outcome.json")], "empty spools")
        found = list(violations(rng))
        assert found == [], "\n".join(found)
    except Exception as error:
        history = "\n".join(rng.history)
        raise AssertionError(f"storm of seed {seed}: {error}\n--- history\n{history}") from error
    return rng.history
