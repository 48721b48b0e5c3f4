"""What agent and slot say to each other: configuration on the command line, a signal, exit codes. Nothing secret."""

from __future__ import annotations

import json
import signal
from dataclasses import asdict, dataclass
from typing import Any

from exs.model import Offer
from exs_worker.terms import FOR_EVER, Ledger, Terms, Ticket

#: Exit code of a slot whose GPU another process holds; the agent waits and tries again.
EXIT_TAKEN = 75
#: Exit code of a slot whose GPU failed under its job.
EXIT_GPU = 76
#: Exit code of a slot that failed for a reason of its own (EX_SOFTWARE).
EXIT_BUG = 70
#: To an agent, and from it to its slots: leave and hand the job back, as two SIGTERMs ask.
HAND_BACK = signal.SIGUSR1
#: Tells an agent to let its slots finish their jobs and leave. Unlike SIGTERM, the second one changes nothing.
FINISH = signal.SIGUSR2


@dataclass(frozen=True)
class SlotConfig:
    """One slot. `devices`: what its jobs are pinned to; `memory`: bytes of the smallest; `locks`: names of their locks.

    `lifeline`: a descriptor that is closed when the agent dies. `quiet`: log only what goes wrong.
    `gpu_errors`: uncorrected memory errors that each device had when the slot started. `terms`: of its worker,
    `ledger`: the descriptor of what its slots share for them, -1 if nothing, `seat`: which of `seats` is this slot's.
    """

    name: str
    node: str
    boot: str
    pools: tuple[str, ...]
    devices: tuple[str, ...] = ()
    memory: int = 0
    locks: tuple[str, ...] = ()
    only: str = ""
    workdir: str = ""
    lifeline: int = -1
    quiet: bool = False
    gpu_errors: tuple[int, ...] = ()
    terms: Terms = FOR_EVER
    ledger: int = -1
    seat: int = 0
    seats: int = 1

    @property
    def offer(self) -> Offer:
        """What the slot asks the queue with."""
        return Offer(
            self.name, self.node, self.boot, self.pools, self.devices, self.memory, self.only, self.terms.monotonic_end
        )

    @property
    def ticket(self) -> Ticket:
        """What the slot may take."""
        ledger = Ledger(self.ledger, self.seats, self.terms.max_jobs) if self.ledger >= 0 else None
        return Ticket(self.terms, ledger, self.seat)

    @property
    def warnings(self) -> frozenset[int]:
        """Signals that may announce the end of an allocation to all of its processes; none outside of one."""
        named = [signal.Signals[name] for name in self.terms.last_words.split()]
        return frozenset({*named, HAND_BACK} if named else ())

    def to_word(self) -> str:
        """As one word of a command line."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_word(cls, word: str) -> SlotConfig:
        """The inverse of `to_word`."""
        data: dict[str, Any] = json.loads(word)
        for name in ("pools", "devices", "locks", "gpu_errors"):
            data[name] = tuple(data[name])
        data["terms"] = Terms(**data["terms"])
        return cls(**data)
