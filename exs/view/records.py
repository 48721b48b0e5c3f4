"""Rows as JSON objects: what `--json` prints of jobs, experiments and slots.

Times are ISO 8601 in UTC or null, lengths of time are seconds, states are names, secrets are masked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from exs.model import FINAL, JobState, Json, Params
from exs.rows import Drain, ExperimentRow, JobRow, Metric, PastAttempt, RunFiles, SlotRow, UnusedGpu
from exs.settings import masked_url
from exs.view.text import masked, masked_all, without_secrets
from exs.view.when import iso


def job(row: JobRow, now: float) -> dict[str, Json]:
    """Everything the tables show of a job, and what they leave out for want of room."""
    return {
        "id": row.id,
        "experiment": row.experiment,
        "index": row.index,
        "name": without_secrets(row.name, row.params),
        "status": row.state.value,
        "suspect": row.lease_late > 0,
        "no_contact": round(row.lease_late, 3) or None,
        "params": masked_all(row.params),
        "result": masked_all(row.result),
        "metrics": masked_all(row.metrics),
        "progress": row.progress,
        "says": row.said or None,
        "checkpoint": dict(row.checkpoint) or None,
        "node": row.node or None,
        "slot": row.slot or None,
        "gpus": row.gpus.split(",") if row.gpus else [],
        "mates": list(row.mates),
        "seconds": round(run_time(row, now), 3) if row.started_at else None,
        "created_at": iso(row.created_at),
        "started_at": iso(row.started_at),
        "ended_at": iso(row.ended_at),
        "retry_at": iso(row.retry_at),
        "attempt": row.attempt or None,
        "attempts": row.attempts,
        "lost": row.lost,
        "failure": row.failure or None,
        "detail": masked_url(row.detail) or None,
        "exit_code": row.exit_code,
        "commands": list(row.commands),
        "point": row.point or None,
        "directory": without_secrets(row.directory, row.params) or None,
        "log": without_secrets(row.log, row.params) or None,
        "max_rss": row.max_rss or None,
        "gpu_memory": row.gpu_peak or None,
        "gpu_load": row.gpu_load,
        "gpu_load_max": row.gpu_load_max,
        "log_dropped": row.log_dropped,
        "want": row.want or None,
        "preempted_by": row.preempted_by or None,
        "why": row.why or None,
        "paused_by": row.paused_by or None,
        "excluded_nodes": list(row.excluded),
        "least_gpu_memory": row.least_memory or None,
    }


def series(metrics: Mapping[str, Metric]) -> dict[str, Json]:
    """Everything that is known of the metrics of one job, with the points to draw. Values that are no finite numbers
    are "nan", "inf" or "-inf"."""
    return {
        name: {
            "count": metric.count,
            "first": list(metric.first),
            "last": list(metric.last),
            "min": list(metric.lowest) if metric.lowest else None,
            "max": list(metric.highest) if metric.highest else None,
            "every": metric.every,
            "points": [[step, value if value - value == 0 else str(value)] for step, value in metric.points],
        }
        for name, metric in metrics.items()
        if masked(name, 0.5) == 0.5
    }


def files(found: RunFiles) -> list[Json]:
    """The files of a run directory."""
    return [{"path": file.path, "size": file.size, "modified": iso(file.modified / 1e9)} for file in found.files]


def attempt(past: PastAttempt, params: Params) -> dict[str, Json]:
    """An attempt before the last one of a job with these parameters."""
    return {
        "number": past.number,
        "node": past.node or None,
        "gpus": past.gpus or None,
        "started_at": iso(past.started_at),
        "ended_at": iso(past.ended_at),
        "failure": past.failure or None,
        "detail": masked_url(past.detail) or None,
        "exit_code": past.exit_code,
        "gpu_memory": past.gpu_peak or None,
        "gpu_load": past.gpu_load,
        "gpu_load_max": past.gpu_load_max,
        "directory": without_secrets(past.directory, params) or None,
        "log": without_secrets(past.log, params) or None,
    }


def run_time(row: JobRow, now: float) -> float:
    """Seconds that the last attempt ran, or has run so far."""
    if row.ended_at:
        return row.seconds
    return max(0.0, now - row.started_at) if row.started_at else 0.0


def experiment(row: ExperimentRow) -> dict[str, Json]:
    """One line of `exs list`, with every state counted."""
    return {
        "name": row.name,
        "id": row.id,
        "user": row.user,
        "host": row.host,
        "source": masked_url(row.source),
        "kind": row.kind,
        "pool": row.pool,
        "priority": row.priority,
        "weight": row.weight,
        "preemptible": row.preemptible,
        "preempted_by": row.preempted_by or None,
        "max_running": row.max_running,
        "retries": row.retries,
        "paused": row.paused,
        "paused_by": row.paused_by or None,
        "archived": row.archived,
        "canary": row.canary or None,
        "committed": row.committed,
        "created_at": iso(row.created_at),
        "jobs": row.jobs,
        "waiting_retry": row.waiting_retry,
        "why": row.why or None,
        "progress": round(progress(row), 4),
        "seconds_left": None if row.pace is None or row.pace.left is None else round(row.pace.left, 3),
        "typical_seconds": None if row.pace is None or row.pace.typical is None else round(row.pace.typical, 3),
        "counts": {state.value: row.counts.get(state, 0) for state in JobState},
    }


def progress(row: ExperimentRow) -> float:
    """How far an experiment has come, 0 to 1; by its jobs that are over where nothing is known of those that run."""
    if row.pace is not None:
        return row.pace.share
    return sum(row.counts.get(state, 0) for state in FINAL) / row.jobs if row.jobs else 0.0


def slot(row: SlotRow, now: float) -> dict[str, Json]:
    """One line of `exs workers`."""
    return {
        "slot": row.name,
        "node": row.node,
        "gpus": row.gpus.split(",") if row.gpus else [],
        "pools": list(row.pools),
        "state": row.state,
        "job": row.job or None,
        "experiment": row.experiment or None,
        "index": row.index if row.index >= 0 else None,
        "pid": row.pid or None,
        "started_at": iso(row.born_at),
        "seen_ago": round(row.seen_ago, 3),
        "done": row.done,
        "failed": row.failed,
        "version": row.version or None,
        "held_for": row.held_for or None,
        "until": iso(row.until),
        "ends": iso(row.ends),
        "idle_exit": row.idle_exit or None,
        "max_jobs": row.max_jobs or None,
        "drain": None if row.drain is None else drain(row.drain),
        "leader": row.leader or None,
        "leaves": row.leaves,
        "hold": None if row.hold is None else asdict(row.hold),
    }


def drain(row: Drain) -> dict[str, Json]:
    """Why a node or slot takes no job."""
    return {
        "drained": row.place,
        "kind": row.kind or None,
        "why": row.why or None,
        "by": row.by or None,
        "at": iso(row.at),
        "until": iso(row.until),
        "stop_at": iso(row.stop_at),
    }


def unused_gpu(row: UnusedGpu) -> dict[str, Json]:
    """One GPU that gets no job."""
    return {"node": row.node, "gpu": row.gpu, "why": row.why}


def slot_counts(slots: Sequence[SlotRow]) -> dict[str, int]:
    """How many slots are in which state; busy and idle are always there."""
    counts = {"busy": 0, "idle": 0}
    for row in slots:
        counts[row.state] = counts.get(row.state, 0) + 1
    return counts


def flat(record: Mapping[str, Json]) -> dict[str, Json]:
    """`record` with one level of nesting turned into names with a dot, for CSV."""
    out: dict[str, Json] = {}
    for key, value in record.items():
        if isinstance(value, dict):
            out.update({f"{key}.{inner}": item for inner, item in value.items()})
        elif isinstance(value, list):
            out[key] = ",".join(map(str, value))
        else:
            out[key] = value
    return out
