"""Looks after the GPUs of a node: who else computes on them, and which of them have failed.

A GPU on which somebody else computes gets no job until he is gone (F41). A GPU that failed gets none until its agent
is started anew: whether it computes right again is for a person to say (F39).
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from exs.errors import ExsError
from exs.store.store import Store
from exs_worker.devices import DeviceError, Health, Nvml, open_nvml
from exs_worker.slotplan import SlotPlan
from exs_worker.strangers import strangers

log = logging.getLogger("exs.worker")

#: Xids that a program brings about by itself; the GPU is well (as NVIDIA's device plugin for Kubernetes has it).
PROGRAM_XIDS = frozenset({13, 31, 43, 45, 68, 109})
SILENT = "the driver of the GPUs does not answer; they get no job"
#: What is said of a GPU is believed for so many looks after the last.
BELIEVED = 6


@dataclass(frozen=True)
class Unusable:
    """Why a GPU gets no job. `broken`: it failed, and what runs on it is lost."""

    why: str
    broken: bool = False


def uuids_of(locks: Iterable[str]) -> list[str]:
    """The devices behind the locks of a slot, shares of one GPU counted once."""
    return list(dict.fromkeys(lock.partition("/")[0] for lock in locks))


class GpuWatch(threading.Thread):
    """Looks every `period` seconds, and at once when the driver reports a failure; tells Redis and calls `changed`.

    `plans`: the slots of this node. `slots`: pids of its slot processes. `share`: do not mind who else computes.
    `silence`: seconds after which a driver that does not answer hangs.
    """

    def __init__(
        self,
        store: Store,
        node: str,
        nvml: Nvml,
        plans: Iterable[SlotPlan],
        slots: Callable[[], Collection[int]],
        changed: Callable[[], None],
        period: float,
        silence: float,
        share: bool,
    ) -> None:
        super().__init__(name="exs-gpus", daemon=True)
        self._store = store
        self._node = node
        self._nvml = nvml
        # A device is shown by the string that its jobs are pinned to.
        self._shown = {
            uuid: device for plan in plans for uuid, device in zip(uuids_of(plan.locks), plan.devices, strict=True)
        }
        self._slots = slots
        self._changed = changed
        self._period = period
        self._silence = silence
        self._share = share
        self._answer_by = float("inf")
        self._said_silent = False
        self._found: Mapping[str, Unusable] = {}
        self._before: dict[str, int] = {}
        self._left = threading.Event()
        self._publish_at = 0.0

    def unusable(self, plan: SlotPlan) -> Unusable | None:
        """Why this slot gets no job, failures first; None if it may have one. It asks no driver."""
        if self._silent():
            return Unusable(SILENT)
        found = [self._found[uuid] for uuid in uuids_of(plan.locks) if uuid in self._found]
        return max(found, key=lambda one: one.broken, default=None)

    def errors(self, plan: SlotPlan) -> tuple[int, ...]:
        """Uncorrected memory errors that each GPU of a slot had when it was first looked at. It asks no driver."""
        return tuple(self._before.get(uuid, 0) for uuid in uuids_of(plan.locks))

    def look(self, reported: Mapping[str, str] | None = None) -> None:
        """Look at every GPU once. `reported`: failures that the driver told of."""
        self._answer_by = time.monotonic() + self._silence
        found = {uuid: one for uuid, one in self._found.items() if one.broken}
        for uuid in self._shown:
            if uuid not in found and (one := self._judge(uuid, (reported or {}).get(uuid, ""))):
                found[uuid] = one
        self._answered()
        before, self._found = self._found, found
        for uuid in {**before, **found}:
            if before.get(uuid) != found.get(uuid):
                self._say(self._shown[uuid], found.get(uuid))
        if before != found:
            self._publish_at = 0.0
            self._changed()

    def _answered(self) -> None:
        self._answer_by = float("inf")
        if self._said_silent:
            self._changed()

    def _silent(self) -> bool:
        """True while the driver owes us an answer for too long."""
        silent = time.monotonic() > self._answer_by
        if silent != self._said_silent:
            self._said_silent = silent
            log.warning("%s", SILENT if silent else "the driver of the GPUs answers again")
        return silent

    def run(self) -> None:
        """The thread: until `stop`."""
        while not self._left.is_set():
            try:
                self._publish()
                self.look(self._wait())
            except Exception:  # a driver full of surprises must not end the watch
                self._answered()
                log.exception("cannot look after the GPUs")
                self._left.wait(self._period)

    def stop(self) -> None:
        """End the thread; what it told Redis is taken back."""
        self._left.set()
        if self._found:
            self._found, self._publish_at = {}, 0.0
            self._publish()

    def _judge(self, uuid: str, reported: str) -> Unusable | None:
        if uuid not in self._before:
            self._before[uuid] = _health(self._nvml, uuid).uncorrected
        why = reported or failure(self._nvml, uuid, self._before[uuid])
        if why:
            return Unusable(why, broken=True)
        if self._share:
            return None
        try:
            others = strangers(self._nvml.processes(uuid), self._slots())
        except DeviceError:
            return None
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        return Unusable(f"{others[0]}{more} computes on it") if others else None

    def _wait(self) -> dict[str, str]:
        """A period, or less if the driver reports a failure; which."""
        deadline = time.monotonic() + self._period
        self._answer_by = deadline + self._silence
        try:
            failures = self._nvml.failures(list(self._shown), self._period)
        except DeviceError:
            failures = []
        bad = {uuid: f"Xid {xid}." for uuid, xid in failures if xid not in PROGRAM_XIDS and uuid in self._shown}
        self._answered()
        if not bad:
            self._left.wait(max(0.0, deadline - time.monotonic()))
        return bad

    def _say(self, device: str, now: Unusable | None) -> None:
        if now is None:
            log.warning("GPU %s is free again", device)
        elif now.broken:
            log.error("GPU %s has failed: %s No job runs on it until this worker is started anew", device, now.why)
        else:
            log.warning("GPU %s gets no job: %s", device, now.why)

    def _publish(self) -> None:
        """Say in Redis which GPUs get no job, before what was said last is no longer believed."""
        if time.monotonic() < self._publish_at:
            return
        told = {self._shown[uuid]: f"failed: {one.why}" if one.broken else one.why for uuid, one in self._found.items()}
        try:
            self._store.gpus_unused(self._node, told, self._period * BELIEVED)
        except ExsError:
            return  # the next round says it
        self._publish_at = time.monotonic() + self._period * BELIEVED / 3 if told else float("inf")


def failure(nvml: Nvml, uuid: str, before: int) -> str:
    """What is wrong with a device that had `before` uncorrected errors when it was first looked at; "" for nothing."""
    health = _health(nvml, uuid)
    if health.broken:
        return health.broken
    fresh = health.uncorrected - before
    return f"{fresh} uncorrectable memory error{'s' if fresh > 1 else ''} (ECC)." if fresh > 0 else ""


def failed_of(locks: Iterable[str], before: Iterable[int], silence: float) -> str:
    """What is wrong with the GPUs of a slot, asked by the slot itself after its job crashed; "" for nothing.

    A driver that does not answer for `silence` seconds is: the thread that asked it is left behind.
    """
    pairs = list(zip(uuids_of(locks), before, strict=False))
    if not pairs:
        return ""
    answer: list[str] = []
    asking = threading.Thread(target=lambda: answer.append(_failed(pairs)), daemon=True)
    asking.start()
    asking.join(silence)
    return "its driver does not answer." if asking.is_alive() else "".join(answer)


def _failed(pairs: Iterable[tuple[str, int]]) -> str:
    try:
        nvml = open_nvml(os.environ)
    except DeviceError:
        return ""
    found = (failure(nvml, uuid, count) for uuid, count in pairs)
    return next((f"a GPU of its slot failed: {why}" for why in found if why), "")


def _health(nvml: Nvml, uuid: str) -> Health:
    try:
        return nvml.health(uuid)
    except DeviceError as error:
        return Health(str(error) if error.gone else "")
