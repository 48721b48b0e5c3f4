"""What the end of a command means: done, or which kind of failure, in one line for people."""

from __future__ import annotations

import os
import re
import resource
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from exs.model import Failure

CGROUPS = "/sys/fs/cgroup"

#: What PyTorch, TensorFlow, JAX, CuPy and CUDA itself print when the memory of a GPU runs out.
_DEVICE = (
    rb"(?:CUDA|HIP)(?: error(?: 2)?:)? out of memory"
    rb"|\bOutOfMemoryError\b"
    rb"|CUDA_ERROR_OUT_OF_MEMORY|cudaErrorMemoryAllocation|(?:CUBLAS|CUDNN|CUSOLVER|CUFFT)_(?:STATUS_)?ALLOC_FAILED"
    rb"|cudaMalloc[^\n]{0,80}out of memory"
    rb"|RESOURCE_EXHAUSTED: Out of memory|ResourceExhaustedError|OOM when allocating tensor"
)
_DEVICE_MEMORY = re.compile(_DEVICE)
#: TensorFlow says so too when it was the host's.
_HOST_MEMORY = re.compile(rb"device:CPU:|allocator (?:cpu|mklcpu)", re.IGNORECASE)
#: The same, and what Python and NumPy print when that of the machine does.
_NO_MEMORY = re.compile(rb"^(?:[\w.]*\.)?_?(?:Array)?MemoryError\b|" + _DEVICE, re.MULTILINE)


@dataclass(frozen=True)
class Exit:
    """How a command's main process ended: `code`, or the `signal` that killed it; neither when it would not end."""

    code: int | None = None
    signal: int | None = None
    max_rss: int = 0  #: bytes, 0 for unknown

    @classmethod
    def of(cls, status: int, max_rss_kib: int) -> Exit:
        """From what `os.wait4` says.

        The kernel counts what the process was before exec, a copy of this one: a job that needed less memory than
        its slot ever did cannot be measured, and 0 says so.
        """
        code = os.waitstatus_to_exitcode(status)
        rss = max_rss_kib * 1024 if max_rss_kib > _own_peak(max_rss_kib) else 0
        return cls(code if code >= 0 else None, -code if code < 0 else None, rss)


def _own_peak(doubted: int) -> int:
    """Most resident memory that this process has had, in KiB; asked for anew only where it could be below `doubted`."""
    global _peak
    if doubted > _peak:
        _peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return _peak


_peak = 0


def signal_name(number: int) -> str:
    """SIGKILL for 9; SIG64 where there is no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"


def failure_of(end: Exit, recent: bytes, oom_kills: int) -> tuple[Failure | None, str]:
    """Class and one line for a command that ended by itself; None for success.

    `recent`: end of its output. `oom_kills`: processes of our cgroup that the kernel ended for memory meanwhile.
    """
    if end.code == 0:
        return None, ""
    if end.signal is not None:
        detail = f"killed by {signal_name(end.signal)}"
    elif end.code == 128 + signal.SIGKILL:  # a shell's word for a child that was killed
        detail = f"exit code {end.code} (killed by SIGKILL)"
    else:
        detail = f"exit code {end.code}"
    if oom_kills > 0 and (end.signal == signal.SIGKILL or end.code == 128 + signal.SIGKILL):
        return Failure.OOM, "out of memory: killed by the kernel"
    if found := _NO_MEMORY.search(recent):
        return Failure.OOM, f"out of memory: {found[0].decode('ascii', 'replace')}, {detail}"
    return Failure.ERROR, detail


def device_memory(recent: bytes) -> bool:
    """Whether it was the memory of a GPU that ran out, by the end of the output."""
    return _DEVICE_MEMORY.search(recent) is not None and _HOST_MEMORY.search(recent) is None


class OomCounter:
    """Counts the kernel's out-of-memory kills in this process's cgroup (v2, else v1), where it may be read.

    One descriptor stays open, so that a look costs one system call.
    """

    def __init__(self, root: str = CGROUPS, membership: str = "/proc/self/cgroup") -> None:
        self._fd = -1
        for path in _event_files(root, membership):
            try:
                self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue
            if b"oom_kill " in os.pread(self._fd, 4096, 0):
                return
            self.close()

    @property
    def readable(self) -> bool:
        """False where the kernel's counter is not to be had."""
        return self._fd >= 0

    def count(self) -> int:
        """Kills so far; 0 for ever where nothing can be read."""
        if self._fd < 0:
            return 0
        try:
            words = os.pread(self._fd, 4096, 0).split()
            return int(words[words.index(b"oom_kill") + 1])
        except (OSError, ValueError, IndexError):
            return 0

    def close(self) -> None:
        """Give the descriptor back."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _event_files(root: str, membership: str) -> Iterator[str]:
    try:
        text = Path(membership).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        number, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            yield f"{root}/memory{path}/memory.oom_control"
            yield f"{root}/memory/memory.oom_control"  # inside a container the path is the host's
        elif number == "0":
            for base in (root, f"{root}/unified"):
                yield f"{base}{path}/memory.events"
                yield f"{base}/memory.events"
