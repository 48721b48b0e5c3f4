"""Rows and claims from what the scripts answer. Nothing in them is trusted: what cannot be read is shown as such."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from exs.errors import BrokenRecord
from exs.model import Claim, JobState, Json, Mate
from exs.rows import ExperimentRow, JobRow, PastAttempt
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


def _mate_names(value: bytes | None) -> tuple[str, ...]:
    """The same by name; none where that cannot be read."""
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


def job_row(reply: Sequence[Any], now: float) -> JobRow:
    """One row of `jobs.lua`. A record that cannot be read gives a CRASHED row that says so."""
    job_id, lease, flat = reply
    f = dict(zip(flat[::2], flat[1::2], strict=False))
    get = f.get
    broken = ""
    params: dict[str, Json] = {}
    result: dict[str, Json] = {}
    commands: list[Json] = []
    metrics: dict[str, Json] = {}
    checkpoint: dict[str, Json] = {}
    try:
        state = JobState(text(get(b"st")))
        params, result, commands = _values(f, text(job_id))
        metrics = mapping(get(b"mt"), f"metrics of job {text(job_id)}")
        checkpoint = mapping(get(b"ck"), f"checkpoint of job {text(job_id)}")
    except (BrokenRecord, ValueError) as error:
        state, broken = JobState.CRASHED, f"broken record: {error}"
    load, load_max = _loads(f[b"gu"]) if b"gu" in f else (None, None)
    exit_code, name = get(b"xc"), text(get(b"nm"))
    directory, log = _paths(name, text(get(b"dr")), text(get(b"lg")))
    return JobRow(
        id=text(job_id),
        experiment=experiment_of(text(get(b"origin"))),
        index=whole(get(b"ix")),
        state=state,
        name=name,
        params=params,
        point=text(get(b"pt")),
        spec=text(get(b"sp")),
        commands=tuple(map(str, commands)),
        attempt=text(get(b"at")),
        attempts=whole(get(b"an")),
        lost=whole(get(b"ls")),
        node=text(get(b"nd")),
        slot=text(get(b"worker_name")),
        gpus=text(get(b"gp")),
        mates=_mate_names(get(b"sl")),
        created_at=_created(get(b"created_at")),
        started_at=iso_seconds(get(b"started_at")),
        ended_at=iso_seconds(get(b"ended_at")),
        lease_late=max(0.0, now - _seconds(lease)) if lease else 0.0,
        retry_at=_seconds(get(b"ra")),
        failure=text(get(b"fc")),
        detail=broken or text(get(b"fd")),
        exit_code=whole(exit_code) if exit_code else None,
        result=result,
        directory=directory,
        log=log,
        tail=text(get(b"tl")),
        max_rss=whole(get(b"rm")),
        gpu_peak=whole(get(b"gm")),
        gpu_load=load,
        gpu_load_max=load_max,
        log_dropped=whole(get(b"lx")),
        want=text(get(b"wn")),
        excluded=tuple(text(f[b"xn"]).split(",")) if b"xn" in f else (),
        least_memory=whole(f[b"om"]) + 1 if b"om" in f else 0,
        paused_by=text(get(b"pb")),
        progress=share(get(b"pg")),
        said=text(get(b"ss")),
        checkpoint=checkpoint,
        metrics=metrics,
        preempted_by=text(get(b"pv")),
        queue=_queue(get(b"origin")),
        first_queue=_queue(f[b"oq"]) if b"oq" in f else "",
    )


def _loads(value: bytes) -> tuple[float | None, float | None]:
    """Mean and highest utilisation, in percent; None for what is none."""
    try:
        mean, highest = (float(word) for word in value.split())
    except ValueError:
        return None, None
    return (mean, highest) if 0 <= mean <= highest <= 100 else (None, None)


def share(value: bytes | None) -> float | None:
    """A number from 0 to 1, else None."""
    try:
        found = float(value) if value else -1.0
    except ValueError:
        return None
    return found if 0 <= found <= 1 else None


def _values(f: Mapping[bytes, bytes], job: str) -> tuple[dict[str, Json], dict[str, Json], list[Json]]:
    """Parameters, result and commands of a job. Raises BrokenRecord."""
    what = f"job {job}"
    params, result = mapping(f.get(b"pr"), "parameters of " + what), mapping(f.get(b"rs"), "result of " + what)
    commands = loads(f[b"cm"], "commands of " + what) if b"cm" in f else []
    if not f.get(b"origin"):
        raise BrokenRecord(f"{what} names no queue.")
    if not isinstance(commands, list):
        raise BrokenRecord(f"commands of {what} are not a list.")
    return params, result, commands


def _paths(name: str, directory: str, log: str) -> tuple[str, str]:
    """Run directory and log of the job called `name`, from what `paths.lua` made of them."""
    if directory.endswith("/"):
        directory += name
    if log and directory and not log.startswith("/"):
        log = f"{directory}/{log}"
    return directory, log


def history_from(items: Iterable[bytes], row: JobRow) -> tuple[PastAttempt, ...]:
    """Earlier attempts of `row`, oldest first; one that cannot be read is left out."""
    attempts: list[PastAttempt] = []
    for item in items:
        try:
            f = mapping(item, f"attempts of job {row.id}")
        except BrokenRecord:
            continue
        exit_code = f.get("exit_code")
        directory, log = _paths(row.name, str(f.get("directory", "")), str(f.get("log", "")))
        load, load_max = _loads(str(f.get("gpu_load", "")).encode())
        attempts.append(
            PastAttempt(
                number=_whole_of(f.get("number")),
                node=str(f.get("node", "")),
                gpus=str(f.get("gpus", "")),
                started_at=_moment(f.get("started")),
                ended_at=_moment(f.get("ended")),
                failure=str(f.get("failure", "")),
                detail=str(f.get("detail", "")),
                exit_code=None if exit_code is None else _whole_of(exit_code),
                directory=directory,
                log=log,
                gpu_peak=_whole_of(f.get("gpu_peak")),
                gpu_load=load,
                gpu_load_max=load_max,
            )
        )
    return tuple(attempts)


def _whole_of(value: Json) -> int:
    """A number that `remember` in Lua wrote as text; 0 for anything else."""
    return whole(str(value).encode()) if isinstance(value, (str, int, float)) else 0


def _moment(value: Json) -> float:
    """A time as `remember` writes it, or as it did at first: in ms."""
    return iso_seconds(value.encode()) if isinstance(value, str) and "T" in value else _whole_of(value) / 1000


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
