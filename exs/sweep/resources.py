"""`resources:` of exs's own dialect: what a job needs, or several things of which any will do."""

from __future__ import annotations

from exs.errors import InputError
from exs.model import DEFAULT_POOL, Resources
from exs.paths import checked_name
from exs.settings import Limits
from exs.sweep.fields import Fields
from exs.sweep.suggest import shorten

_NEEDS = ("gpus", "gpu_memory", "pool", "node", "exclude_node")
_KEYS = (*_NEEDS, "any")
#: GPUs of one job.
MOST_GPUS = 1024
#: Alternatives, and nodes named in one of them: each is looked at whenever a slot asks for work.
_MOST_ALTERNATIVES = 8
_MOST_NODES = 64


def read(needs: Fields, limits: Limits) -> tuple[Resources, str]:
    """What each job needs, and the pool of the experiment. Raises InputError with file:line.

    What stands beside `any` holds for each of its alternatives that does not say otherwise.
    """
    needs.check_known(_KEYS)
    everywhere = pool(needs, "pool", limits)
    listed = needs.items("any")
    if listed is None:
        return _one(needs, needs, limits), everywhere
    if len(listed) > _MOST_ALTERNATIVES:
        raise InputError(
            f"{needs.at('any')}: has {len(listed)} alternatives; at most {_MOST_ALTERNATIVES} are possible."
        )
    found: list[Resources] = []
    pools: list[str] = []
    for number in range(len(listed)):
        written = Fields.of(needs.document, *needs.path, "any", number)
        written.check_known(_NEEDS)
        if not written.data:
            raise InputError(
                f"{needs.at('any', number)}: an alternative must say what a job needs.", "Write {gpus: 1}."
            )
        own = pool(written, "pool", limits) if "pool" in written else ""
        pools.append(own or everywhere)
        found.append(_one(written, needs, limits, own))
    return Resources.any_of(found), everywhere if "pool" in needs else pools[0]


def pool(fields: Fields, key: str, limits: Limits) -> str:
    """The name of a pool of slots; raises InputError for one that cannot be."""
    name = fields.text(key)
    return DEFAULT_POOL if name is None else checked_name(name, limits.name_chars, fields.at(key), "name a pool")


def _one(written: Fields, around: Fields, limits: Limits, own_pool: str = "") -> Resources:
    def place(key: str) -> Fields:
        return written if key in written else around

    gpus = place("gpus").integer("gpus", 0, MOST_GPUS)
    memory = place("gpu_memory").size("gpu_memory")
    if gpus == 0 and memory:
        where = place("gpu_memory").at("gpu_memory")
        raise InputError(f"{where}: asks for GPU memory, but gpus is 0.", "Remove one of them.")
    nodes, excluded = (_nodes(place(key), key, limits) for key in ("node", "exclude_node"))
    if nodes and set(nodes) <= set(excluded):
        where = place("exclude_node").at("exclude_node")
        raise InputError(f"{where}: excludes every node that is named by node.", "Remove one of them.")
    return Resources(gpus=gpus, gpu_memory=memory, pool=own_pool, nodes=nodes, exclude_nodes=excluded)


def _nodes(fields: Fields, key: str, limits: Limits) -> tuple[str, ...]:
    """One name, or a list of them."""
    written = fields.get(key)
    names = fields.items(key) if isinstance(written, list) else [written] if written is not None else []
    if len(names or ()) > _MOST_NODES:
        raise InputError(f"{fields.at(key)}: names {len(names or ())} nodes; at most {_MOST_NODES} are possible.")
    for name in names or ():
        if not isinstance(name, str):
            raise InputError(
                f"{fields.at(key)}: {shorten(name)} must be the name of a node.", "exs workers lists them."
            )
        checked_name(name, limits.name_chars, fields.at(key), "name a node")
    return tuple(dict.fromkeys(names or ()))
