"""When a job is likely to start: from how long other jobs took, and what runs and stands before it."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Running:
    """A job that runs: for how many seconds so far, and how far it says that it is, 0 to 1."""

    seconds: float
    progress: float | None = None


#: Below this a progress says too little of how long the rest takes.
_TOO_EARLY = 0.01


def _rest(one: Running, took: Sequence[float]) -> float | None:
    """Seconds until a job that runs is likely to be over: by what it says, else as those that took longer than it has.

    One that has taken longer than all of them is believed to end in as long as half of them took.
    """
    if one.progress is not None and one.progress >= _TOO_EARLY:
        return one.seconds * (1 - one.progress) / one.progress
    if not took:
        return None
    longer = [seconds for seconds in took if seconds > one.seconds]
    return quantile(longer, 0.5) - one.seconds if longer else quantile(took, 0.5)


def part_done(one: Running, took: Sequence[float]) -> float | None:
    """How far a job that runs is, 0 to 1; None where nobody knows."""
    if one.progress is not None:
        return one.progress
    rest = _rest(one, took)
    return None if rest is None else one.seconds / (one.seconds + rest) if one.seconds + rest else 1.0


def left(running: Sequence[Running], slots: int, waiting: int, took: Sequence[float]) -> float | None:
    """Seconds until all that runs and waits is over, if `slots` jobs run at once as they do now; None if nobody knows.

    `running`: those that were measured of the `slots` jobs that run; `took`: what finished jobs took, shortest first.
    """
    rests = [_rest(one, took) for one in running]
    known = [rest for rest in rests if rest is not None]
    if not known:
        return None
    if took:
        length = quantile(took, 0.5)
    else:  # none is done: as long as those that say how far they are will have taken
        whole = sorted(one.seconds + rest for one, rest in zip(running, rests, strict=True) if rest is not None)
        length = quantile(whole, 0.5)
    lanes = [known[at % len(known)] for at in range(max(slots, 1))]
    rounds = max(0, waiting - _STEPS) // len(lanes)
    lanes = [moment + rounds * length for moment in lanes]
    heapq.heapify(lanes)
    for _ in range(waiting - rounds * len(lanes)):
        heapq.heapreplace(lanes, lanes[0] + length)
    return max(lanes)
