"""What must not grow: counted, not timed, so that it fails on any machine alike."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from exs import server
from exs.model import NewJob, Spec
from exs.settings import Limits, Settings
from exs.store.push import Origin
from exs.store.store import open_store
from exs.sweep.template import compile_command

ROOT = Path(__file__).resolve().parents[2]


def imported(tmp_path: Path, *words: str) -> set[str]:
    """The modules that a Python command imports."""
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'workers'}"}
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *words], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}


def tops(modules: set[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules}


def test_help_imports_click_and_little_of_ours(tmp_path: Path) -> None:
    modules = imported(tmp_path, "-m", "exs", "--help")
    assert "click" in tops(modules)
    assert not tops(modules) & {"redis", "rq", "yaml", "rich", "pynvml", "asyncio", "exs_worker", "subprocess"}
    assert {module for module in modules if module.startswith("exs.")} <= {"exs.cli", "exs.cli.main", "exs.errors"}


def test_a_list_needs_neither_yaml_nor_rq(tmp_path: Path) -> None:
    modules = imported(tmp_path, "-c", "import exs.cli.list, exs.view.experiments, exs.store.store")
    assert "redis" in tops(modules)
    assert not tops(modules) & {"rq", "yaml", "rich", "pynvml", "exs_worker"}


def test_a_slot_needs_neither_yaml_nor_click(tmp_path: Path) -> None:
    modules = imported(tmp_path, "-c", "import exs_worker.main")
    assert "rq" in tops(modules)
    assert not tops(modules) & {"click", "yaml", "rich", "pynvml"}
    assert not {module for module in modules if module.startswith(("exs.cli", "exs.sweep", "exs.view", "exs.server"))}


#: Jobs of the measured push: enough that what an experiment costs once does not count.
JOBS = 20_000


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, float]]:
    """What Redis, configured as exs configures its own, says of a push of JOBS jobs with three parameters."""
    settings = Settings(state_dir=str(tmp_path_factory.mktemp("state")))
    url = server.ensure(settings)
    store = open_store(url, settings)
    client = redis.Redis.from_url(url)
    command = "python3 train.py --learning-rate {lr} --weight-decay {wd} --seed {seed} --epochs 100 --amp"
    compiled = compile_command(command, {"lr": [0.1], "wd": [0.1], "seed": [1]}, "sweep.yaml:1")
    jobs = (
        NewJob({"lr": n / 100, "wd": 0.01, "seed": n}, f"Lr_{n / 100}-Wd_0.01-Seed_{n}", f"{hash((n, 7)) % 2**64:016x}")
        for n in range(JOBS)
    )
    try:
        before = client.info("memory")["used_memory"]
        store.push("resnet", Spec({"run": compiled}, "/home/alice"), jobs, Origin("alice", "laptop", "sweep.yaml"))
        after = client.info("memory")["used_memory"]
        calls = client.info("commandstats")["cmdstat_evalsha"]["calls"]
        yield {"bytes": (after - before) / JOBS, "scripts": calls}
    finally:
        server.stop(settings)


def test_a_queued_job_takes_few_bytes(pushed: dict[str, float]) -> None:
    assert pushed["bytes"] <= 530  # 515 measured; 475 at 200,000 jobs, where the buckets of points are full


def test_a_push_takes_one_round_trip_per_batch(pushed: dict[str, float]) -> None:
    batches = JOBS / Limits().push_batch
    assert pushed["scripts"] <= batches + 3
