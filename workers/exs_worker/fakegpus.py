"""GPUs that exist in the environment only, for tests on machines without one, and what can befall them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from exs.errors import InputError
from exs_worker.devices import Device, DeviceError, Health, Usage

GIB = 1 << 30
#: Pause between two looks for a failure.
_LOOK = 0.02


class FakeNvml:
    """`text` is what `EXS_FAKE_GPUS=2x24GiB` says. `state` names a file that may change at any time:

    {"processes": {"0": [pid]}, "broken": {"0": "GPU is lost"}, "uncorrected": {"0": 3}, "failures": [[0, 79]],
    "usage": {"0": {"memory": {pid: bytes}, "load": 80}}, "silent": true}.
    """

    def __init__(self, text: str, state: str = "") -> None:
        match = re.fullmatch(r"(\d{1,3})x(\d{1,4})GiB", text)
        if match is None:
            raise InputError(f"EXS_FAKE_GPUS={text!r} does not look like 2x24GiB.")
        self._count, self._memory = int(match[1]), int(match[2]) * GIB
        self._state = state
        self._told: int | None = None

    def count(self) -> int:
        """Number of GPUs."""
        return self._count

    def device(self, index: int) -> Device:
        """One GPU; no two machines' fakes need to differ."""
        if why := self._now("broken").get(str(index)):
            raise DeviceError(why, gone=True)
        return Device(index, _uuid(index), "Fake GPU", self._memory)

    def processes(self, uuid: str) -> list[int]:
        """Pids that compute on a device."""
        return list(self._now("processes").get(_index(uuid), []))

    def health(self, uuid: str) -> Health:
        """Whether a device can compute."""
        return Health(self._now("broken").get(_index(uuid), ""), self._now("uncorrected").get(_index(uuid), 0))

    def usage(self, uuid: str) -> Usage:
        """What a device does."""
        state = self._now("usage").get(_index(uuid), {})
        return Usage({int(pid): used for pid, used in state.get("memory", {}).items()}, state.get("load"))

    def failures(self, uuids: Collection[str], seconds: float) -> list[tuple[str, int]]:
        """Critical errors that were not told before."""
        deadline = time.monotonic() + seconds
        while True:
            every: list[list[int]] = self._now("failures", [])
            seen = len(every) if self._told is None else self._told
            fresh, self._told = every[seen:], len(every)
            if fresh or time.monotonic() >= deadline:
                return [(_uuid(index), xid) for index, xid in fresh]
            time.sleep(_LOOK)

    def _now(self, what: str, otherwise: Any = None) -> Any:
        while (state := self._read()).get("silent"):
            time.sleep(_LOOK)
        return state.get(what, {} if otherwise is None else otherwise)

    def _read(self) -> dict[str, Any]:
        text = Path(self._state).read_text(encoding="utf-8") if self._state and Path(self._state).exists() else "{}"
        state: dict[str, Any] = json.loads(text)
        return state


def _uuid(index: int) -> str:
    return f"GPU-fa4e{index:04d}-0000-0000-0000-000000000000"


def _index(uuid: str) -> str:
    return str(int(uuid[8:12]))
