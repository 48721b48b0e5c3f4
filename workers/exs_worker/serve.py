"""From settings and slot plans to a running agent. What `exs worker` and `exs run` call."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import socket
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from exs import paths
from exs.errors import Refused
from exs.settings import Settings
from exs.store.store import open_store
from exs_worker.agent import Agent
from exs_worker.journal import set_up_log
from exs_worker.node import Agents, boot_id
from exs_worker.seat import NodeConfig
from exs_worker.slotplan import SlotPlan
from exs_worker.spool import Spool

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
) -> int:
    """Be the agent of this node until told to stop, or until `lifeline` is closed; returns the exit code.

    Raises RedisUnreachable at the start. `quiet`: say only what goes wrong. `share_gpus`: use a
    GPU though processes of others compute on it.
    """
    set_up_log(quiet)
    store = open_store(settings.redis_url, settings)
    boot = boot_id()
    node = store.node_up(settings.node or socket.gethostname(), boot, paths.machine_id(), os.getpid())
    settings = replace(settings, node=node)
    config = NodeConfig(
        node, boot, pools, plans, only, os.path.abspath(workdir) if workdir else "", lifeline, quiet, share_gpus
    )
    # Slots read their settings as every command does; the URL travels in the environment, never on a command line.
    environment = {**os.environ, "EXS_REDIS_URL": settings.redis_url, "EXS_NODE": node}
    spool = Spool(paths.state_dir(configured=settings.state_dir).spool)
    note = agents(settings).register()
    log.info("serve %s as node=%s pool=%s", ", ".join(plan.suffix for plan in plans), node, ",".join(pools))
    try:
        return Agent(store, settings, config, spool, environment).run()
    finally:
        with contextlib.suppress(OSError):
            note.unlink()


def agents(settings: Settings) -> Agents:
    """The agents of this user on this machine."""
    return Agents(paths.state_dir(configured=settings.state_dir).agents)


def refuse_open_redis(settings: Settings) -> None:
    """Raise Refused for a Redis without a password that is neither on loopback nor a socket: who can write to it can
    run commands here (R13)."""
    parts = urlsplit(settings.redis_url)
    if parts.scheme == "unix" or parts.password or _loopback(parts.hostname or "localhost"):
        return
    raise Refused(
        f"Redis at {parts.hostname} has no password: whoever reaches it could run commands on this machine.",
        "Set one (requirepass) and put it into EXS_REDIS_URL, or use --insecure on a network that you trust.",
    )


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
