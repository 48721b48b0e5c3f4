"""1 GiB of output through one slot: the job beside ones that write to /dev/null, to a file and into a pipe."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from exs.model import JobState
from tests.bench.bench import Bench
from tests.bench.figures import Report
from tests.bench.measure import wait_for


def _peak(pid: int) -> int:
    """The most resident memory of a process since the last `_forget`, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"process {pid} has no VmHWM")


def _forget(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _shell(bench: Bench, command: str) -> float:
    began = time.perf_counter()
    subprocess.run(["bash", "-c", command], cwd=bench.disk, check=True)
    return time.perf_counter() - began


def run(bench: Bench) -> Report:
    """The same program four times."""
    size = bench.size(1 << 30, 1 << 26)
    program = f"head -c {size} /dev/zero"
    null = _shell(bench, f"exec {program} >/dev/null")
    file = _shell(bench, f"exec {program} >file")
    (bench.disk / "file").unlink()
    pipe = _shell(bench, f"{program} | cat >/dev/null")
    with bench.server() as queue, bench.worker(queue, 1, disk=True) as slots:
        queue.push("warm", 1)
        wait_for(lambda: queue.finished("warm"), "the first job")
        (slot,) = slots.pids
        _forget(slot)
        before = _peak(slot)
        queue.push("flood", 1, program)
        wait_for(lambda: queue.store.experiment("flood").counts.get(JobState.DONE), "the end of the output", 300)
        peak = _peak(slot)
        (row,) = queue.store.jobs("flood")
        assert row.started_at is not None and row.ended_at is not None
        took = row.ended_at - row.started_at
        kept = sum(path.stat().st_size for path in Path(row.directory).glob("log.*"))
    report = Report(f"output: {size / (1 << 20):,.0f} MiB through one slot")
    report.add("to /dev/null", null, "s")
    report.add("to a file", file, "s", ratio=file / null, of="/dev/null")
    report.add("into a pipe that cat reads", pipe, "s", ratio=pipe / null, of="/dev/null")
    report.add("through exs", took, "s", ratio=took / pipe, of="the pipe")
    report.add("through exs, beside /dev/null", took, "s", ratio=took / null, of="/dev/null")
    report.add(
        "memory that the slot took for it",
        max(0, peak - before) / 1e6,
        "MB",
        ratio=peak / before,
        of="before",
        most=8.0,
    )
    report.add("kept in its log", kept / (1 << 20), "MiB")
    return report
