"""`exs logs -f` of a job on another node: from the job's write to the reader's pipe, beside `tail -f`."""

from __future__ import annotations

import os
import select
import subprocess
import time
from pathlib import Path

from exs.model import NewJob, Spec
from tests.bench.bench import ORIGIN, Bench
from tests.bench.figures import Report
from tests.bench.measure import quantile, wait_for

#: A job that prints a first line, and, once that has been heard, the time of each line, at no fixed beat.
JOB = """
import os, sys, time
print("ready", flush=True)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
for i in range(int(sys.argv[2])):
    print(time.monotonic_ns(), flush=True)
    time.sleep(0.05 + 0.37 * (i * 0.618 % 1))
"""


def _arrivals(process: subprocess.Popen[bytes], go: Path, count: int) -> list[float]:
    """Milliseconds from the write of each line to its arrival."""
    assert process.stdout is not None
    if process.stdout.readline() != b"ready\n":
        raise RuntimeError("the log that is followed does not begin as it should")
    go.touch()
    found: list[float] = []
    rest = b""
    deadline = time.monotonic() + 120
    while len(found) < count:
        if not select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise TimeoutError("a log that is followed does not come")
        data = os.read(process.stdout.fileno(), 65536)
        now = time.monotonic_ns()
        if not data:
            break
        *lines, rest = (rest + data).split(b"\n")
        found += [(now - int(line)) / 1e6 for line in lines]
    return found


def run(bench: Bench) -> Report:
    """Two nodes, of which one has the job; the reader is a third machine. Then `tail -f` of the same kind of file."""
    count = bench.size(60, 15)
    go = bench.scratch / "go"
    program = bench.scratch / "talk.py"
    program.write_text(JOB)
    argv = [["python3"], [str(program)], [str(go)], [str(count)]]
    with bench.server() as queue, bench.worker(queue, 1, node="n1"), bench.worker(queue, 1, node="n2"):
        queue.store.push(
            "talk", Spec({"run": {"argv": argv}}, str(bench.scratch)), [NewJob({}, "talk", "0" * 16)], ORIGIN
        )
        wait_for(lambda: queue.store.jobs("talk")[0].node, "the start of the job")
        reader = subprocess.Popen(
            bench.exs("logs", "-f", "talk/0"), env={**bench.environment(queue.url), "EXS_NODE": "laptop"},
            stdout=subprocess.PIPE, bufsize=0,
        )  # fmt: skip
        ours = _arrivals(reader, go, count)
        reader.wait(30)
    go.unlink()
    bare = _tail(program, go, count, bench.scratch / "bare")
    report = Report(f"follow: a line of a job on another node, {count} lines")
    half, floor = quantile(ours, 0.5), quantile(bare, 0.5)
    report.add("tail -f of a local file: median", floor, "ms")
    report.add("exs logs -f: median", half, "ms", ratio=half / floor, of="tail -f")
    report.add("exs logs -f: p95", quantile(ours, 0.95), "ms", ratio=quantile(ours, 0.95) / half, of="its median")
    return report


def _tail(program: Path, go: Path, count: int, path: Path) -> list[float]:
    with path.open("wb") as file:
        job = subprocess.Popen(["python3", str(program), str(go), str(count)], stdout=file)
        reader = subprocess.Popen(["tail", "-f", str(path)], stdout=subprocess.PIPE, bufsize=0)
        try:
            return _arrivals(reader, go, count)
        finally:
            reader.kill()
            reader.wait()
            job.wait()
