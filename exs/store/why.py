"""Why does it wait: a job, what stands before it, what each slot says to it, and when it is likely to start."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from exs.answers import Estimate, Lasting, Verdict, Why
from exs.errors import BrokenRecord, NotFound
from exs.model import HELD, JobState, Resources
from exs.rows import ExperimentRow, JobRow, SlotRow
from exs.store import estimate, records, rows, shapes, slotrows
from exs.store.base import WORKERS
from exs.store.estimate import Took
from exs.store.gpus import unused_from
from exs.store.jobrows import job_row
from exs.store.look import Watchers
from exs.store.waits import STUCK, Waits

_ONE = re.compile(r"(?P<name>[^/]+)/(?P<index>\d{1,15})\Z")
#: Experiments whose finished jobs are measured, and jobs that are read for that: about 2 ms of Redis.
_MEASURED = 30
_SAMPLES = 600
#: Queues of which one script call looks at what is next: about 2 ms of Redis.
_QUEUES = 30
#: Shares of the measured times between which the start lies.
_SHARES = (0.25, 0.5, 0.75)
_BROKEN = "exs doctor says what is wrong with the queue."


class Explainers(Watchers):
    """The answer to the question that is asked most."""

    def why(self, selector: str) -> Why:
        """Why a job waits: NAME/17, an id or a unique prefix of one, or NAME and `last` for the one that is next there.

        Two round trips, more with more than 200 slots. Raises NotFound or InputError, as `find` does, and
        BrokenRecord.
        """
        one = _ONE.match(selector)
        words = (one["name"], int(one["index"])) if one else (selector, -1)
        found, slots, unused = self._call_many(
            [("why", words), ("workers", (0, WORKERS)), ("unused_gpus", ())],
        )
        if not found[1] and (one or not found[2]):
            jobs = self.find(selector)
            waiting = [row for row in jobs if row.state is JobState.QUEUED] or jobs
            if not waiting:
                raise NotFound(f"no job {selector!r}.", "exs list -t NAME shows the ids.")
            found = self._call("why", waiting[0].id, -1)
        return self._why(found, slotrows.slot_rows(*self._workers(slots)), unused_from(unused))

    def waits(self, slots: Sequence[SlotRow], rows: Sequence[ExperimentRow]) -> Waits:
        """What says why the jobs of these experiments wait for these slots.

        Reads nothing unless one of them has an end; then what is next in each queue, one round trip for 30 of them.
        """
        if not any(slot.ends for slot in slots):
            return self._waits_of(slots, 0.0, {})
        queues = [queue for row in rows if row.kind != "pull" for queue, jobs in row.queued.items() if jobs]
        parts = [queues[at : at + _QUEUES] for at in range(0, len(queues), _QUEUES)]
        now, lasting = 0.0, {}
        for part, (ms, *found) in zip(parts, self._stream("lasting", parts), strict=True):
            now = ms / 1000
            lasting.update({queue: one[0] / 1000 for queue, one in zip(part, found, strict=True) if one})
        return self._waits_of(slots, now, lasting)

    def _waits_of(self, slots: Sequence[SlotRow], now: float, lasting: Mapping[str, float]) -> Waits:
        return Waits(slots, self.settings.timing.lease, now, lasting)

    def _why(self, found: Sequence[Any], slots: Sequence[SlotRow], unused: Any) -> Why:
        now, flat, experiment, before, fair, _, others, expected = found
        if not experiment:  # somebody wrote past us
            raise BrokenRecord("the record of this job, or of its experiment, cannot be read.", _BROKEN)
        now /= 1000
        job = job_row(flat, now) if flat else None
        row = rows.experiment_row(experiment)
        if job is None or job.state is not JobState.QUEUED:
            took = self._took([row.name]) if job is not None and job.state in HELD else {}
            return _running(now, job, row, took)
        lasting = _lasting(expected)
        waits = self._waits_of(slots, now, {job.queue: lasting.seconds} if lasting else {})
        needs = row.needs.get(job.queue)
        waits.note_jobs(row, [job])
        verdicts = [waits.verdict(slot, row, job.queue) for slot in slots]
        takers = [verdict.slot for verdict in verdicts if verdict.kind in ("busy", "idle", "held")]
        ahead = _ahead(others, takers)
        took = self._took([row.name, *(slot.experiment for slot in slots if slot.experiment), *ahead])
        verdicts = [
            Verdict(v.slot, v.kind, v.text, estimate.free_at(v.slot, now, took)) if v.kind == "busy" else v
            for v in verdicts
        ]
        guess, unsure = None, ""
        if job.why not in STUCK and job.why != "canary":
            guess, unsure = _estimate(now, job, row, needs, takers, ahead, before, took, lasting)
        return Why(now, job, row, job.why, before, ahead, bool(fair), verdicts, unused, guess, unsure, lasting)

    def _took(self, names: Sequence[str]) -> Took:
        """How long some finished jobs of these experiments took, shortest first."""
        wanted = list(dict.fromkeys(names))[:_MEASURED]
        replies = self._call("durations", max(20, _SAMPLES // len(wanted)), *wanted)
        return {name: sorted(ms / 1000 for ms in reply) for name, reply in zip(wanted, replies, strict=True)}


def _lasting(expected: Sequence[Any]) -> Lasting | None:
    """How long the job is expected to take, of what why.lua says of it."""
    return Lasting(expected[0] / 1000, records.text(expected[1]), expected[2]) if expected else None


def _running(now: float, job: JobRow | None, row: ExperimentRow, took: Took) -> Why:
    """What is known of a job that does not wait; `estimate` is when it is likely to be over."""
    lengths = took.get(row.name, ())
    guess = None
    if job is not None and lengths:
        slot = SlotRow("", "", "", (), "busy", experiment=row.name, job_started_at=job.started_at)
        early, likely, late = (estimate.free_at(slot, now, took, share) for share in _SHARES)
        if likely:
            guess = Estimate(likely, early, late, estimate.quantile(lengths, 0.5), len(lengths))
    return Why(now, job, row, estimate=guess)


def _ahead(others: Sequence[Any], takers: Sequence[SlotRow]) -> dict[str, int]:
    """Jobs of other experiments, in their order, that one of the slots could take."""
    found: dict[str, int] = {}
    able: dict[tuple[str, ...], bool] = {}
    for at in range(0, len(others), 4):
        name, shape, pool = map(records.text, others[at : at + 3])
        if (name, shape, pool) not in able:
            needs = shapes.resources_of(shape)
            able[name, shape, pool] = needs is not None and shapes.runnable(needs, takers, pool, name)
        if able[name, shape, pool]:
            found[name] = found.get(name, 0) + others[at + 3]
    return found


def _estimate(
    now: float,
    job: JobRow,
    row: ExperimentRow,
    needs: Resources | None,
    takers: Sequence[SlotRow],
    ahead: dict[str, int],
    before: int,
    took: Took,
    lasting: Lasting | None,
) -> tuple[Estimate | None, str]:
    """When the job is likely to start, or why nobody can tell."""
    own = took.get(row.name, ())
    alone = [slot for slot in takers if needs is not None and shapes.runnable(needs, [slot], row.pool, row.name)]
    if not alone:
        return None, "it needs several slots of one node at a time"
    if not own and (before > 0 or ahead or row.max_running is not None):
        return None, f"no job of {row.name} is done yet"
    starts = []
    for share in _SHARES:
        known = [(slot, moment) for slot in alone if (moment := _free(slot, now, took, share))]
        if not known:
            return None, "nobody knows how long the jobs take that run now"
        free = [
            moment for slot, moment in known if not lasting or not slot.ends or moment + lasting.seconds <= slot.ends
        ]
        if not free:
            return None, "the slots that could run it are likely to end before they have finished it"
        length = estimate.quantile(own, share) if own else 0.0
        groups = [
            (estimate.quantile(took[name], share) if took.get(name) else length, jobs) for name, jobs in ahead.items()
        ]
        begins = estimate.start(free, [*groups, (length, max(before, 0))])
        starts.append(max(begins, _allowed(row, takers, now, took, share, length, before), job.retry_at, now))
    early, likely, late = starts
    return Estimate(likely, early, late, estimate.quantile(own, 0.5) if own else 0.0, len(own)), ""


def _free(slot: SlotRow, now: float, took: Took, share: float) -> float:
    """When a slot is free for another job; 0.0 where nobody knows, and for one that leaves before."""
    moment = now if slot.state == "idle" and not slot.held_for else estimate.free_at(slot, now, took, share)
    return 0.0 if slot.leaves or (slot.until and slot.until <= moment) else moment


def _allowed(
    row: ExperimentRow, takers: Sequence[SlotRow], now: float, took: Took, share: float, length: float, before: int
) -> float:
    """When its experiment may run one job more, as far as its own limit goes."""
    if row.max_running is None:
        return now
    mine = [slot for slot in takers if slot.experiment == row.name and slot.state == "busy"]
    lanes = [estimate.free_at(slot, now, took, share) or now + length for slot in mine]
    lanes += [now] * max(0, row.max_running - sum(row.counts.get(state, 0) for state in HELD))
    return estimate.start(lanes, [(length, max(before, 0))]) if lanes else now
