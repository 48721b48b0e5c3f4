"""What ends an attempt before its time: what may be asked for, and which of several wishes counts."""

from __future__ import annotations

#: Ways to stop an attempt of a job that is to run again, or to be paused.
PLANNED = ("preempt", "edit", "pause", "requeue")
#: Ways to stop an attempt, weakest first; a stronger one replaces a weaker one.
STOPS = (*PLANNED, "cancel", "kill", "fenced")
#: Those that Redis asks for; the others are this node's.
ASKED = frozenset({"preempt", "edit", "pause", "cancel", "kill"})

#: What is said of an attempt that was stopped so.
WORDS = {
    "preempt": "preempted",
    "edit": "stopped to be edited",
    "pause": "paused",
    "requeue": "handed back by its worker",
    "cancel": "canceled",
    "kill": "killed on request",
    "fenced": "taken over by another attempt",
}


class Stops:
    """What was asked of one attempt; without a lock, since who asks may be a signal handler in our own thread.

    `kept`: the sweep lets it run to its end when its job is another attempt's (`on_lost: keep`). `void`: it is, and
    nothing of it counts.
    """

    def __init__(self, kept: bool) -> None:
        self.kept = kept
        self.void = False
        self._asked: set[str] = set()

    def ask(self, kind: str) -> None:
        """Note a wish. Raises ValueError for a word that is none of `STOPS`."""
        if kind not in STOPS:
            raise ValueError(f"unknown way to stop: {kind!r}")
        if kind == "fenced":
            self.void = True
            if self.kept:
                return
        self._asked.add(kind)  # one bytecode

    def want(self) -> str:
        """The strongest wish, "" for none."""
        return next(kind for kind in reversed(STOPS) if kind in self._asked) if self._asked else ""
