"""When a job is likely to start: from how long other jobs took, and what runs and stands before it."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

from exs.rows import SlotRow

#: Starts that are gone through one by one; what is before that goes by in whole rounds of all slots.
_STEPS = 5000
#: How long jobs of each experiment took, shortest first, seconds.
Took = Mapping[str, Sequence[float]]


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which that share of sorted `values` is; there must be one."""
    at = share * (len(values) - 1)
    low = int(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (at - low)


def free_at(slot: SlotRow, now: float, took: Took, share: float = 0.5) -> float:
    """When the job of a slot is likely to be over: as those of its experiment that took longer than it has so far.

    0.0 where nobody knows: none is done, or none took as long.
    """
    so_far = now - slot.job_started_at
    longer = [seconds for seconds in took.get(slot.experiment, ()) if seconds > so_far]
    return slot.job_started_at + quantile(longer, share) if slot.job_started_at and longer else 0.0


def start(free: Sequence[float], before: Sequence[tuple[float, int]]) -> float:
    """When the first of the slots is free once all that is before has started there.

    `free`: when each is, at least one. `before`: how long jobs take and how many they are, in their order.
    """
    slots = list(free)
    heapq.heapify(slots)
    for seconds, jobs in before:
        rounds = max(0, jobs - _STEPS) // len(slots)
        slots = [moment + rounds * seconds for moment in slots]
        for _ in range(jobs - rounds * len(slots)):
            heapq.heapreplace(slots, slots[0] + seconds)
    return slots[0]
