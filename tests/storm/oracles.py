"""What must hold after any storm (I1 to I9): the record of each job, beside what the jobs themselves saw."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator

from exs.model import JobState
from exs.rows import JobRow
from harness.witness import Seen
from storm.trouble import PUSHED, Storm

S = JobState


def violations(storm: Storm) -> Iterator[str]:
    """Each thing that does not hold, in one line; asked when every job is over."""
    fleet = storm.fleet
    yield from (f"I1: {finding}" for finding in fleet.store.audit())
    seen: defaultdict[str, list[Seen]] = defaultdict(list)
    for one in fleet.witness.seen():
        seen[one.job].append(one)
    yield from (
        f"I6: {one.attempt} on GPU {one.devices} of {one.node} beside {one.text}"
        for one in fleet.witness.seen("shared")
    )
    for one in fleet.witness.seen("twin"):
        elder = json.loads(one.text)
        if not storm.out_of_contact(elder["node"], one.at):
            yield f"I4: {one.attempt} on {one.node} beside {one.text}, whose node was in contact"
    experiments = {row.name: row for row in fleet.store.experiments()}
    for name in storm.pushed:
        if experiments[name].jobs != PUSHED:
            yield f"I8: {name} has {experiments[name].jobs} jobs of {PUSHED}"
    known = set()
    for experiment in experiments.values():
        for listed in fleet.rows(experiment.name):
            row = fleet.row(listed.id)
            known.add(row.id)
            yield from (f"{text}: {row.experiment}/{row.index} {row}" for text in _record(storm, row, seen[row.id]))
    yield from (f"I1: job {job} ran and is in no list" for job in set(seen) - known)
    yield from (f"I5: {pid} of {one.attempt} still lives" for one in fleet.witness.seen() for pid in _left(storm, one))


def _left(storm: Storm, one: Seen) -> list[int]:
    return [pid for pid in storm.fleet.witness.living(one.attempt) if pid == one.pid]


def _record(storm: Storm, row: JobRow, seen: list[Seen]) -> Iterator[str]:
    started = [one.attempt for one in seen if one.event == "start"]
    ended = {one.attempt for one in seen if one.event == "end"}
    if len(started) != len(set(started)):
        yield "I3: an attempt was started twice"
    if len(set(started)) > row.attempts:
        yield f"I3: {len(set(started))} attempts were seen to start"
    numbers = [past.number for past in row.history]
    # Of one that was canceled while it waited or was paused, the last attempt is an earlier one, too.
    last = row.attempts + (row.state is S.CANCELED)
    if numbers != sorted(set(numbers)) or any(number >= last for number in numbers):
        yield "I3: earlier attempts are not numbered in order"
    yield from _verdict(storm, row, ended)


def _verdict(storm: Storm, row: JobRow, ended: set[str]) -> Iterator[str]:
    """I2, I9: the state that its kind of job must end in, with its true cause."""
    if row.state is S.CANCELED:
        if row.id not in storm.canceled:
            yield "I9: canceled by nobody"
    elif row.experiment in ("work", "long") or row.experiment.startswith("pushed"):
        if row.state is not S.DONE:
            yield "I7: not done"
        elif row.result.get("attempt") not in ended:
            yield "I2: the result is of an attempt that did not end"
    elif row.state is not S.CRASHED:
        yield "I9: it succeeded"
    elif row.experiment == "fails" and (row.failure, row.exit_code) != ("error", 3) and row.id not in storm.hit:
        yield "I9: not its exit code"
    elif row.experiment == "slow" and row.failure != "timeout" and row.id not in storm.hit:
        yield "I9: not its timeout"
