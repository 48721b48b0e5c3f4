"""Rows as the store gives them, made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exs.model import JobState, Json
from exs.rows import ExperimentRow, JobRow, SlotRow
from exs.view.render import Listing
from exs.view.screen import Screen

NOW = 1_780_000_000.0
S = JobState


def job(index: int, state: JobState = S.DONE, params: Mapping[str, Json] | None = None, **more: Any) -> JobRow:
    """A job of the experiment `resnet`; one that has started did so ten minutes ago on gpu01:0."""
    row = JobRow(
        id=f"k3m9x2c{index:03d}",
        experiment="resnet",
        index=index,
        state=state,
        name=f"Lr_{index}",
        params=params if params is not None else {"lr": 0.1 / (index + 1), "seed": index, "model": "r50"},
        spec="1f2e3d4c",
        created_at=NOW - 3600,
    )
    if state is not S.QUEUED:
        row.node, row.gpus, row.started_at, row.attempts = "gpu01", "0", NOW - 600, 1
    if state in (S.DONE, S.CRASHED, S.PRUNED, S.CANCELED):
        row.ended_at = NOW - 600 + 41 * index + 2
    for name, value in more.items():
        assert hasattr(row, name), name
        setattr(row, name, value)
    return row


def experiment(name: str = "resnet", counts: Mapping[JobState, int] | None = None, **more: Any) -> ExperimentRow:
    counts = counts if counts is not None else {S.DONE: 2, S.RUNNING: 2, S.QUEUED: 2, S.CRASHED: 1}
    row = ExperimentRow(
        name=name,
        id="5f0c21aa",
        user="alice",
        host="laptop",
        source="/home/alice/resnet.yaml",
        kind="run",
        pool="default",
        priority=42,
        created_at=NOW - 3600,
        jobs=sum(counts.values()),
        counts=counts,
    )
    for field, value in more.items():
        assert hasattr(row, field), field
        setattr(row, field, value)
    return row


def slot(name: str = "gpu01/0", state: str = "idle", **more: Any) -> SlotRow:
    row = SlotRow(name, name.split("/")[0], name.split("/")[1], ("default",), state, born_at=NOW - 7200, seen_ago=2.0)
    for field, value in more.items():
        assert hasattr(row, field), field
        setattr(row, field, value)
    return row


def text(listing: Listing, width: int | None = None, colour: bool = False) -> str:
    """What `listing` prints on a screen of that width."""
    return "\n".join(listing.lines(Screen(width, colour, width is not None))) + "\n"


def mixed() -> list[JobRow]:
    """One job of every state that people ask about."""
    return [
        job(0, result={"val_loss": 0.3120001}),
        job(1, result={"val_loss": 0.25, "acc": 0.913}),
        job(2, S.RUNNING, gpus="2"),
        job(3, S.RUNNING, node="gpu02", gpus="0,1", lease_late=40.2, started_at=NOW - 90000),
        job(4, S.QUEUED),
        job(5, S.QUEUED, retry_at=NOW + 12, attempts=1, detail="exit code 3"),
        job(6, S.CRASHED, failure="error", detail="exit code 3", exit_code=3, tail="\nValueError: no\x1b[2J\n"),
        job(7, S.CRASHED, failure="oom", detail="the kernel killed it: 23.4 GiB of 24 GiB"),
        job(8, S.CANCELED),
    ]
