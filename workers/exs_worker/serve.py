"""From settings and slot plans to a running agent. What `exs worker` and `exs run` call."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Sequence
from dataclasses import replace

from exs import paths
from exs.errors import Refused
from exs.process import boot_id
from exs.settings import Settings
from exs.store import safety
from exs.store.store import Store, open_store
from exs_worker.agent import Agent
from exs_worker.journal import set_up_log
from exs_worker.node import Agents
from exs_worker.seat import NodeConfig
from exs_worker.slotplan import SlotPlan
from exs_worker.spool import Spool
from exs_worker.terms import FOR_EVER, Terms

log = logging.getLogger("exs.worker")


def serve(
    settings: Settings,
    plans: Sequence[SlotPlan],
    pools: tuple[str, ...],
    *,
    only: str = "",
    workdir: str = "",
    lifeline: int = -1,
    quiet: bool = False,
    share_gpus: bool = False,
    terms: Terms = FOR_EVER,
) -> int:
    """Be the agent of this node until told to stop, or until `lifeline` is closed; returns the exit code.

    Raises RedisUnreachable at the start. `quiet`: say only what goes wrong. `share_gpus`: use a
    GPU though processes of others compute on it. `terms`: leave by itself, and when.
    """
    set_up_log(quiet)
    store = open_store(settings.redis_url, settings)
    boot = boot_id()
    node = store.node_up(settings.node or socket.gethostname(), boot, paths.machine_id(), os.getpid())
    settings = replace(settings, node=node)
    config = NodeConfig(
        node, boot, pools, plans, only, os.path.abspath(workdir) if workdir else "", lifeline, quiet, share_gpus, terms
    )
    # Slots read their settings as every command does; the URL travels in the environment, never on a command line.
    environment = {**os.environ, "EXS_REDIS_URL": settings.redis_url, "EXS_NODE": node}
    spool = Spool(paths.state_dir(configured=settings.state_dir).spool)
    note = agents(settings).register()
    slots = ", ".join(plan.suffix for plan in plans)
    log.info("serve %s as node=%s pool=%s%s", slots, node, ",".join(pools), f" only={only}" if only else "")
    if said := str(terms):
        log.info("serve %s", said)
    if only and lifeline < 0 and not any(row.name == only for row in store.experiments()):
        log.warning("there is no experiment %s yet; its jobs are taken when it is pushed", only)
    try:
        return Agent(store, settings, config, spool, environment).run()
    finally:
        with contextlib.suppress(OSError):
            note.unlink()


def agents(settings: Settings) -> Agents:
    """The agents of this user on this machine."""
    return Agents(paths.state_dir(configured=settings.state_dir).agents)


def refuse_unsafe_redis(store: Store, insecure: bool = False) -> None:
    """Raise Refused for a Redis that anybody on the network can write to, who could then run commands here (R13; not if
    `insecure`), and for one that drops jobs when its memory is full."""
    for danger in safety.dangers(store.server(), insecure):
        anyway = " On a network that you trust, --insecure serves it all the same." if danger.waivable else ""
        raise Refused(danger.what, f"exs doctor says what to type.{anyway}")
