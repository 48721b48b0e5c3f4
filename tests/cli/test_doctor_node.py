"""exs doctor at a machine on which something is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cli.doctoring import OURS, doctor, findings, typed
from cli.lab import Exs, wait_for
from exs import paths
from exs.answers import Severity
from exs.model import JobState, Offer, Outcome
from exs_worker import checkup, proctree
from exs_worker.spool import Spool, Spooled
from harness.disk import ROOT, small_disk

Found = list[tuple[str, str, list[str]]]


def node(well: Exs, code: int) -> Found:
    """Notes, warnings and errors about this machine."""
    return [one for one in findings(well, code, "node") if one[0] != "ok"]


@pytest.fixture
def befall(well: Exs) -> Callable[..., None]:
    """Lets something happen to one of two GPUs."""
    state = well.cwd / "gpus.json"
    well.env |= {"EXS_FAKE_GPUS": "2x24GiB", "EXS_FAKE_GPUS_STATE": str(state)}

    def now(**what: Any) -> None:
        state.write_text(json.dumps(what))

    return now


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """One that has nothing to do with exs."""
    running = subprocess.Popen(["sleep", "600"])
    yield running
    running.kill()
    running.wait()


def test_gpus_that_are_well(well: Exs, befall: Callable[..., None]) -> None:
    befall()
    assert node(well, 0) == []
    assert "GPUs: 2 x Fake GPU (24 GiB)" in [what for _, what, _ in findings(well, 0, "node")]


def test_f39_a_gpu_that_does_not_answer(well: Exs, befall: Callable[..., None]) -> None:
    befall(broken={"1": "NVML: GPU is lost."})
    ((severity, what, do),) = node(well, 4)
    assert (severity, what) == ("error", "GPU 1 does not answer: NVML: GPU is lost.")
    assert do[0].startswith("nvidia-smi -i 1 ")


def test_a_gpu_with_memory_errors(well: Exs, befall: Callable[..., None]) -> None:
    befall(uncorrected={"0": 3})
    ((severity, what, _),) = node(well, 1)
    assert severity == "warning" and what.startswith("GPU 0 had 3 memory errors that could not be corrected")


def test_f41_a_stranger_on_a_gpu(well: Exs, befall: Callable[..., None], process: subprocess.Popen[bytes]) -> None:
    befall(processes={"0": [process.pid]})
    ((severity, what, _),) = node(well, 1)
    assert severity == "warning" and what.startswith("GPU 0 gets no job while others compute on it: ")
    assert f"process {process.pid} of " in what and "(sleep)" in what


def test_a_job_of_exs_is_no_stranger_on_its_gpu(well: Exs, befall: Callable[..., None]) -> None:
    own = subprocess.Popen(["sleep", "600"], env={**os.environ, "EXS_ATTEMPT": "abcdefghij"})
    try:
        befall(processes={"0": [own.pid]})
        assert node(well, 0) == []
    finally:
        own.kill()
        own.wait()


def test_what_the_driver_told_the_kernel() -> None:
    log = "6,1,2;x\n4,5,6;NVRM: Xid (PCI:0000:3b:00): 79, pid=1, GPU has fallen off the bus.\n" * 2
    (finding,) = checkup.xids(log)
    assert finding.severity is Severity.WARNING
    assert "Xid 79 of the GPU at PCI 0000:3b:00" in finding.what


# ------------------------------------------------------------ what dead attempts left


def test_processes_of_a_dead_attempt(well: Exs) -> None:
    """Their slot is gone; doctor names them and does nothing to them, and what it says ends them."""
    slot = subprocess.Popen(["sleep", "600"])
    stat = proctree.read(slot.pid)
    assert stat is not None
    marks = {"EXS_ATTEMPT": OURS, "EXS_WORKER_PID": str(slot.pid), "EXS_WORKER_START": str(stat.proc.start)}
    left = subprocess.Popen(["sleep", "600"], env={**os.environ, **marks})
    try:
        assert node(well, 0) == []
        slot.kill()
        slot.wait()
        ((severity, what, do),) = node(well, 1)
        assert severity == "warning" and what.startswith(f"attempt {OURS} left processes behind")
        assert f"process {left.pid} of " in what
        assert left.poll() is None
        typed(well, *do)
        assert left.wait(10) == -signal.SIGTERM
        assert node(well, 0) == []
    finally:
        for one in (slot, left):
            one.kill()
            one.wait()


@pytest.fixture
def spool(well: Exs) -> Spool:
    """That of `well`."""
    return Spool(paths.state_dir(well.env).spool)


OFFER = Offer("gpu1:cpu0@aaaa", "gpu1", "boot", ("default",), (), 0, "")


def test_outcomes_that_nobody_delivers(well: Exs, spool: Spool) -> None:
    spool.put(Spooled("abcdefghij", "attempt001", OFFER, Outcome(JobState.DONE)))
    broken = spool.put(Spooled("bbcdefghij", "attempt002", replace(OFFER), Outcome(JobState.DONE)))
    broken.rename(broken.with_suffix(".broken"))
    sentences = [what for _, what, _ in node(well, 1)]
    assert any("for Redis, and no worker runs here to deliver them." in what for what in sentences)
    assert any(what.endswith(f"that cannot be read: {broken.with_suffix('.broken').name}.") for what in sentences)
    assert "abcdefghij" in " ".join(path.name for path in spool.waiting()[0]), "doctor changes nothing"


def test_outcomes_that_a_worker_delivers(well: Exs, spool: Spool) -> None:
    agent = well.start("worker", "--cpus", "1", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: "cpu0" in well("workers"), "the slot")
        spool.put(Spooled("abcdefghij", "attempt001", OFFER, Outcome(JobState.DONE)))
        ((severity, what, _),) = node(well, 0)
        assert severity == "note" and "the worker that runs here delivers them" in what
    finally:
        agent.send_signal(signal.SIGTERM)
        agent.communicate(timeout=30)


# ------------------------------------------------------------ room and rights


@pytest.mark.parametrize(
    ("size", "code", "severity"),
    [pytest.param("200m", 1, "warning", marks=ROOT), pytest.param("20m", 4, "error", marks=ROOT)],
)
def test_a_disk_that_is_nearly_full(well: Exs, size: str, code: int, severity: str) -> None:
    with small_disk(well.cwd / "state", size):
        ((found, what, do),) = node(well, code)
        assert found == severity and what.startswith("the disk of the state directory ") and what.endswith(" MiB left.")
        assert typed(well, *do)


def test_few_open_files(well: Exs) -> None:
    command = f"ulimit -Sn 256; exec {sys.executable} -m exs doctor --json"
    done = subprocess.run(["bash", "-c", command], env=well.env, cwd=well.cwd, capture_output=True, text=True)
    found = [one for one in json.loads(done.stdout)["findings"] if one["severity"] == "warning"]
    assert done.returncode == 1
    assert [one["what"] for one in found] == ["a job may open 256 files only, and data loaders often need more."]
    assert found[0]["do"][0].startswith("ulimit -n ")


def test_a_password_that_others_may_read(well: Exs) -> None:
    conf = well.cwd / ".config" / "exs" / "exs.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text("[exs]\nredis_url = redis://:hunter2@localhost:6379\n")
    conf.chmod(0o644)
    ((severity, what, do),) = node(well, 1)
    assert severity == "warning" and what == f"others may read {conf}, which holds the password of Redis."
    assert "hunter2" not in doctor(well, code=1)
    typed(well, *do)
    assert node(well, 0) == []


def test_a_laptop_without_the_parts_of_a_node(well: Exs, tmp_path: Path) -> None:
    """On macOS nothing of exs_worker is imported, and no /proc is read."""
    script = """
import sys
sys.platform = "darwin"
sys.modules["exs_worker"] = None
from exs.doctor import node
from exs.settings import load
for finding in node.checks(load()):
    print(finding.severity.value, finding.what)
"""
    done = subprocess.run([sys.executable, "-c", script], env=well.env, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ok exs ")
    assert "GPU" not in done.stdout and "disk: " in done.stdout
