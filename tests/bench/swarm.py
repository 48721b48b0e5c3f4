"""Simulated slots: each a thread with a connection of its own that asks the Store what a slot asks, with no jobs run.

    python -m tests.bench.swarm URL FIRST COUNT SECONDS JOB     prints JSON

JOB: seconds that a job lasts on average, 0 for as fast as it goes, below 0 for slots that find nothing. A slot that
has a job renews its lease at the interval of the settings; one that has none waits for a token and asks again, and
reaps, as exs_worker.slot does. Half the time is for settling; claims are timed in the other half.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time

from exs.model import Claim, Offer
from exs.settings import Settings
from exs.store.push import new_id
from exs.store.store import Store, open_store
from tests.bench.claiming import DONE


class Simulated(threading.Thread):
    """One slot."""

    def __init__(self, url: str, number: int, job: float, over: float) -> None:
        super().__init__(daemon=True)
        self._store: Store = open_store(url, Settings(redis_url=url))
        self._timing = self._store.settings.timing
        self._offer = Offer(f"node{number // 8}:gpu{number % 8}@{number:04x}", f"node{number // 8}", "boot")
        self._job = job
        self._over = over
        self._reap_at = 0.0
        self.claims: list[tuple[float, float]] = []  # when, milliseconds
        self.error = ""

    def run(self) -> None:
        """Until the time is over."""
        try:
            if self._job != 0:  # slots of a fleet were not all started at once
                time.sleep(random.uniform(0, min(self._timing.renew, (self._over - time.monotonic()) / 4)))
            held = self._store.claim(self._offer, new_id())
            while time.monotonic() < self._over:
                held = self._hold(held) if held else self._idle()
        except Exception as error:  # said by main, once
            self.error = f"{type(error).__name__}: {error}"

    def _hold(self, held: Claim) -> Claim | None:
        end = min(self._over, time.monotonic() + (random.expovariate(1 / self._job) if self._job else 0.0))
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, self._timing.renew))
            if end - time.monotonic() > 0:
                self._store.renew(held.job, held.attempt, self._offer, "/home/alice/out/N_1", "/home/alice/out/N_1/log")
        if time.monotonic() >= self._over:
            return None  # else all of them would finish in this moment
        began = time.perf_counter()
        _, found = self._store.finish_and_claim(held.job, held.attempt, DONE, self._offer, new_id())
        self.claims.append((time.monotonic(), (time.perf_counter() - began) * 1000))
        return found

    def _idle(self) -> Claim | None:
        if time.monotonic() >= self._reap_at:
            self._reap_at = time.monotonic() + self._timing.renew / 2
            self._store.reap()
        wait = min(self._timing.idle_poll, self._timing.renew)
        return self._store.claim_when_woken(self._offer, new_id(), wait)


def main() -> None:
    """Run them, then print the milliseconds of the claims of the second half, and what went wrong."""
    url, first, count, seconds, job = sys.argv[1], *map(int, sys.argv[2:4]), *map(float, sys.argv[4:6])
    threading.stack_size(256 * 1024)
    over = time.monotonic() + seconds
    slots = [Simulated(url, first + n, job, over) for n in range(count)]
    for slot in slots:
        slot.start()
    for slot in slots:
        slot.join()
    timed = [ms for slot in slots for at, ms in slot.claims if at > over - seconds / 2]
    print(json.dumps({"claims": timed, "errors": sorted({slot.error for slot in slots if slot.error})}))


if __name__ == "__main__":
    main()
