"""Rows of slots, and of what is drained, from what the scripts answer. Nothing in them is trusted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from exs.errors import BrokenRecord
from exs.rows import Drain, Hold, SlotRow
from exs.store.records import pairs, text
from exs.store.rows import LARGEST, experiment_of, iso_seconds, mapping, whole


def slot_rows(now: float, replies: Iterable[Sequence[Any]]) -> list[SlotRow]:
    """Slots by node and name, of what workers.lua said at `now` (ms)."""
    slots = [slot_row(reply, now / 1000) for reply in replies if not reply[4]]
    return sorted(slots, key=lambda row: (row.node, len(row.gpus), row.gpus, len(row.name), row.name))


def slot_row(reply: Sequence[Any], now: float) -> SlotRow:
    """One row of `workers.lua`."""
    name, flat, queue, index, _, started, place, drained, *hold = reply
    f = pairs(flat)
    drain = drain_from(text(place), drained) if place else None
    terms = _terms(f.get("exs_terms"))
    state = text(f.get("state"))
    held_for, next_index, held, wanted = hold or (b"", b"", 0, 0)
    seen = max(0.0, now - iso_seconds(f.get("last_heartbeat")))
    return SlotRow(
        name=text(name),
        node=text(f.get("exs_node")) or text(f.get("hostname")),
        gpus=text(f.get("exs_gpus")),
        pools=tuple(text(f.get("queues")).split(",")),
        state=state if drain is None else "draining" if state == "busy" else "drained",
        job=text(f.get("current_job")),
        experiment=experiment_of(text(queue)),
        index=whole(index) if index else -1,
        pid=whole(f.get("pid")),
        born_at=iso_seconds(f.get("birth")),
        seen_ago=seen,
        done=whole(f.get("successful_job_count")),
        failed=whole(f.get("failed_job_count")),
        version=text(f.get("exs_version")),
        boot=text(f.get("exs_boot")),
        pid_start=whole(f.get("exs_start")),
        memory=whole(f.get("exs_memory")),
        only=text(f.get("exs_only")),
        job_started_at=iso_seconds(started),
        until=min((terms[name] for name in ("until", "stop_by") if terms.get(name)), default=0.0),
        ends=_end(terms),
        idle_exit=terms.get("idle_exit", 0.0),
        max_jobs=int(terms.get("max_jobs", 0)),
        drain=drain,
        hold=Hold(experiment_of(text(held_for)), whole(next_index), held, wanted)
        if held_for and state == "idle"
        else None,
        leader=text(f.get("exs_lead")),
        leaves="exs_leaves" in f,
    )


def _terms(record: bytes | None) -> dict[str, float]:
    """When a worker leaves; what cannot be read is left out."""
    try:
        f = mapping(record, "exs_terms")
    except BrokenRecord:
        return {}
    return {name: value for name, value in f.items() if isinstance(value, (int, float)) and abs(value) <= LARGEST}


def _end(terms: Mapping[str, float]) -> float:
    """As `exs_worker.terms.Terms.end` says it; 0.0 for never."""
    ends = [terms["until"] + terms["grace"]] if terms.get("until") and "grace" in terms else []
    ends += [terms["stop_by"]] if terms.get("stop_by") else []
    return min(ends, default=0.0)


def drain_from(place: str, record: bytes) -> Drain:
    """A value of exs:drained; what of it cannot be read is left out."""
    try:
        f = mapping(record, f"drain of {place}")
    except BrokenRecord:
        f = {"why": "its record cannot be read"}

    def said(name: str) -> str:
        value = f.get(name)
        return value if isinstance(value, str) else ""

    def moment(name: str) -> float:
        value = f.get(name)
        return value / 1000 if isinstance(value, (int, float)) and abs(value) <= LARGEST else 0.0

    return Drain(place, said("why"), said("by"), moment("at"), said("kind"), moment("until"), moment("stop"))
