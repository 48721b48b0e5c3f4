"""What an agent clears up when it starts, and when it takes over a GPU from the slot of another."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from exs import paths
from exs.model import Fenced
from exs.store.store import Store
from exs_worker import proctree
from exs_worker.place import WORKER_PID, WORKER_START
from exs_worker.proctree import Proc
from exs_worker.spool import Spool

log = logging.getLogger("exs.worker")

#: Seconds that survivors of a dead slot have between SIGTERM and SIGKILL. Nobody will take their result.
GRACE = 0.5


def start_up(store: Store, node: str, boot: str, spool: Spool) -> None:
    """Clear up after agents and slots of this node that died: processes, undelivered outcomes, leases."""
    end_survivors()
    tidy_copies(store)
    deliver(store, spool)  # first: what a dead slot had finished is not lost with it
    report_dead_slots(store, node, boot)


def tidy_copies(store: Store) -> None:
    """Remove the code of attempts whose slot died."""
    state = paths.state_dir(configured=store.settings.state_dir)
    if state.work.is_dir():
        from exs_worker import workshop  # for those whose jobs bring their code

        workshop.tidy(state)


def deliver(store: Store, spool: Spool) -> None:
    """Deliver what is in the spool. Raises RedisUnreachable; what is left stays there."""
    for item, answer in spool.deliver(store):
        kept = "stored" if answer is Fenced.OURS else f"refused ({answer.value})"
        log.info("deliver the spooled outcome of job=%s attempt=%s: %s", item.job, item.attempt, kept)


def end_survivors() -> None:
    """End the processes of attempts whose slot no longer lives (F5)."""
    for attempt, procs in proctree.survivors().items():
        orphans = [proc for proc in procs if is_orphan(proc)]
        if orphans:
            log.warning("end %d processes that attempt=%s left behind", len(orphans), attempt)
            stuck = proctree.end(orphans, GRACE)
            if stuck:
                log.error("stuck: %s do not end", ", ".join(str(proc.pid) for proc in stuck))


def report_dead_slots(store: Store, node: str, boot: str) -> None:
    """Tell Redis which slots of this boot of the node are dead, so that their jobs run again at once."""
    dead = [
        row.name
        for row in store.workers()
        if row.node == node and row.boot == boot and proctree.gone(Proc(row.pid, row.pid_start))
    ]
    if dead:
        jobs = store.slot_dead(dead, f"its slot on {node} died")
        log.warning("report %d dead slots: %d jobs put back", len(dead), jobs)


def is_orphan(proc: Proc) -> bool:
    """True when the slot process named in this process's environment no longer lives.

    A process of another container is its own agent's business: its pids mean nothing here.
    """
    try:
        environ = Path(f"/proc/{proc.pid}/environ").read_bytes().split(b"\0")
        if os.stat(f"/proc/{proc.pid}/ns/pid").st_ino != os.stat("/proc/self/ns/pid").st_ino:
            return False
    except OSError:
        return False
    names = dict(entry.split(b"=", 1) for entry in environ if b"=" in entry)
    pid, start = (names.get(name.encode(), b"") for name in (WORKER_PID, WORKER_START))
    return pid.isdigit() and start.isdigit() and not proctree.alive(Proc(int(pid), int(start)))
