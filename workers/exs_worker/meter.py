"""How much of its GPUs a job uses: peak memory, mean and highest utilisation, measured while it runs.

A thread of its own asks NVML, in slots with GPUs alone, from the first job on: a driver that hangs must not keep the
lease from being renewed. A look is three calls of NVML per GPU.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from exs.model import Outcome
from exs_worker import proctree
from exs_worker.devices import DeviceError, Nvml, open_nvml
from exs_worker.gpuwatch import uuids_of

log = logging.getLogger("exs.worker")

#: Seconds from the start of a job to the first look; then twice as long each time, up to the period.
_FIRST = 0.25


class Gauge:
    """What was seen of one job. `shared`: other slots compute on its GPUs too."""

    def __init__(self, locks: Sequence[str]) -> None:
        self._uuids = uuids_of(locks)
        self._shared = any("/" in lock for lock in locks)
        self._peak = 0
        self._busiest = 0.0
        self._busy_seconds = self._seconds = 0.0

    def look(self, nvml: Nvml, seconds: float) -> None:
        """Ask once; the answer stands for the last `seconds`. A device that does not answer is left out."""
        memory, loads = 0, []
        for uuid in self._uuids:
            try:
                usage = nvml.usage(uuid)
            except DeviceError:
                continue
            ours = [used for pid, used in usage.memory.items() if os.getpid() in proctree.line_up(pid)]
            if ours or self._shared:
                memory += sum(ours)
            else:  # in a container NVML speaks of pids that we do not know; the GPU is ours alone
                memory += sum(used for pid, used in usage.memory.items() if not proctree.read(pid))
            if usage.load is not None and not self._shared:
                loads.append(usage.load)
        self._peak = max(self._peak, memory)
        if loads:
            load = sum(loads) / len(loads)
            self._busiest = max(self._busiest, load)
            self._busy_seconds += load * seconds
            self._seconds += seconds

    def added_to(self, outcome: Outcome) -> Outcome:
        """The outcome with what was measured."""
        if not self._seconds:
            return replace(outcome, gpu_peak=self._peak) if self._peak else outcome
        mean = round(self._busy_seconds / self._seconds, 1)
        return replace(outcome, gpu_peak=self._peak, gpu_load=mean, gpu_load_max=round(self._busiest, 1))


class Meter:
    """Measures the jobs of one slot, one after the other, every `period` seconds."""

    def __init__(self, period: float) -> None:
        self._period = period
        self._gauge: Gauge | None = None
        self._began = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def over(self, locks: Sequence[str]) -> Iterator[Gauge]:
        """Measure what uses the GPUs with these locks until the end of the block; nothing without GPUs."""
        gauge = Gauge(locks)
        if not locks:
            yield gauge
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="exs-meter", daemon=True)
            self._thread.start()
        self._gauge = gauge
        self._began.set()
        try:
            yield gauge
        finally:
            self._gauge = None
            self._began.clear()

    def _run(self) -> None:
        try:
            nvml = open_nvml(os.environ)
        except DeviceError:
            return  # pinned by index on trust
        while True:
            self._began.wait()
            gauge, wait = self._gauge, _FIRST
            before = time.monotonic()
            while gauge is not None and self._gauge is gauge:
                time.sleep(min(wait, self._period))
                wait *= 2
                if self._gauge is gauge:
                    now = time.monotonic()
                    self._look(gauge, nvml, now - before)
                    before = now

    def _look(self, gauge: Gauge, nvml: Nvml, seconds: float) -> None:
        try:
            gauge.look(nvml, seconds)
        except Exception:  # a driver full of surprises costs figures, not the thread
            log.exception("cannot measure the GPUs of a job")
