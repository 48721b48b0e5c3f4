"""Rows and claims from what the scripts answer. Nothing in them is trusted: what cannot be read is shown as such."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from exs.errors import BrokenRecord
from exs.model import Claim, JobState, Json, Mate
from exs.rows import ExperimentRow
from exs.store.records import loads, pairs, text
from exs.store.shapes import resources_of

#: The largest whole number that JSON, Lua and float agree on; what is beyond is no number of ours.
LARGEST = 2**53
_QUEUE_NUMBER = re.compile(r"~\d+$")


def whole(value: bytes | None) -> int:
    """A whole number; 0 for what is none."""
    try:
        found = int(float(value)) if value else 0
    except (ValueError, OverflowError):
        return 0
    return found if abs(found) <= LARGEST else 0


def _seconds(value: bytes | None) -> float:
    return whole(value) / 1000


def mapping(value: bytes | None, what: str) -> dict[str, Json]:
    """A JSON object, {} for nothing. Raises BrokenRecord."""
    if not value:
        return {}
    data = loads(value, what)
    if not isinstance(data, dict):
        raise BrokenRecord(f"{what} is not an object.")
    return data


def iso_seconds(value: bytes | None) -> float:
    """RQ's ISO time as seconds since the epoch, 0.0 for none."""
    if not value:
        return 0.0
    try:
        return datetime.fromisoformat(text(value).replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError):
        return 0.0


#: The jobs of a push have one time in common: a list of 100,000 parses few of them.
_created = lru_cache(100)(iso_seconds)


#: Few shapes, read for each queue of each experiment.
_needs = lru_cache(1000)(resources_of)
#: So that a list of 100,000 holds few strings of them.
_queue = lru_cache(100)(text)


@lru_cache(100)
def experiment_of(queue: str) -> str:
    """The experiment to which a queue belongs: NAME~2 is NAME's second."""
    return _QUEUE_NUMBER.sub("", queue)


def claim_from(reply: Sequence[bytes]) -> Claim:
    """What `claim.lua` answered. One that cannot be read gives a Claim with a problem: it is leased all the same."""
    (
        job, attempt, number, name, index, title, params, point, spec, commands, force, _, checkpoint, gpus, mates,
    ) = reply  # fmt: skip
    what = f"job {text(job)}"
    problem = ""
    values: dict[str, Json] = {}
    chosen: Json = []
    others: tuple[Mate, ...] = ()
    try:
        values = mapping(params, f"parameters of {what}")
        chosen = loads(commands, f"commands of {what}") if commands else []
        if not isinstance(chosen, list) or not all(isinstance(command, str) for command in chosen):
            raise BrokenRecord(f"commands of {what} are not a list of names.")
        others = _mates(mates, what)
    except BrokenRecord as error:
        problem, values, chosen = error.message, {}, []
    from_where: dict[str, Json] = {}
    with contextlib.suppress(BrokenRecord):  # one that cannot be read is none: the job begins anew
        from_where = mapping(checkpoint, f"checkpoint of {what}")
    return Claim(
        job=text(job),
        attempt=text(attempt),
        number=whole(number),
        experiment=text(name),
        index=whole(index),
        name=text(title),
        params=values,
        point=text(point),
        spec=text(spec),
        commands=tuple(chosen),
        force=force == b"1",
        checkpoint=from_where,
        problem=problem,
        gpus=tuple(text(gpus).split(",")) if others else (),
        mates=others,
    )


def mate_names(value: bytes | None) -> tuple[str, ...]:
    """Names of the other slots that run a job; none where that cannot be read."""
    try:
        return tuple(mate.slot for mate in _mates(value, "a job")) if value else ()
    except BrokenRecord:
        return ()


def _mates(value: bytes, what: str) -> tuple[Mate, ...]:
    """The other slots that run a job. Raises BrokenRecord."""
    data = loads(value, f"slots of {what}") if value else []
    kinds = [str, str, str, int]
    if not isinstance(data, list) or not all(isinstance(one, list) and [*map(type, one)] == kinds for one in data):
        raise BrokenRecord(f"slots of {what} are not a list of slots.")
    return tuple(Mate(*one) for one in data)


def share(value: bytes | None) -> float | None:
    """A number from 0 to 1, else None."""
    try:
        found = float(value) if value else -1.0
    except ValueError:
        return None
    return found if 0 <= found <= 1 else None


def experiment_row(reply: Sequence[Any]) -> ExperimentRow:
    """One row of `experiments.lua`."""
    name, flat, queued, running, done, failed, canceled, paused, waiting, listed = reply
    queues = list(zip(map(text, listed[::3]), map(text, listed[1::3]), listed[2::3], strict=True))
    f = pairs(flat)
    pruned = whole(f.get("pruned"))
    return ExperimentRow(
        name=text(name),
        id=text(f.get("id")),
        user=text(f.get("user")),
        host=text(f.get("host")),
        source=text(f.get("source")),
        kind=text(f.get("kind")),
        pool=text(f.get("pool")),
        priority=whole(f.get("priority")),
        created_at=_seconds(f.get("created")),
        jobs=whole(f.get("jobs")),
        counts={
            JobState.QUEUED: queued + waiting,
            JobState.RUNNING: running,
            JobState.PAUSED: paused,
            JobState.DONE: done - pruned,
            JobState.PRUNED: pruned,
            JobState.CRASHED: failed,
            JobState.CANCELED: canceled,
        },
        waiting_retry=waiting,
        retries=whole(f.get("retries")),
        paused=f.get("paused") == b"1",
        paused_by=text(f.get("paused_by")),
        canary=whole(f.get("canary")),
        needs={queue: _needs(shape) for queue, shape, _ in queues},
        queued={queue: length for queue, _, length in queues},
        archived=f.get("archived") == b"1",
        max_running=whole(f["max"]) if "max" in f else None,
        spec=text(f.get("spec")),
        weight=weight(f.get("weight")),
        preemptible=f.get("preemptible") != b"0",
        preempted_by=text(f.get("preempted_by")),
        lost_after=_seconds(f["lost"]) if "lost" in f else None,
        breaker=f.get("breaker") != b"0",
    )


def weight(value: bytes | None) -> float:
    """A weight as `weight_of` in Lua takes it: 1 for what is none."""
    try:
        found = float(value or b"1")
    except ValueError:
        return 1.0
    return found if 0 < found < 2**45 else 1.0
