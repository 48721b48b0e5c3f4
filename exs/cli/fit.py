"""Could what is pushed ever run? The slots that are there are asked, before a push with --strict, after any other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from exs.errors import Refused
from exs.model import DEFAULT_POOL, NewJob, Resources

if TYPE_CHECKING:
    from exs.store.store import Store


class Needs:
    """What the jobs that pass by need, counted."""

    def __init__(self, counts: Mapping[Resources, int] = {}) -> None:
        self.counts: dict[Resources, int] = dict(counts)

    def noted(self, jobs: Iterable[NewJob]) -> Iterator[NewJob]:
        """The jobs, each counted. Most have the needs of the one before."""
        last, number = None, 0
        for job in jobs:
            if job.resources is not last:
                self._add(last, number)
                last, number = job.resources, 0
            number += 1
            yield job
        self._add(last, number)

    def _add(self, needs: Resources | None, number: int) -> None:
        if needs is not None:
            self.counts[needs] = self.counts.get(needs, 0) + number

    def hindrance(self, store: Store, name: str, pool: str) -> str:
        """Why slots that are there could never run some of these jobs; "" if they could, or if none is there."""
        from exs.store.shapes import runnable
        from exs.view.needs import had, needed

        live = [slot for slot in store.workers() if slot.seen_ago <= store.settings.timing.lease]
        unfit = {needs: n for needs, n in self.counts.items() if live and not runnable(needs, live, pool, name)}
        if not unfit:
            return ""
        number = sum(unfit.values())
        where = "" if pool == DEFAULT_POOL else f" in pool {pool}"
        what = "; or ".join(list(dict.fromkeys(map(needed, unfit)))[:3])
        jobs = "1 job" if number == 1 else f"{number:,} jobs"
        return f"no slot that is there could ever run {jobs} of {name}: it needs {what}{where}; here: {had(live)}."

    def refuse_unfit(self, store: Store, name: str, pool: str) -> None:
        """Raise Refused if no slot that is there could ever run some of these jobs."""
        if not any(slot.seen_ago <= store.settings.timing.lease for slot in store.workers()):
            raise Refused(
                f"no workers: there is no slot to run {name}.", "Start one: exs worker. Or push without --strict."
            )
        why = self.hindrance(store, name, pool)
        if why:
            raise Refused(f"{why} Nothing was queued.", "Without --strict it waits for such a slot.")
