"""What a job needs of a slot, as text in Redis and as `Resources`. The text is that of lua/lib/shape.lua."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from exs.model import Resources, gpu_memory
from exs.rows import SlotRow

_ALTERNATIVE = re.compile(
    r"(?P<gpus>\d+|\*)\|(?P<indices>[^|;]*)\|(?P<bytes>\d*)(?P<rest>(?:\|(?:in|not|pool)=[^|;]*)*)"
)
_UNSAFE = re.compile(rb"[^A-Za-z0-9._-]")
_ESCAPED = re.compile(rb"%([0-9A-F]{2})")


def shape(resources: Resources) -> str:
    """The shape of a job with these needs."""
    return ";".join(_text(one) for one in resources.alternatives)


def resources_of(text: str) -> Resources | None:
    """The inverse of `shape`; None for what fits nowhere, since a newer exs or somebody else wrote it."""
    found: list[Resources] = []
    for part in text.split(";"):
        match = _ALTERNATIVE.fullmatch(part)
        if match is None:
            return None
        tags = dict(tag.split("=", 1) for tag in match["rest"].split("|") if tag)
        found.append(
            Resources(
                gpus=None if match["gpus"] == "*" else int(match["gpus"]),
                indices=tuple(match["indices"].split(",")) if match["indices"] else None,
                gpu_memory=int(match["bytes"]) if match["bytes"] else None,
                pool=_name(tags.get("pool", "")),
                nodes=tuple(_names(tags.get("in", ""))),
                exclude_nodes=tuple(_names(tags.get("not", ""))),
            )
        )
    return Resources.any_of(found)


def runnable(needs: Resources, slots: Sequence[SlotRow], home: str, experiment: str = "") -> bool:
    """Could these slots, were they all free, run a job of `experiment` that has these needs? `home`: its pool."""
    return any(runs(one, slots, home, experiment) for one in needs.alternatives)


def runs(one: Resources, slots: Sequence[SlotRow], home: str, experiment: str = "") -> bool:
    """The same for one alternative: a slot of them fits it alone, or those of one node do together."""
    able = [slot for slot in slots if suits(one, slot, home, experiment)]
    return any(_alone(one, slot) for slot in able) or any(
        len(parts) >= (one.gpus or 0) for parts in _parts(able).values() if (one.gpus or 0) > 1
    )


def suits(one: Resources, slot: SlotRow, home: str, experiment: str = "") -> bool:
    """May the slot run this alternative, or be a part of it, its number of GPUs apart?"""
    return not lack(one, slot, home, experiment)


def lack(one: Resources, slot: SlotRow, home: str, experiment: str = "") -> str:
    """What keeps the slot from running this alternative, its number of GPUs apart; "" for nothing."""
    devices = _devices(slot)
    if (one.pool or home) not in slot.pools:
        return f"other pool ({','.join(slot.pools)})"
    if slot.only not in ("", experiment):
        return f"takes jobs of {slot.only} only"
    if one.nodes and slot.node not in one.nodes:
        return f"node {' or '.join(one.nodes)} only"
    if slot.node in one.exclude_nodes:
        return "its node is excluded"
    if one.indices is not None and not (devices and set(devices) <= set(one.indices)):
        return f"GPU {' or '.join(one.indices)} only"
    # A slot that was listed by its first claim does not tell its memory.
    if one.gpu_memory and slot.memory < one.gpu_memory and (slot.memory or not devices):
        return f"needs {gpu_memory(one.gpu_memory)}, has {gpu_memory(slot.memory) if devices else 'no GPU'}"
    return ""


def misfit(needs: Resources, slot: SlotRow, home: str, experiment: str = "", mates: Sequence[SlotRow] = ()) -> str:
    """Why the slot can run no job with these needs, not even with others of its node among `mates`; "" if it can."""
    found: dict[str, None] = {}
    for one in needs.alternatives:
        why = lack(one, slot, home, experiment) or _too_few(one, slot, home, experiment, mates)
        if not why:
            return ""
        found[why] = None
    return ", or ".join(found)


def _too_few(one: Resources, slot: SlotRow, home: str, experiment: str, mates: Sequence[SlotRow]) -> str:
    have = len(_devices(slot))
    if _alone(one, slot):
        return ""
    if one.gpus == 0:
        return "needs no GPU, has one" if have == 1 else f"needs no GPU, has {have}"
    if have == 1 and runs(one, [mate for mate in (slot, *mates) if mate.node == slot.node], home, experiment):
        return ""
    if not have:
        return "needs a GPU" if one.gpus == 1 else f"needs {one.gpus} GPUs, has none"
    around = _parts([mate for mate in (slot, *mates) if mate.node == slot.node]).values() if have == 1 else ()
    most = max(map(len, around), default=0)
    return f"needs {one.gpus} GPUs, its node has {most}" if most > 1 else f"needs {one.gpus} GPUs, has {have}"


def _alone(one: Resources, slot: SlotRow) -> bool:
    have = len(_devices(slot))
    return one.gpus is None or (have == 0 if one.gpus == 0 else have >= one.gpus)


def _parts(slots: Sequence[SlotRow]) -> dict[tuple[str, str, bool], set[str]]:
    """Devices of slots with one GPU each, by node, boot and way of naming: these can serve one job together."""
    found: dict[tuple[str, str, bool], set[str]] = {}
    for slot in slots:
        devices = _devices(slot)
        if len(devices) == 1 and not devices[0].startswith("MIG-"):
            found.setdefault((slot.node, slot.boot, devices[0].isdecimal()), set()).add(devices[0])
    return found


def _devices(slot: SlotRow) -> list[str]:
    return [device for device in slot.gpus.split(",") if device]


def _text(one: Resources) -> str:
    gpus = "*" if one.gpus is None else str(one.gpus)
    text = f"{gpus}|{','.join(one.indices or ())}|{one.gpu_memory or ''}"
    for tag, names in (("in", one.nodes), ("not", one.exclude_nodes), ("pool", (one.pool,) if one.pool else ())):
        if names:
            text += f"|{tag}={','.join(map(_word, names))}"
    return text


def _word(name: str) -> str:
    """The name of a node or pool as it stands in a shape."""
    raw = name.encode("utf-8", "backslashreplace")
    return _UNSAFE.sub(lambda match: b"%%%02X" % match[0][0], raw).decode()


def _name(word: str) -> str:
    raw = word.encode("utf-8", "backslashreplace")
    return _ESCAPED.sub(lambda match: bytes([int(match[1], 16)]), raw).decode("utf-8", "backslashreplace")


def _names(words: str) -> Iterator[str]:
    return (_name(word) for word in words.split(",") if word)
