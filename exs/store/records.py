"""Records to and from Redis: strict JSON, sizes checked, nothing trusted.

Whatever cannot be read raises BrokenRecord and is shown as such; it never stops a slot or a list (R12).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any

from exs.errors import BrokenRecord, InputError
from exs.model import Claim, ExperimentRow, JobRow, JobState, Json, Outcome, Resources, SlotRow, Spec

#: Fields that a list reads, in the order in which `jobs.lua` and `job.lua` are asked for them.
ROW_FIELDS = (
    *(
        "st",
        "origin",
        "ix",
        "nm",
        "pr",
        "pt",
        "sp",
        "cm",
        "at",
        "an",
        "ls",
        "nd",
        "worker_name",
        "gp",
        "created_at",
    ),
    *("t0", "t1", "ra", "wn", "fc", "fd", "xc", "rs", "dr", "lg", "tl", "rm", "lx"),
)

_ENCODER = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":"))
_QUEUE_NUMBER = re.compile(r"~\d+$")


def dumps(value: Json) -> str:
    """Compact strict JSON. Raises InputError for what JSON cannot hold."""
    try:
        return _ENCODER.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"not a JSON value: {error}.") from None


def loads(text: str | bytes, what: str) -> Json:
    """Strict JSON. Raises BrokenRecord naming `what`."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BrokenRecord(f"{what} is not readable: {error}.") from None


def _refuse_constant(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")


def spec_text(spec: Spec) -> tuple[str, str]:
    """A Spec as JSON, and the digest under which it is kept: 8 hex digits of what affects how jobs run."""
    text = dumps(asdict(spec))
    stable = dumps({**asdict(spec), "datetime": ""})
    return text, hashlib.blake2b(stable.encode(), digest_size=4).hexdigest()


def spec_from(text: bytes, what: str) -> Spec:
    """The Spec that `spec_text` wrote. Raises BrokenRecord."""
    data = loads(text, what)
    try:
        spec = Spec(**data)
    except TypeError as error:
        raise BrokenRecord(f"{what} is of another version: {error}.") from None
    if not isinstance(spec.commands, dict) or not isinstance(spec.cwd, str) or not isinstance(spec.env, dict):
        raise BrokenRecord(f"{what} has a field of the wrong type.")
    return spec


def shape(resources: Resources) -> str:
    """The shape of a job, as `ready.lua` reads it: '<gpus>|<indices>|<bytes>', gpus '*' for any slot."""
    gpus = "*" if resources.gpus is None else str(resources.gpus)
    return f"{gpus}|{','.join(resources.indices or ())}|{resources.gpu_memory or ''}"


def outcome_text(outcome: Outcome) -> str:
    """The part of an outcome that `finish.lua` decodes."""
    return dumps(
        {
            "state": outcome.state.value,
            "failure": outcome.failure.value if outcome.failure else None,
            "detail": outcome.detail,
            "exit_code": outcome.exit_code,
            "signal": outcome.signal,
            "seconds": outcome.seconds,
            "directory": outcome.directory,
            "log": outcome.log,
            "max_rss": outcome.max_rss,
            "log_dropped": outcome.log_dropped,
        }
    )


def text(value: bytes | None) -> str:
    """Bytes from Redis as text; what is not UTF-8 is kept visible."""
    return value.decode("utf-8", "backslashreplace") if value else ""


def pairs(flat: Sequence[bytes]) -> dict[str, bytes]:
    """A flat Redis reply as a dict."""
    it = iter(flat)
    return {text(key): value for key, value in zip(it, it, strict=False)}


def _number(value: bytes | None) -> int:
    try:
        return int(float(value or 0))
    except (ValueError, OverflowError):
        return 0


def _seconds(value: bytes | None) -> float:
    return _number(value) / 1000


def _mapping(value: bytes | None, what: str) -> dict[str, Json]:
    if not value:
        return {}
    data = loads(value, what)
    if not isinstance(data, dict):
        raise BrokenRecord(f"{what} is not an object.")
    return data


def iso_seconds(value: bytes | None) -> float:
    """RQ's ISO time as seconds since the epoch, 0.0 for none."""
    try:
        return datetime.fromisoformat(text(value).replace("Z", "+00:00")).astimezone(timezone.utc).timestamp()
    except ValueError:
        return 0.0


def experiment_of(queue: str) -> str:
    """The experiment to which a queue belongs: NAME~2 is NAME's second."""
    return _QUEUE_NUMBER.sub("", queue)


def claim_from(reply: Sequence[bytes]) -> Claim:
    """What `claim.lua` answered. One that cannot be read gives a Claim with a problem: it is leased all the same."""
    job, attempt, number, name, index, title, params, point, spec, commands, force, created = reply
    what = f"job {text(job)}"
    problem = ""
    values: dict[str, Json] = {}
    chosen: Json = []
    try:
        values = _mapping(params, f"parameters of {what}")
        chosen = loads(commands, f"commands of {what}") if commands else []
        if not isinstance(chosen, list) or not all(isinstance(command, str) for command in chosen):
            raise BrokenRecord(f"commands of {what} are not a list of names.")
    except BrokenRecord as error:
        problem, values, chosen = error.message, {}, []
    return Claim(
        job=text(job),
        attempt=text(attempt),
        number=_number(number),
        experiment=text(name),
        index=_number(index),
        name=text(title),
        params=values,
        point=text(point),
        spec=text(spec),
        commands=tuple(chosen),
        force=force == b"1",
        created_at=iso_seconds(created),
        problem=problem,
    )


def job_row(reply: Sequence[bytes | None], now: float) -> JobRow:
    """One row of `jobs.lua`. A record that cannot be read gives a CRASHED row that says so."""
    job_id, lease, *values = reply
    f = dict(zip(ROW_FIELDS, values, strict=True))
    what = f"job {text(job_id)}"
    try:
        state, params = JobState(text(f["st"])), _mapping(f["pr"], f"parameters of {what}")
        result, commands = (
            _mapping(f["rs"], f"result of {what}"),
            loads(f["cm"] or b"[]", f"commands of {what}"),
        )
        detail = text(f["fd"])
    except (BrokenRecord, ValueError) as error:
        state, params, result, commands, detail = JobState.CRASHED, {}, {}, [], f"broken record: {error}"
    exit_code = f["xc"]
    return JobRow(
        id=text(job_id),
        experiment=experiment_of(text(f["origin"])),
        index=_number(f["ix"]),
        state=state,
        name=text(f["nm"]),
        params=params,
        point=text(f["pt"]),
        spec=text(f["sp"]),
        commands=tuple(str(command) for command in commands),
        attempt=text(f["at"]),
        attempts=_number(f["an"]),
        lost=_number(f["ls"]),
        node=text(f["nd"]),
        slot=text(f["worker_name"]),
        gpus=text(f["gp"]),
        created_at=iso_seconds(f["created_at"]),
        started_at=_seconds(f["t0"]),
        ended_at=_seconds(f["t1"]),
        lease_late=max(0.0, now - _seconds(lease)) if lease else 0.0,
        retry_at=_seconds(f["ra"]),
        failure=text(f["fc"]),
        detail=detail,
        exit_code=_number(exit_code) if exit_code else None,
        result=result,
        directory=text(f["dr"]),
        log=text(f["lg"]),
        tail=text(f["tl"]),
        max_rss=_number(f["rm"]),
        log_dropped=_number(f["lx"]),
        want=text(f["wn"]),
    )


def history_from(items: Iterable[bytes], what: str) -> tuple[Mapping[str, Json], ...]:
    """Earlier attempts, oldest first; one that cannot be read is left out."""
    records: list[Mapping[str, Json]] = []
    for item in items:
        try:
            records.append(_mapping(item, f"attempts of {what}"))
        except BrokenRecord:
            continue
    return tuple(records)


def experiment_row(reply: Sequence[Any]) -> ExperimentRow:
    """One row of `experiments.lua`."""
    name, flat, queued, running, done, failed, canceled, paused, waiting = reply
    f = pairs(flat)
    pruned = _number(f.get("pruned"))
    return ExperimentRow(
        name=text(name),
        id=text(f.get("id")),
        user=text(f.get("user")),
        host=text(f.get("host")),
        source=text(f.get("source")),
        kind=text(f.get("kind")),
        pool=text(f.get("pool")),
        priority=_number(f.get("priority")),
        created_at=_seconds(f.get("created")),
        jobs=_number(f.get("jobs")),
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
        retries=_number(f.get("retries")),
        paused=f.get("paused") == b"1",
        max_running=_number(f["max"]) if "max" in f else None,
    )


def slot_row(reply: Sequence[Any], now: float) -> SlotRow:
    """One row of `workers.lua`."""
    name, flat, queue, index = reply
    f = pairs(flat)
    seen = max(0.0, now - iso_seconds(f.get("last_heartbeat")))
    return SlotRow(
        name=text(name),
        node=text(f.get("exs_node")) or text(f.get("hostname")),
        gpus=text(f.get("exs_gpus")),
        pools=tuple(text(f.get("queues")).split(",")),
        state=text(f.get("state")),
        job=text(f.get("current_job")),
        experiment=experiment_of(text(queue)),
        index=_number(index) if index else -1,
        pid=_number(f.get("pid")),
        born_at=iso_seconds(f.get("birth")),
        seen_ago=seen,
        done=_number(f.get("successful_job_count")),
        failed=_number(f.get("failed_job_count")),
        version=text(f.get("exs_version")),
        boot=text(f.get("exs_boot")),
        pid_start=_number(f.get("exs_start")),
    )
