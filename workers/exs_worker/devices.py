"""The GPUs of this machine, as NVML tells them."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

#: NVML's codes for a GPU that is not there any more: not found, lost, needs a reset.
_GONE = frozenset({6, 15, 16})
_UNCORRECTED, _SINCE_DRIVER_START = 1, 0
_XID = 8  #: nvmlEventTypeXidCriticalError
#: nvmlClocksThrottleReasonHwThermalSlowdown, nvmlClocksThrottleReasonHwPowerBrakeSlowdown.
_HOT, _UNDERFED = 0x40, 0x80


class DeviceError(Exception):
    """NVML, or one device, does not answer; the text is one sentence. `gone`: that is so until somebody resets it."""

    def __init__(self, text: str, gone: bool = False) -> None:
        super().__init__(text)
        self.gone = gone


@dataclass(frozen=True)
class Health:
    """What a GPU says of itself. `broken`: why it cannot compute any more, "" if it can.

    `uncorrected`: memory errors since the driver started that ECC found and could not correct. `ailments`: what a
    person should see to, each as the end of a sentence that begins with its name.
    """

    broken: str = ""
    uncorrected: int = 0
    ailments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Usage:
    """What a device does at the moment. `memory`: pid -> bytes of it, 0 where it does not say.

    `load`: percent of the last second in which something computed on it; None where it does not say (MIG).
    """

    memory: Mapping[int, int]
    load: float | None = None


@dataclass(frozen=True)
class Device:
    """One GPU, or one MIG part of one. `index`: NVML's, of the whole GPU. `memory`: bytes in total, 0 if unknown."""

    index: int
    uuid: str
    name: str = ""
    memory: int = 0
    mig: tuple[Device, ...] = ()  #: its parts, when MIG is on: CUDA then takes only those


@dataclass(frozen=True)
class Discovery:
    """What was found. `nvml` is False where NVML is not to be had, and `why` says so.

    `lost`: index and reason of each GPU that does not answer; the others are usable.
    """

    devices: tuple[Device, ...] = ()
    nvml: bool = True
    why: str = ""
    lost: tuple[tuple[int, str], ...] = ()


class Nvml(Protocol):
    """What is asked of NVML. Each method raises DeviceError."""

    def count(self) -> int:
        """Number of GPUs."""

    def device(self, index: int) -> Device:
        """One GPU with its parts."""

    def processes(self, uuid: str) -> list[int]:
        """Pids that compute on a device."""

    def health(self, uuid: str) -> Health:
        """Whether a device can compute; what it does not know of itself is healthy."""

    def usage(self, uuid: str) -> Usage:
        """What a device does at the moment."""

    def failures(self, uuids: Collection[str], seconds: float) -> list[tuple[str, int]]:
        """Critical errors (device, Xid) that the driver reports from the first call on; waits for one so long."""


class DriverNvml:
    """NVML of the installed driver, through pynvml. Raises DeviceError where there is none."""

    def __init__(self, library: Any = None) -> None:
        if library is None:
            try:
                import pynvml  # 8 ms, and absent from a machine that only pushes

                library = pynvml
            except ImportError:
                raise DeviceError("the package nvidia-ml-py is not installed.") from None
        self._nvml = library
        self._events: Any = None
        self._ask("nvmlInit")

    def count(self) -> int:
        """Number of GPUs."""
        return int(self._ask("nvmlDeviceGetCount"))

    def device(self, index: int) -> Device:
        """One GPU with its parts."""
        handle = self._ask("nvmlDeviceGetHandleByIndex", index)
        return self._describe(index, handle, self._parts(index, handle))

    def processes(self, uuid: str) -> list[int]:
        """Pids that compute on a device."""
        handle = self._ask("nvmlDeviceGetHandleByUUID", uuid)
        return [int(process.pid) for process in self._ask("nvmlDeviceGetComputeRunningProcesses", handle)]

    def health(self, uuid: str) -> Health:
        """Whether a device can compute: it answers, has rows left to remap; and its uncorrected errors."""
        try:
            handle = self._ask("nvmlDeviceGetHandleByUUID", uuid)
            self._ask("nvmlDeviceGetMemoryInfo", handle)
        except DeviceError as error:
            return Health(str(error) if error.gone else "")
        _, _, pending, worn = self._or("nvmlDeviceGetRemappedRows", (0, 0, 0, 0), handle)
        errors = self._or("nvmlDeviceGetTotalEccErrors", 0, handle, _UNCORRECTED, _SINCE_DRIVER_START)
        broken = "its memory has no spare rows left (row remapping failed)." if worn else ""
        return Health(broken, int(errors), tuple(self._ailments(handle, bool(pending))))

    def _ailments(self, handle: Any, pending: bool) -> Iterator[str]:
        if pending or self._or("nvmlDeviceGetRetiredPagesPendingStatus", 0, handle):
            yield "waits for a reset to replace broken memory"
        slowed = self._or("nvmlDeviceGetCurrentClocksThrottleReasons", 0, handle)
        if slowed & _HOT:
            yield "is slowed down by heat"
        elif slowed & _UNDERFED:
            yield "is slowed down for want of power"

    def usage(self, uuid: str) -> Usage:
        """What a device does at the moment."""
        handle = self._ask("nvmlDeviceGetHandleByUUID", uuid)
        running = self._ask("nvmlDeviceGetComputeRunningProcesses", handle)
        rates = self._or("nvmlDeviceGetUtilizationRates", None, handle)
        memory = {int(process.pid): int(process.usedGpuMemory or 0) for process in running}
        return Usage(memory, None if rates is None else float(rates.gpu))

    def failures(self, uuids: Collection[str], seconds: float) -> list[tuple[str, int]]:
        """Critical errors that the driver reports. Raises DeviceError where it cannot."""
        if self._events is None:
            self._events = self._ask("nvmlEventSetCreate")
            for handle in [self._or("nvmlDeviceGetHandleByUUID", None, uuid) for uuid in uuids]:
                if handle is not None:
                    self._or("nvmlDeviceRegisterEvents", None, handle, _XID, self._events)
        try:
            event = self._ask("nvmlEventSetWait_v2", self._events, int(seconds * 1000))
        except DeviceError as error:
            if error.gone:
                raise
            return []  # nothing happened
        return [(_text(self._ask("nvmlDeviceGetUUID", event.device)), int(event.eventData))]

    def _or(self, function: str, otherwise: Any, *arguments: Any) -> Any:
        """The answer of a device that may not know; else `otherwise`."""
        try:
            return self._ask(function, *arguments)
        except DeviceError:
            return otherwise

    def _parts(self, index: int, handle: Any) -> tuple[Device, ...]:
        try:
            if not self._ask("nvmlDeviceGetMigMode", handle)[0]:
                return ()
            places = range(self._ask("nvmlDeviceGetMaxMigDeviceCount", handle))
        except DeviceError:  # a GPU that knows no MIG
            return ()
        found = []
        for place in places:
            try:
                part = self._ask("nvmlDeviceGetMigDeviceHandleByIndex", handle, place)
            except DeviceError:  # an empty place
                continue
            found.append(self._describe(index, part, ()))
        return tuple(found)

    def _describe(self, index: int, handle: Any, parts: tuple[Device, ...]) -> Device:
        try:
            memory = int(self._ask("nvmlDeviceGetMemoryInfo", handle).total)
        except DeviceError:  # a GPU that shares the host's memory
            memory = 0
        uuid, name = (_text(self._ask(f"nvmlDeviceGet{what}", handle)) for what in ("UUID", "Name"))
        return Device(index, uuid, name, memory, parts)

    def _ask(self, function: str, *arguments: Any) -> Any:
        try:
            return getattr(self._nvml, function)(*arguments)
        except self._nvml.NVMLError as error:
            raise DeviceError(f"NVML: {error}.", getattr(error, "value", 0) in _GONE) from None
        except AttributeError:  # an older pynvml, or an older driver behind it
            raise DeviceError(f"NVML knows no {function}.") from None


def open_nvml(env: Mapping[str, str] | None = None) -> Nvml:
    """The driver's NVML, or the fake one that `EXS_FAKE_GPUS` describes. Raises DeviceError, InputError."""
    env = os.environ if env is None else env
    if not env.get("EXS_FAKE_GPUS"):
        return DriverNvml()
    from exs_worker.fakegpus import FakeNvml

    return FakeNvml(env["EXS_FAKE_GPUS"], env.get("EXS_FAKE_GPUS_STATE", ""))


def discover(nvml: Nvml | None = None) -> Discovery:
    """The GPUs of this machine. Never fails for want of a driver; a GPU that fell off the bus does not hide others."""
    try:
        nvml = open_nvml() if nvml is None else nvml
        count = nvml.count()
    except DeviceError as error:
        return Discovery(nvml=False, why=str(error))
    devices: list[Device] = []
    lost: list[tuple[int, str]] = []
    for index in range(count):
        try:
            devices.append(nvml.device(index))
        except DeviceError as error:
            lost.append((index, str(error)))
    return Discovery(tuple(devices), lost=tuple(lost))


def _text(value: str | bytes) -> str:
    """Older versions of pynvml answer in bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
