"""Benchmarks of exs alone: `python -m tests.bench [--quick] [--json] NAME ...`, or `all`.

Each measures exs and, in the same run, what it is compared with: a floor (what the machine itself allows) or another
tool. Only the ratios say something about exs; the machine decides the rest. Where time is too noisy they count
instead, or take CPU seconds or the times that Redis keeps of its own commands.

    expansion   points per second of a sweep, beside itertools.product with json.dumps
    push        `exs push` of 100,000 and of 1,000,000 points: seconds, memory, and how long another client waits
    bulk        cancel, retry, pause, activate and rm of 100,000 jobs: seconds, and how long another client waits
    claim       microseconds in Redis of claim and finish, by jobs queued and by experiments
    list        `exs list -t` of 10,000 and of 100,000 jobs, also with metrics, beside reading the same records in one
                pipeline
    follow      `exs logs -f` of a job on another node: write to reader, beside tail -f of a local file
    results     a query with groups over 100,000 finished jobs; 10,000 run directories, and again from the cache
    capsule     50,000 small files packed, sent through Redis and unpacked, beside tar with the same compression
    startup     `exs --help` and `exs list` beside `rq info`, in turns
    memory      private memory of a slot; bytes of Redis per queued and per finished job, beside RQ's
    drain       two slots of /bin/true beside a C program that only starts them, with 2,000 and 100,000 queued
    latency     push to start on an idle slot, beside posix_spawn
    idle        what idle slots ask of Redis: a real worker's, and a thousand simulated ones'
    slots       a thousand slots that renew and claim on one Redis; how many claims a second it carries
    million     a million queued jobs: memory, claim, list, audit
    day         a day in the life of a queue, compressed: which keys grow
    output      1 GiB of output through one slot: its memory, and the job beside one that writes to /dev/null
    reports     50,000 report lines a second through one slot: what they take from the job; bytes per point in Redis

Every benchmark starts a redis-server of its own with the packaged redis.conf (append-only file, on disk, synced each
second), and ends and removes what it made; run directories are in memory (/dev/shm) unless TMPDIR says otherwise.
`--quick` takes smaller numbers of everything, for a look; goals are then not judged the same. Comparison with other
queues is made from outside, with exs_adapter.py; readme.py puts both into README.md.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [path for path in map(str, (ROOT, ROOT / "workers", ROOT / "tests")) if path not in sys.path]

#: Name -> its module, each with `run(bench) -> Report`.
NAMES = {
    "expansion": "expansion",
    "push": "pushing",
    "bulk": "bulk",
    "claim": "claiming",
    "list": "listing",
    "follow": "following",
    "results": "answering",
    "capsule": "capsules",
    "startup": "startup",
    "memory": "footprint",
    "drain": "drain",
    "latency": "latency",
    "idle": "idling",
    "slots": "crowd",
    "million": "million",
    "day": "day",
    "output": "torrent",
    "reports": "telling",
}


def places() -> tuple[str | None, str | None]:
    """Where a disk is, and memory (see Bench); both where TMPDIR says if it says something."""
    memory = Path("/dev/shm")
    fits = "TMPDIR" not in os.environ and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 1 << 30
    return None, str(memory) if fits else None


def main() -> int:
    """Run the benchmarks named on the command line; 1 if one of them could not be run."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="which, or `all`")
    parser.add_argument("--quick", action="store_true", help="smaller numbers of everything")
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    given = parser.parse_args()
    if not given.names:
        parser.print_help()
        return 0
    if unknown := set(given.names) - {*NAMES, "all"}:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    from tests.bench.bench import Bench
    from tests.bench.measure import many_descriptors

    many_descriptors()
    found: dict[str, object] = {}
    failed = 0
    for name in NAMES if "all" in given.names else given.names:
        disk, scratch = (Path(tempfile.mkdtemp(prefix=f"exs-bench-{name}-", dir=place)) for place in places())
        began = time.monotonic()
        try:
            report = importlib.import_module(f"tests.bench.{NAMES[name]}").run(Bench(scratch, disk, given.quick))
        except (RuntimeError, TimeoutError, OSError) as error:
            failed = 1
            print(f"{name}: {error}", file=sys.stderr)
            continue
        finally:
            for made in (disk, scratch):
                shutil.rmtree(made, ignore_errors=True)
        found[name] = report.record()
        if not given.json:
            print(report.text(), f"  ({name}: {time.monotonic() - began:.0f} s)", "", sep="\n", flush=True)
    if given.json:
        print(json.dumps(found, indent=1))
    return failed


if __name__ == "__main__":
    sys.exit(main())
