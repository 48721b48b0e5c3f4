"""The GPUs of this machine, as NVML tells them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from exs.errors import InputError

GIB = 1 << 30


class DeviceError(Exception):
    """NVML, or one device, does not answer; the text is one sentence."""


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
            raise DeviceError(f"NVML: {error}.") from None


class FakeNvml:
    """GPUs that exist in the environment only: `EXS_FAKE_GPUS=2x24GiB`. For tests on machines without one."""

    def __init__(self, text: str) -> None:
        match = re.fullmatch(r"(\d{1,3})x(\d{1,4})GiB", text)
        if match is None:
            raise InputError(f"EXS_FAKE_GPUS={text!r} does not look like 2x24GiB.")
        self._count, self._memory = int(match[1]), int(match[2]) * GIB

    def count(self) -> int:
        """Number of GPUs."""
        return self._count

    def device(self, index: int) -> Device:
        """One GPU; no two machines' fakes need to differ."""
        return Device(index, f"GPU-fa4e{index:04d}-0000-0000-0000-000000000000", "Fake GPU", self._memory)

    def processes(self, uuid: str) -> list[int]:
        """Nobody computes on it."""
        return []


def open_nvml(env: Mapping[str, str] | None = None) -> Nvml:
    """The driver's NVML, or the fake one that `EXS_FAKE_GPUS` describes. Raises DeviceError, InputError."""
    fake = (os.environ if env is None else env).get("EXS_FAKE_GPUS", "")
    return FakeNvml(fake) if fake else DriverNvml()


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
