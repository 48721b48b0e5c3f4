"""What jobs need and what slots have, in words: `2 GPUs of 24 GiB in pool a100`, `4 slots with 1 GPU of 11 GiB`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from exs.model import Resources, gpu_memory
from exs.rows import SlotRow
from exs.view.text import safe

#: Kinds of slots that a sentence names.
_KINDS = 4


def needed(needs: Resources) -> str:
    """What a job needs, its alternatives joined by `or`."""
    return ", or ".join(dict.fromkeys(map(_one, needs.alternatives)))


def had(slots: Sequence[SlotRow]) -> str:
    """What these slots have, most of them first."""
    kinds = Counter(map(_kind, slots)).most_common()
    words = [f"{number} {'slot' if number == 1 else 'slots'} {kind}" for kind, number in kinds[:_KINDS]]
    if len(kinds) > _KINDS:
        words.append(f"{sum(number for _, number in kinds[_KINDS:])} others")
    return ", ".join(words) or "no slots"


def _one(one: Resources) -> str:
    words = {None: "any slot", 0: "a slot without a GPU", 1: "1 GPU"}.get(one.gpus, f"{one.gpus} GPUs")
    if one.gpu_memory:
        words = f"{'a GPU' if one.gpus is None else words} of {gpu_memory(one.gpu_memory)}"
    if one.indices:
        words += f" with index {' or '.join(map(safe, one.indices))}"
    if one.pool:
        words += f" in pool {safe(one.pool)}"
    if one.nodes:
        words += f" on {' or '.join(map(safe, one.nodes))}"
    if one.exclude_nodes:
        words += f" not on {' or '.join(map(safe, one.exclude_nodes))}"
    return words


def _kind(slot: SlotRow) -> str:
    gpus = len([gpu for gpu in slot.gpus.split(",") if gpu])
    words = "without a GPU" if not gpus else f"with {gpus} GPU" + ("s" if gpus > 1 else "")
    if gpus and slot.memory:
        words += f" of {gpu_memory(slot.memory)}"
    if slot.pools != ("default",):
        words += f" in pool {safe(','.join(slot.pools))}"
    return f"{words} for {safe(slot.only)} alone" if slot.only else words
