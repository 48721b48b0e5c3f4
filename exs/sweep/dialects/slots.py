"""GPUs as seed systems write them in a sweep file: one slot of `exs run` per device string."""

from __future__ import annotations

import re
from collections.abc import Sequence

from exs.errors import InputError
from exs.model import Json
from exs.sweep.suggest import shorten

_DEVICE = re.compile(r"(0|[1-9][0-9]{0,3}|(GPU|MIG)-[0-9A-Za-z/-]+)\Z")


def device_string(written: Json, where: str) -> str:
    """`0` and `"0, 1"` as "0" and "0,1"; "" is a slot without a GPU. Raises InputError for what is no GPU."""
    text = str(written) if type(written) in (int, str) else "?"
    devices = [part.strip() for part in text.split(",")] if text else []
    for device in devices:
        if not _DEVICE.match(device):
            raise InputError(
                f"{where}: {shorten(written)} is not a GPU.", 'Write an index as 0, or several for one job as "0,1".'
            )
    if len(set(devices)) < len(devices):
        raise InputError(f"{where}: {shorten(text)} lists a GPU twice.", "Remove one of them.")
    return ",".join(devices)


def indices(slots: Sequence[str]) -> tuple[str, ...] | None:
    """The GPUs that `slots` name, each once; None if they name none."""
    return tuple(dict.fromkeys(device for slot in slots for device in slot.split(",") if device)) or None


def gpus_each(slots: Sequence[str]) -> int | None:
    """How many GPUs every slot has, if all have the same number and that is more than one; else None."""
    sizes = {len(slot.split(",")) for slot in slots}
    return sizes.pop() if len(sizes) == 1 and sizes != {1} else None


def notes(key: str, slots: Sequence[str]) -> tuple[str, ...]:
    """What `key` means for those who push."""
    allowed = indices(slots)
    return (f"{key}: when pushed, only GPU {', '.join(allowed)} of a node may run these jobs",) if allowed else ()
