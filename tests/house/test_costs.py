"""What must not grow: counted, not timed, so that it fails on any machine alike."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from exs import server
from exs.model import Fenced, JobState, NewJob, Offer, Outcome, Spec
from exs.settings import Limits, Settings
from exs.store.look import PAGE
from exs.store.push import Origin, new_id
from exs.store.store import Store, open_store
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
    heavy = {"redis", "rq", "yaml", "rich", "pynvml", "asyncio", "exs_worker", "subprocess"}
    if sys.version_info < (3, 11):
        heavy.remove("subprocess")  # click asks for uuid, and that for platform, which imports it there
    assert not tops(modules) & heavy
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


#: Jobs of the measured push: as many as the figures are promised for.
JOBS = 100_000
#: Of which so many are run.
RUN = 5000


@dataclass
class Measured:
    """What Redis, with the configuration of exs, says of JOBS jobs with three parameters. Bytes and calls per job."""

    queued: float
    finished: float
    push_scripts: int
    list_scripts: int
    attempt: dict[str, float]  #: commands of one claim and one finish
    listed: int


def commands(client: Any) -> dict[str, int]:
    stats = client.info("commandstats")
    return {name.removeprefix("cmdstat_"): int(entry["calls"]) for name, entry in stats.items()}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Measured]:
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

    def used() -> float:
        return float(client.info("memory")["used_memory"])

    try:
        store._scripts.load("push")  # what Redis keeps of a script is no part of a job
        empty = used()
        store.push("resnet", Spec({"run": compiled}, "/home/alice"), jobs, Origin("alice", "laptop", "sweep.yaml"))
        queued = used()
        push_scripts = commands(client)["evalsha"]
        client.config_resetstat()
        run(store)
        finished = used()
        attempt = {name: calls / RUN for name, calls in commands(client).items() if calls >= RUN}
        client.config_resetstat()
        listed = len(store.jobs("resnet"))
        each = (queued - empty) / JOBS
        yield Measured(
            each, each + (finished - queued) / RUN, push_scripts, commands(client)["evalsha"], attempt, listed
        )
    finally:
        server.stop(settings)


def run(store: Store) -> None:
    """Claim and finish RUN jobs as a slot does: a directory named after the job, a log in it, a small result."""
    offer = Offer("gpu01:gpu0@1a2b", "gpu01", "b0fd8a51-8c9d-4a0f-9c1e-4a1fe8e0f7e1", gpus=("0",))
    claim = store.claim(offer, new_id())
    for _ in range(RUN):
        assert claim is not None
        directory = f"/home/alice/output/{claim.name}"
        done = Outcome(
            JobState.DONE,
            exit_code=0,
            seconds=12.5,
            result={"val_loss": 0.1234, "acc": 0.91},
            directory=directory,
            log=f"{directory}/log.run.20261126_004453",
            max_rss=123_456_789,
        )
        fence, claim = store.finish_and_claim(claim.job, claim.attempt, done, offer, new_id())
        assert fence is Fenced.OURS


def test_a_queued_job_takes_few_bytes(measured: Measured) -> None:
    assert measured.queued <= 480


def test_a_finished_job_takes_few_bytes(measured: Measured) -> None:
    assert measured.finished <= 800


def test_a_push_takes_one_script_per_batch(measured: Measured) -> None:
    assert measured.push_scripts <= JOBS / Limits().push_batch + 3


def test_a_list_takes_one_script_per_page(measured: Measured) -> None:
    assert measured.listed == JOBS
    assert measured.list_scripts <= JOBS / PAGE + 2


def test_a_claim_and_a_finish_take_few_commands_of_redis(measured: Measured) -> None:
    assert measured.attempt.pop("evalsha") <= 2.01
    assert sum(measured.attempt.values()) <= 30  # 29 measured, 35 before the slot's counts were written with its state
