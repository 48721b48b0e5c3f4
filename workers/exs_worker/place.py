"""What is the same for every attempt of one slot."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exs.settings import Limits, Timing
from exs_worker import proctree
from exs_worker.launch import base_environment, keep_descriptors
from exs_worker.outcome import OomCounter

if TYPE_CHECKING:
    from exs_worker.workshop import Workshop

#: In the environment of every job: the slot process that runs it.
WORKER_NAME, WORKER_PID, WORKER_START = "EXS_WORKER", "EXS_WORKER_PID", "EXS_WORKER_START"


@dataclass(frozen=True)
class Place:
    """Where the attempts of one slot run.

    `devices`: what jobs are pinned to, () for none. `env`: what jobs inherit. `workdir`: run every job there; ""
    lets a job run where it was pushed from, or else in the worker's own directory. `workshop`: who brings the code of
    jobs that have a capsule, made when one comes; None for nobody. `warnings`: signals with which a batch scheduler
    announces that it ends all of this, jobs included.
    """

    node: str
    slot: str
    devices: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    timing: Timing = field(default_factory=Timing)
    limits: Limits = field(default_factory=Limits)
    workdir: str = ""
    oom: OomCounter = field(default_factory=OomCounter)
    workshop: Callable[[], Workshop] | None = None
    warnings: frozenset[int] = frozenset()


def make_place(
    node: str,
    slot: str,
    devices: tuple[str, ...],
    timing: Timing,
    limits: Limits,
    workdir: str = "",
    redis_env_names: Collection[str] = (),
) -> Place:
    """The place of this slot process, made once. Jobs inherit this process's environment but `redis_env_names`, and
    none of its descriptors.

    `EXS_WORKER_PID` and `EXS_WORKER_START` tell a later agent whether the slot that a process belongs to still lives.
    """
    keep_descriptors()
    own = proctree.read(os.getpid())
    env = {
        **base_environment(os.environ, redis_env_names),
        WORKER_NAME: slot,
        WORKER_PID: str(os.getpid()),
        WORKER_START: str(own.proc.start if own else 0),
    }
    return Place(node, slot, devices, env, timing, limits, workdir)
