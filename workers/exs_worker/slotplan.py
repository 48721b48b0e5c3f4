"""From `--gpus`, `--slot`, `--per-gpu` and `--cpus` to the slots of a node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from exs.errors import InputError
from exs_worker.devices import Device, Discovery
from exs_worker.gpulock import SHARES

_MOST = 1024  #: CPU slots of one agent; more is a slip of the finger


@dataclass(frozen=True)
class SlotPlan:
    """One slot to start.

    `suffix`: ends its name. `devices`: strings to pin jobs to, () for a slot without a GPU. `memory`: bytes of the
    smallest device, or of this slot's share of it. `locks`: names for `gpulock.GpuLock`, all to be held.
    """

    suffix: str
    devices: tuple[str, ...] = ()
    memory: int = 0
    locks: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Choice:
    """A device and the string by which it was chosen. `key` tells devices apart."""

    text: str
    key: str
    memory: int


def plan_slots(
    discovery: Discovery,
    gpus: str | None = None,
    slots: Sequence[str] = (),
    per_gpu: int = 1,
    cpus: int | None = None,
    visible: str | None = None,
) -> list[SlotPlan]:
    """The slots that a worker's options ask for; with no option all its GPUs, or one CPU slot where there is none.

    An option that is there but empty, as `--gpus "$GPUS"` may be, is refused. `visible`: the inherited
    `CUDA_VISIBLE_DEVICES`, None if unset: what it does not name is refused, and `all` is what it names.
    Raises InputError for a device that is not there, not visible, or given twice.
    """
    for option, number, most in (("--per-gpu", per_gpu, SHARES), ("--cpus", cpus, _MOST)):
        if number is not None and not 1 <= number <= most:
            raise InputError(f"{option} {number} is not possible.", f"Give a number from 1 to {most}.")
    if per_gpu > 1 and slots:
        raise InputError("--per-gpu divides the GPUs of --gpus, not the sets of --slot.", "Leave one of them out.")
    if per_gpu > 1 and gpus is None and cpus is not None:
        raise InputError("--per-gpu divides the GPUs of --gpus, and --cpus has none.", "Add --gpus, or leave it out.")
    machine = _Machine(discovery, visible)
    if gpus is None and cpus is None and not slots:
        gpus, cpus = ("all", None) if per_gpu > 1 or machine.all(strict=False) else (None, 1)
    chosen: dict[str, str] = {}
    plans: list[SlotPlan] = []
    if gpus is not None:
        every = gpus.strip() == "all"
        for choice in machine.all() if every else machine.named(gpus, "--gpus", chosen):
            plans += _shares(choice, per_gpu)
            chosen.setdefault(choice.key, "--gpus all")
    for group in slots:
        plans.append(_together(machine.named(group, "--slot", chosen)))
    return plans + [SlotPlan(f"cpu{number}") for number in range(cpus or 0)]


def index_note(discovery: Discovery, plans: Sequence[SlotPlan]) -> str:
    """What to tell the user of GPUs that are taken on trust; "" when NVML knows them."""
    if discovery.nvml or not any(plan.devices for plan in plans):
        return ""
    return f"GPUs are pinned by index, unchecked: {discovery.why}"


class _Machine:
    """The devices that may be used, by the rules of NVML and of `CUDA_VISIBLE_DEVICES`."""

    def __init__(self, discovery: Discovery, visible: str | None) -> None:
        self._discovery = discovery
        self._visible = visible
        self._allowed: list[_Choice] | None = None if visible is None else self._inherited(visible)

    def all(self, strict: bool = True) -> list[_Choice]:
        """Every device that may be used; when `strict`, raises InputError if none can be told."""
        found = self._allowed
        if found is None:
            whole = (part for device in self._discovery.devices for part in device.mig or (device,))
            found = [_choice(device, "") for device in whole]
        if found or not strict:
            return found
        if self._visible is not None:
            why = f"CUDA_VISIBLE_DEVICES={self._visible!r} shows none."
        else:
            why = self._discovery.why or "NVML finds none."
        raise InputError(f"no GPU can be used: {why}", "Name them as --gpus 0,1, or use --cpus N.")

    def named(self, text: str, option: str, chosen: dict[str, str]) -> list[_Choice]:
        """The devices of a list such as `0,1` or `GPU-...`; `chosen` remembers them to refuse a second use."""
        found = []
        for word in (word.strip() for word in text.split(",")):
            choice = self._find(word, option, text)
            if choice.key in chosen:
                here, there = f"{option} {text}", chosen[choice.key]
                where = f" in {here}" if here == there else f": in {there} and in {here}"
                raise InputError(
                    f"GPU {word} is given twice{where}.",
                    "--per-gpu 2 puts two slots on each GPU.",
                )
            if self._allowed is not None and choice.key not in {other.key for other in self._allowed}:
                raise InputError(
                    f"GPU {word} of {option} {text} is outside CUDA_VISIBLE_DEVICES={self._visible} of this process.",
                    "Choose among those, or start it without that variable: env -u CUDA_VISIBLE_DEVICES exs ...",
                )
            chosen[choice.key] = f"{option} {text}"
            found.append(choice)
        return found

    def _find(self, word: str, option: str, text: str) -> _Choice:
        choice = self._lookup(word)
        if choice is not None:
            return choice
        if not word.isdecimal() and not word.startswith(("GPU-", "MIG-")):
            what = f"{option} {text}: {word!r} is no GPU." if text.strip() else f"{option} names no GPU."
            raise InputError(what, "Give indices (0,1), UUIDs (GPU-..., MIG-...), or all.")
        for index, why in self._discovery.lost:
            if word == str(index):
                raise InputError(
                    f"{option} {text}: GPU {word} does not answer: {why}", "Leave it out; nvidia-smi may say more."
                )
        have = ", ".join(str(device.index) for device in self._discovery.devices) or "none"
        parts = [part for device in self._discovery.devices if str(device.index) == word for part in device.mig]
        if parts:
            hint = f"Give a part of it: {', '.join(part.uuid for part in parts)}."
            raise InputError(f"{option} {text}: GPU {word} is divided by MIG.", hint)
        raise InputError(f"{option} {text}: GPU {word} does not exist on this machine.", f"It has: {have}.")

    def _lookup(self, word: str) -> _Choice | None:
        if word.isdecimal() and word.isascii():
            word = str(int(word))
        if not self._discovery.nvml:
            known = word.isdecimal() or word.startswith(("GPU-", "MIG-"))
            return _Choice(word, word, 0) if known else None
        for device in self._discovery.devices:
            if word == str(device.index) and not device.mig:
                return _choice(device, word)
        if not word.startswith(("GPU-", "MIG-")):
            return None
        # CUDA, too, takes the beginning of a UUID if it is unique.
        whole = [part for device in self._discovery.devices for part in device.mig or (device,)]
        found = [device for device in whole if device.uuid.startswith(word)]
        return _choice(found[0], found[0].uuid) if len(found) == 1 else None

    def _inherited(self, visible: str) -> list[_Choice]:
        """What `CUDA_VISIBLE_DEVICES` names; as in CUDA, nothing counts after the first name that is unknown."""
        found: list[_Choice] = []
        for word in visible.split(","):
            choice = self._lookup(word.strip())
            if choice is None:
                break
            found.append(choice)
        return found


def _choice(device: Device, text: str) -> _Choice:
    by_index = "" if device.uuid.startswith("MIG-") else str(device.index)
    return _Choice(text or by_index or device.uuid, device.uuid or str(device.index), device.memory)


def _shares(choice: _Choice, per_gpu: int) -> list[SlotPlan]:
    if per_gpu == 1:
        return [_together([choice])]
    return [
        SlotPlan(f"{_short(choice)}.{share}", (choice.text,), choice.memory // per_gpu, (f"{choice.key}/{share}",))
        for share in range(per_gpu)
    ]


def _together(choices: Sequence[_Choice]) -> SlotPlan:
    texts = tuple(choice.text for choice in choices)
    if any(text.isdecimal() for text in texts) and not all(text.isdecimal() for text in texts):
        raise InputError(f"--slot {','.join(texts)} mixes indices and UUIDs, which CUDA cannot read.")
    return SlotPlan(
        "-".join([_short(choices[0]), *(_short(choice).removeprefix("gpu") for choice in choices[1:])]),
        texts,
        min(choice.memory for choice in choices),
        tuple(choice.key for choice in choices),
    )


def _short(choice: _Choice) -> str:
    """`gpu0`, or the beginning of a UUID, which ends where it is told apart from the others of a machine."""
    if choice.text.isdecimal():
        return f"gpu{choice.text}"
    kind, _, rest = choice.text.partition("-")
    return f"{kind.lower()}{rest.removeprefix('GPU-').replace('/', '_')[:13]}"
