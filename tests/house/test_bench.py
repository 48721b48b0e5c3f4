"""The benchmarks run, say what they compare with, leave nothing behind, and their figures get into README.md."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bench import readme
from tests.bench.__main__ import NAMES
from tests.bench.figures import Figure, Report, aligned

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"


def bench(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.bench", *words],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_benchmarks_with_and_without_a_worker_run(tmp_path: Path) -> None:
    done = bench(tmp_path, "expansion", "claim", "output", "--quick", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list(found) == ["expansion", "claim", "output"]
    for report in found.values():
        assert all(figure["value"] >= 0 for figure in report["figures"])
        assert any(figure["ratio"] and figure["of"] for figure in report["figures"]), "nothing to compare with"
    assert list(tmp_path.iterdir()) == []
    assert _using(tmp_path) == []


def _using(directory: Path) -> list[str]:
    """Command lines of processes that were started with this directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            started = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        if os.fsencode(directory) in started and process.name != str(os.getpid()):
            found.append((process / "cmdline").read_text())
    return found


@pytest.mark.parametrize("name", NAMES)
def test_each_benchmark_is_told_of_and_there(name: str) -> None:
    module = importlib.import_module(f"tests.bench.{NAMES[name]}")
    assert callable(module.run)
    assert f"\n    {name} " in importlib.import_module("tests.bench.__main__").__doc__


def test_a_name_that_is_no_benchmark_is_refused(tmp_path: Path) -> None:
    done = bench(tmp_path, "dream")
    assert done.returncode == 2
    assert "no benchmark dream; there are expansion, push" in done.stderr


def test_without_a_name_it_says_what_there_is(tmp_path: Path) -> None:
    done = bench(tmp_path)
    assert done.returncode == 0
    assert all(f"\n    {name} " in done.stdout for name in NAMES)


# ------------------------------------------------------------ figures


def test_a_goal_is_met_or_missed() -> None:
    assert Figure("a", 3.0, "ms", most=3.0).met
    assert not Figure("a", 3.1, "ms", most=3.0).met
    assert not Figure("a", 49_999.0, "jobs/s", least=50_000.0).met
    assert not Figure("a", 1.0, "jobs/s", ratio=0.49, of="the floor", least_ratio=0.5).met
    assert Figure("a", 1.0, "s", ratio=0.5, of="rq info", most_ratio=0.5).met


def test_a_report_is_an_aligned_table() -> None:
    report = Report("push")
    report.add("rate", 51234.5, "jobs/s", ratio=0.5, of="bare pipelines", least=50_000.0)
    report.add("another client waits at most", 60.0, "ms", most=50.0)
    assert report.text().splitlines() == [
        "push",
        "  rate                          51,234  jobs/s  0.5x of bare pipelines  >= 50,000: met",
        "  another client waits at most    60.0  ms                              <= 50.0: MISSED",
    ]
    assert aligned([]) == []


# ------------------------------------------------------------ README.md


def _run(share: float, other: float = 0.0) -> dict[str, Any]:
    noise = {"other_cores": other}
    return {
        "submit": {"bulk": {"jobs_per_s": 30_000.0, **noise}},
        "latency": {"submit_to_start": {"median_ms": 2.5}},
        "drain": {"x_of_floor": share, **noise},
        "scale": {"jobs_per_s": 500.0, "floor_before_jobs_per_s": 1000.0, **noise},
    }


def test_peers_stand_fastest_first_with_the_median_of_quiet_runs() -> None:
    found = {
        "rq": [_run(0.03), _run(0.05), _run(0.04)],
        "exs_adapter": [_run(0.5), _run(0.9, other=1.0), _run(0.6)],
        "huey": [{"peer": "huey", "error": "no result"}],
        "sgs": [{"custom": {"drain": {"x_of_floor": 0.31, "other_cores": 0.8}}}],
    }
    assert readme.table(found)[2:] == [
        "| C: posix_spawn, waitpid | nothing | 1.00 | 1.00 | | |",
        "| **exs** | directory, log, record, fence | 0.55 | 0.50 | 30,000 | 2.5 |",
        "| simple_gpu_scheduler | nothing | ~0.31 |  |  |  |",
        "| RQ | record, result | 0.04 | 0.50 | 30,000 | 2.5 |",
    ]


def test_figures_of_exs_alone_are_shown_or_missed_loudly() -> None:
    report = Report("start-up")
    report.add("exs --help", 21.0, "ms", ratio=0.25, of="rq info", most_ratio=0.5)
    report.add("exs list", 60.0, "ms", ratio=0.75, of="rq info", most_ratio=1.0)
    assert readme.alone({"startup": report.record()}, readme.ALONE)[2:] == [
        "| `exs --help` | 21.0 ms | 0.25x of rq info |",
        "| `exs list` | 60.0 ms | 0.75x of rq info |",
    ]
    del report.figures[0]
    with pytest.raises(LookupError, match=r"startup has no figure 'exs --help'"):
        readme.alone({"startup": report.record()}, readme.ALONE)


def test_how_far_one_redis_carries_is_said_when_it_was_measured() -> None:
    slots, million = Report("slots"), Report("million")
    slots.add("jobs of 20 s: Redis", 4.3, "% of a core")
    slots.add("jobs of 20 s: finish and claim, median", 1.2, "ms")
    slots.add("jobs of 20 s: finish and claim, p99", 3.4, "ms")
    slots.add("a core of Redis carries (extrapolated)", 6300.0, "jobs/s")
    slots.add("slots with jobs of 10 minutes, half a core (extrapolated)", 14000.0, "slots")
    million.add("Redis per job", 466.0, "bytes")
    million.add("claim, in Redis", 62.2, "us")
    said = readme.reach({"slots": slots.record(), "million": million.record()})
    assert "take 4.3 % of one core" in said and "466 bytes" in said and "14,000 slots" in said
    assert readme.reach({"slots": slots.record()}) == ""
    with pytest.raises(LookupError, match="million has no figure"):
        readme.reach({"slots": slots.record(), "million": Report("million").record()})


def test_the_section_of_readme_is_replaced_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page, runs = tmp_path / "README.md", tmp_path / "all.json"
    page.write_text(f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter\n")
    runs.write_text(json.dumps({"exs_adapter": [_run(0.5)]}))
    monkeypatch.setattr(sys, "argv", ["readme", str(runs), "--write", str(page)])
    assert readme.main() == 0
    text = page.read_text()
    assert text.startswith(f"before\n{readme.BEGIN}\n") and text.endswith(f"\n{readme.END}\nafter\n")
    assert "old" not in text and "| **exs** |" in text
    page.write_text("no marks\n")
    assert readme.main() == 2


def test_readme_has_the_section() -> None:
    text = README.read_text(encoding="utf-8")
    assert text.count(readme.BEGIN) == text.count(readme.END) == 1
