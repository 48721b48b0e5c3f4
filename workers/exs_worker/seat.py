"""What an agent serves, and each of its slots: the process in it, and what it was told."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from exs_worker.config import SlotConfig
from exs_worker.proctree import Proc
from exs_worker.slotplan import SlotPlan
from exs_worker.terms import FOR_EVER, Ledger, Terms

#: A slot that died waits this long before it is started again, doubling while it dies at once.
FIRST_WAIT = 0.5


@dataclass(frozen=True)
class NodeConfig:
    """What one agent serves. `only`: one experiment alone. `workdir`: run every job there.

    `lifeline`: a descriptor whose end of file means stop. `quiet`: slots log only what goes wrong.
    `share_gpus`: use a GPU though others compute on it. `terms`: for how long to serve.
    """

    node: str
    boot: str
    pools: tuple[str, ...]
    plans: Sequence[SlotPlan]
    only: str = ""
    workdir: str = ""
    lifeline: int = -1
    quiet: bool = False
    share_gpus: bool = False
    terms: Terms = FOR_EVER


@dataclass
class Seat:
    """A slot to keep filled, and the process in it. `number`: which of the worker's it is."""

    plan: SlotPlan
    number: int = 0
    name: str = ""
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    wait: float = FIRST_WAIT
    due: float = 0.0
    taken_by: int | None = None
    left: set[Proc] = field(default_factory=set)  # what its last slot left behind, while it lives
    leaving: bool = False  # its slot was told to leave when its job is done
    failed: str = ""  # its GPU failed, and its slot was killed for it

    def start(
        self,
        config: NodeConfig,
        lifeline: int,
        env: Mapping[str, str],
        gpu_errors: tuple[int, ...],
        ledger: Ledger | None,
    ) -> None:
        """Start a slot process under a new name. `lifeline`: what the agent's death closes."""
        plan = self.plan
        self.name = f"{config.node}:{plan.suffix}@{secrets.token_hex(2)}"
        word = SlotConfig(
            name=self.name,
            node=config.node,
            boot=config.boot,
            pools=config.pools,
            devices=plan.devices,
            memory=plan.memory,
            locks=plan.locks,
            only=config.only,
            workdir=config.workdir,
            lifeline=lifeline,
            quiet=config.quiet,
            gpu_errors=gpu_errors,
            terms=config.terms,
            ledger=-1 if ledger is None else ledger.descriptor,
            seat=self.number,
            seats=len(config.plans),
        ).to_word()
        # -c puts the current directory on the path: a user's own redis.py must not become ours.
        code = "import sys; '' in sys.path and sys.path.remove(''); from exs_worker.main import main; main()"
        if ledger is not None:
            ledger.starts(self.number)
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, word],
            stdin=subprocess.DEVNULL,
            stdout=2,  # what a library prints is no output of `exs run`
            env=dict(env),
            start_new_session=True,
            pass_fds=(lifeline,) if ledger is None else (lifeline, ledger.descriptor),
        )
        self.started = time.monotonic()

    def leave(self, how: int = signal.SIGTERM) -> None:
        """Tell the slot to finish its job and leave; said again it changes nothing, for a second SIGTERM would take
        the job from it. `how`: `HAND_BACK` does take it."""
        if self.process and not (self.leaving and how == signal.SIGTERM):
            self.leaving = True
            self.signal(how)

    def signal(self, number: int) -> None:
        """Signal the slot. Popen's own way would bury one that has just ended, and the agent never hear of it."""
        if self.process:
            os.kill(self.process.pid, number)
