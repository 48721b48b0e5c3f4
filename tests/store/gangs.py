"""Nodes of slots with one GPU each, and jobs that want several, as tests of the store need them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from exs.model import Claim, Following, JobState, Resources
from exs.store import keys
from exs.store.push import new_id
from store.actors import Lab, Slot

GIB = 1 << 30
S = JobState


def node(lab: Lab, gpus: int = 4, name: str = "n", **offer: Any) -> list[Slot]:
    """The slots of a node."""
    there = {"node": name, "gpu_memory": 24 * GIB, **offer}
    return [registered(lab, lab.slot(f"{name}:gpu{i}", gpus=(str(i),), **there)) for i in range(gpus)]


def registered(lab: Lab, slot: Slot) -> Slot:
    """What a slot says of itself before its first claim."""
    offer, now = slot.offer, datetime.now(timezone.utc)
    ours = {
        "queues": ",".join(offer.pools), "exs_node": offer.node, "exs_boot": offer.boot, "pid": 77,
        "exs_gpus": ",".join(offer.gpus), "exs_memory": offer.gpu_memory, "exs_only": offer.only,
        "exs_locks": f"GPU-{offer.slot}", "last_heartbeat": f"{now:%Y-%m-%dT%H:%M:%S}.000000Z",
    }  # fmt: skip
    lab.client.hset(keys.RQ_WORKER + offer.slot, mapping=ours)
    lab.client.sadd(keys.RQ_WORKERS, keys.RQ_WORKER + offer.slot)
    lab.client.sadd(keys.NODE_SLOTS + offer.node, offer.slot)
    return slot


def wide(gpus: int, **more: Any) -> Resources:
    return Resources(gpus=gpus, **more)


def ask(slot: Slot) -> Claim | Following | None:
    """What a slot process hears."""
    found = slot.store.claim_or_follow(slot.offer, new_id())
    slot.held = found if isinstance(found, Claim) else None
    return found


def fields(lab: Lab, slot: Slot) -> dict[str, str]:
    return lab.client.hgetall(keys.RQ_WORKER + slot.offer.slot)
