"""The node inside `exs run`: an agent in a child process, for one experiment, as long as its parent lives."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from exs.errors import ExsError, InputError
from exs.model import Resources
from exs.rows import SlotRow
from exs.settings import Settings
from exs.store import shapes
from exs_worker import plainfile, proctree
from exs_worker.config import FINISH, HAND_BACK
from exs_worker.devices import Discovery
from exs_worker.serve import serve
from exs_worker.slotplan import SlotPlan, plan_slots

log = logging.getLogger("exs.worker")


def local_plans(discovery: Discovery, wanted: Sequence[str], visible: str | None) -> list[SlotPlan]:
    """One slot per entry of runner's `resource`: "0" or "0,1". An entry that stands there twice shares its GPUs.

    Raises InputError for a GPU that is not there.
    """
    counts = Counter(wanted)
    plans: list[SlotPlan] = []
    for entry, number in counts.items():
        (plan,) = plan_slots(discovery, slots=(entry,), visible=visible)
        if number == 1:
            plans.append(plan)
        else:
            plans += [
                SlotPlan(
                    f"{plan.suffix}.{share}", plan.devices, plan.memory, tuple(f"{lock}/{share}" for lock in plan.locks)
                )
                for share in range(number)
            ]
    return plans


def default_plans(discovery: Discovery, jobs: int, visible: str | None) -> list[SlotPlan]:
    """Every GPU of this machine; without any, a CPU slot per core, never more than there are jobs."""
    if discovery.devices:
        return plan_slots(discovery, gpus="all", visible=visible)
    cores = len(os.sched_getaffinity(0))
    return plan_slots(discovery, cpus=max(1, min(cores, jobs)), visible=visible)


def serves(plans: Sequence[SlotPlan], needs: Resources, pool: str, node: str) -> bool:
    """True if these slots, of a node and a pool, could run a job that has these needs."""
    return any(_serves(plans, one, pool, node) for one in needs.alternatives)


def _serves(plans: Sequence[SlotPlan], one: Resources, pool: str, node: str) -> bool:
    rows = [
        SlotRow(plan.suffix, node, ",".join(plan.devices), (pool,), "idle", memory=plan.memory)
        for plan in plans
        if plan.memory >= (one.gpu_memory or 0)  # where NVML does not tell it, the queue believes in none
    ]
    return shapes.runs(one, rows, pool)


@dataclass
class LocalNode:
    """The child process. `output` is the read end of what it says."""

    pid: int
    output: int
    _lifeline: int

    @classmethod
    def start(cls, settings: Settings, plans: Sequence[SlotPlan], pool: str, only: str) -> LocalNode:
        """Fork the agent. It leaves by itself, jobs finished, when this process ends in whatever way."""
        said_read, said_write = os.pipe()
        life_read, life_write = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                os.setsid()
                os.close(said_read)
                os.close(life_write)
                _detach(said_write)
                code = serve(settings, plans, (pool,), only=only, lifeline=life_read, quiet=True)
            except ExsError as error:
                print(error, file=sys.stderr, flush=True)
            except Exception:  # nobody else would say it
                log.exception("the workers of this run have failed")
            finally:
                os._exit(code)
        os.close(said_write)
        os.close(life_read)
        os.set_blocking(said_read, False)
        return cls(pid, said_read, life_write)

    def stop(self, now: bool) -> None:
        """Leave when the running jobs are finished, or `now`: hand them back."""
        if self.alive():
            os.kill(self.pid, HAND_BACK if now else FINISH)

    def alive(self) -> bool:
        """True until the agent and its slots have left."""
        if self.pid:
            done, _ = os.waitpid(self.pid, os.WNOHANG)
            if done:
                self.pid = 0
        return self.pid != 0

    def running(self) -> int:
        """How many of its slots have a job: those with a process below them. Redis need not be there to tell."""
        return sum(bool(proctree.children(slot)) for slot in proctree.children(self.pid))

    def said(self) -> list[str]:
        """Lines of the agent and its slots since the last call."""
        try:
            data = os.read(self.output, 65536)
        except BlockingIOError:
            return []
        return data.decode("utf-8", "replace").splitlines()


def _detach(output: int) -> None:
    """Write to `output` and read nothing: a pipe behind the parent must end with the parent."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, nothing), (1, output), (2, output)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(output)


def keep_copy(source: str, path: str) -> None:
    """Copy the sweep file `source` to `path`, whole or not at all. Raises OSError."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = f"{path}.{os.getpid()}"
    try:
        with Path(source).open("rb") as file:
            fd = plainfile.create(temporary)
            try:
                plainfile.write_all(fd, file.read())
            finally:
                os.close(fd)
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def check(plans: Sequence[SlotPlan], needs: Iterable[Resources], pool: str, node: str) -> None:
    """Raise InputError when some job could never run on these slots of a node and a pool."""
    for need in needs:
        if not serves(plans, need, pool, node):
            have = ", ".join(plan.suffix for plan in plans)
            raise InputError(
                f"a job needs {' or '.join(map(_words, need.alternatives))}; the slots here are {have}.",
                "Choose others with --gpus, --slot or --cpus, or push it for other machines: exs push.",
            )


def _words(one: Resources) -> str:
    """What an alternative asks for, as the object of a sentence."""
    many = one.gpus or 1
    what = "a slot without a GPU" if one.gpus == 0 else f"{many} GPU{'s' if many > 1 else ''}"
    if one.gpu_memory:
        what += f" with {one.gpu_memory / 2**30:.3g} GiB"
    if one.indices is not None:
        what += f" among {', '.join(one.indices)}"
    if one.pool:
        what += f" of the pool {one.pool}"
    if one.nodes or one.exclude_nodes:
        what += f" on {' or '.join(one.nodes)}" if one.nodes else f" not on {' or '.join(one.exclude_nodes)}"
    return what
