"""Counts of jobs as words: `34 done  6 running  2 crashed`."""

from __future__ import annotations

from collections.abc import Mapping

from exs.model import JobState
from exs.view.screen import Screen

_S = JobState

#: Word, its style, and the states it counts. What has no jobs is not mentioned.
_WORDS: tuple[tuple[str, str, tuple[JobState, ...]], ...] = (
    ("done", "green", (_S.DONE,)),
    ("pruned", "green", (_S.PRUNED,)),
    ("running", "cyan", (_S.RUNNING, _S.PAUSING)),
    ("waiting", "", (_S.QUEUED,)),
    ("paused", "yellow", (_S.PAUSED,)),
    ("crashed", "red", (_S.CRASHED,)),
    ("canceled", "yellow", (_S.CANCELED,)),
)

#: What to say where jobs wait and no slot is there.
NO_WORKER = "jobs wait, but no worker is running. Start one: exs worker"


def counted(counts: Mapping[JobState, int], screen: Screen) -> str:
    """`counts` on one line, `no jobs` where there are none."""
    parts = []
    for word, style, states in _WORDS:
        number = sum(counts.get(state, 0) for state in states)
        if number:
            parts.append(screen.paint(f"{number} {word}", style))
    return "  ".join(parts) or "no jobs"
