"""A project of many small files: packed, through Redis, and unpacked, beside tar with the same compression."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from exs.capsule.chunks import compressed, manifest_from
from exs.capsule.pack import pack
from exs.capsule.scan import scan
from exs.capsule.unpack import unpack
from tests.bench.bench import Bench
from tests.bench.figures import Report
from tests.bench.measure import alternately

#: Files of one directory.
_TOGETHER = 100


def _project(root: Path, files: int) -> None:
    """Modules of some hundred bytes to some KiB, as code is."""
    chance = random.Random(0)
    for number in range(files):
        folder = root / f"package{number // _TOGETHER}"
        folder.mkdir(exist_ok=True)
        line = f"value = {chance.random()}\n"
        (folder / f"module{number}.py").write_text(line * chance.randrange(5, 80))


def run(bench: Bench) -> Report:
    """Seconds on the wall and of CPU, in turns; what is unpacked is counted."""
    files, rounds = bench.size(50_000, 5_000), bench.size(3, 1)
    root = bench.directory("project")
    _project(root, files)
    report = Report(f"a capsule of {files:,} files: pack, travel, unpack; medians of {rounds} rounds, in turns")
    cpu: dict[str, list[float]] = {"exs": [], "tar": []}

    def timed(what: str, do: Callable[[Path], None]) -> float:
        target = bench.directory(what)
        began, used = time.perf_counter(), _cpu()
        do(target)
        took = time.perf_counter() - began
        cpu[what].append(_cpu() - used)
        found = sum(len(names) for _, _, names in os.walk(target))
        assert found >= files, f"{what} made {found} files"
        shutil.rmtree(target)
        return took

    with bench.server() as queue:

        def ours(target: Path) -> None:
            queue.client.flushall()
            capsule = pack(scan(str(root), most_bytes=1 << 40, most_files=1 << 30))
            queue.store.put_capsule(capsule.name, capsule.manifest.text(), capsule.chunks, "bench", compressed)
            manifest = manifest_from(queue.store.capsule(capsule.name), capsule.name)
            unpack(queue.store.chunks(manifest.chunks), str(target))

        def theirs(target: Path) -> None:
            archive = target / "archive.tar.gz"
            _run("tar", "-C", str(root), "-I", "gzip -1", "-cf", str(archive), ".")
            _run("tar", "-C", str(target), "-I", "gzip", "-xf", str(archive))

        wall = alternately(rounds, lambda: timed("exs", ours), lambda: timed("tar", theirs))
    ratio = wall[0] / wall[1]
    report.add("exs, through Redis", wall[0], "s", ratio=ratio, of="tar and gzip -1", most_ratio=2.0)
    report.add("files", files / wall[0], "/s", ratio=1 / ratio, of="tar and gzip -1")
    used = {what: sorted(taken)[len(taken) // 2] for what, taken in cpu.items()}
    report.add("CPU, less Redis's", used["exs"], "s", ratio=used["exs"] / used["tar"], of="tar and gzip -1")
    return report


def _run(*words: str) -> None:
    subprocess.run(words, check=True)


def _cpu() -> float:
    """CPU seconds of this process and of those that it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
