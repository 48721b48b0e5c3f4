"""Which nodes and slots a verb is about: `gpu01`, `gpu01:gpu0`, or `gpu01:0` as lists write where a job runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

import click

from exs.errors import NotFound
from exs.paths import NAME
from exs.rows import Drain, SlotRow

if TYPE_CHECKING:
    from exs.store.store import Store

names_argument = click.argument("names", nargs=-1, required=True, metavar="NODE|NODE:gpu0 ...")


def found(store: Store, names: Sequence[str], slots: Sequence[SlotRow], drains: Iterable[Drain] = ()) -> list[str]:
    """Nodes and lasting names of slots that `names` mean, each once. Raises NotFound, naming one that is close.

    A node that was there within a week is known, and so is any slot of it while none of its slots is there to
    tell which it has; so is what is drained.
    """
    known = {slot.node for slot in slots} | {slot.lasting for slot in slots} | {drain.place for drain in drains}
    places: dict[str, None] = {}
    for name in names:
        meant = _meant(name, slots)
        if not meant and name not in known and not _absent(store, name, slots):
            close = get_close_matches(name, known, 1)
            hint = f"Did you mean {close[0]}?" if close else "exs workers shows them."
            raise NotFound(f"no node or slot {name!r}.", hint)
        places.update(dict.fromkeys(meant or [name]))
    return list(places)


def _meant(name: str, slots: Sequence[SlotRow]) -> list[str]:
    """Slots by their whole name, or by node and GPUs."""
    return sorted(
        {slot.lasting for slot in slots if name == slot.name or (slot.gpus and name == f"{slot.node}:{slot.gpus}")}
    )


def _absent(store: Store, name: str, slots: Sequence[SlotRow]) -> bool:
    """True for a node that is known and has no slot now, and for a slot of one."""
    node, colon, suffix = name.partition(":")
    good = NAME.match(node) and (not colon or NAME.match(suffix))
    return bool(good) and all(slot.node != node for slot in slots) and not store.forgot(node)
