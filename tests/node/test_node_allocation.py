"""A worker inside a job of a batch scheduler: its GPUs, its end, the scheduler's warning; and workers in real Slurm."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from exs.model import JobState
from exs.store import keys
from exs_worker import proctree
from harness import slurm
from harness.fleet import Fleet

S = JobState
ROOT = Path(__file__).resolve().parents[2]


def test_a_worker_takes_what_it_can_finish_and_hands_the_rest_back_in_time(fleet: Fleet) -> None:
    """`long` stands first and may take an hour; `short` says nothing and is stopped when the allocation ends."""
    (long,) = fleet.push(name="long", timeout=3600.0)
    (quick,) = fleet.push(name="quick", timeout=2.0)
    (short,) = fleet.push("until", fleet.root / "never", name="short")
    node = fleet.node("a", start=False, PBS_JOBID="7.server", PBS_WALLTIME="20")
    node.start(slots=0)
    fleet.wait_state(quick, S.DONE)
    fleet.wait_running(short)
    fleet.wait(lambda: node.ended() is not None, "the worker leaves before its allocation ends", 40)
    assert node.ended() == 0, node.text()
    assert "inside TORQUE/PBS job 7.server, until " in node.text()
    assert "leave: the allocation of the batch scheduler ends" in node.text()
    assert [fleet.row(job).state for job in (long, quick, short)] == [S.QUEUED, S.DONE, S.QUEUED]
    assert fleet.row(long).attempts == 0
    fleet.check()


def test_a_job_that_saved_a_checkpoint_goes_on_where_it_cannot_finish(fleet: Fleet) -> None:
    """One of a day would never be over where every allocation lasts four hours."""
    keeps = ("keep", "checkpoints/a", "report", '{"checkpoint": {"path": "checkpoints/a", "step": 3}}')
    shared = str(fleet.root / "shared")  # where both nodes find the checkpoint
    (job,) = fleet.push("told", "EXS_CHECKPOINT", *keeps, "until", fleet.root / "go", timeout=86400.0, output=shared)
    first = fleet.node("a", start=False, PBS_JOBID="7.server", PBS_WALLTIME="14400")
    first.start()
    fleet.wait(fleet.store.workers, "the slot is registered")
    out = fleet.exs("why", job, EXS_LEASE="60")  # an idle slot is heard every 5 s
    assert "a:cpu0  its timeout of 1d00h outlasts this slot, which ends in 3h5" in out
    other = fleet.node("b")
    fleet.wait(lambda: fleet.row(job).checkpoint, "the checkpoint")
    assert other.agent is not None
    other.agent.send_signal(signal.SIGUSR1)
    assert fleet.wait_running(job, 2).node == "a"
    (fleet.root / "go").touch()
    row = fleet.wait_state(job, S.DONE)
    assert (row.node, row.lost) == ("a", 0)
    told = [seen.text for seen in fleet.witness.seen("told")]
    assert told == ["", f"{row.directory}/checkpoints/a"]
    fleet.check()


@pytest.mark.parametrize("warning", [signal.SIGTERM, signal.SIGUSR1])
def test_the_warning_of_the_scheduler_hands_back_at_once(fleet: Fleet, warning: signal.Signals) -> None:
    """Outside of an allocation the first SIGTERM would wait for the job."""
    (job,) = fleet.push("until", fleet.root / "never")
    node = fleet.node("a", start=False, JOB_ID="7", SGE_ROOT="/opt/sge")
    node.start(slots=0)
    fleet.wait_running(job)
    assert node.agent is not None
    node.agent.send_signal(warning)
    fleet.wait(lambda: node.ended() is not None, "the worker leaves", 30)
    assert node.ended() == 0, node.text()
    assert fleet.row(job).state is S.QUEUED
    fleet.check()


@pytest.mark.parametrize("warning", [signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2])
def test_a_signal_that_hits_every_process_of_an_allocation_is_no_failure_of_its_jobs(
    fleet: Fleet, warning: signal.Signals
) -> None:
    """Slurm's goes to all of a step, whatever their session: a job may be dead before its slot is told."""
    last_words = {"LSB_JOBID": "7"} if warning == signal.SIGUSR2 else {"SLURM_JOB_ID": "7"}
    ends = str(int(time.time()) + 3600)
    jobs = fleet.push("until", fleet.root / "never", jobs=2)
    node = fleet.node("a", start=False, SLURM_JOB_END_TIME=ends, **last_words)
    node.start("--cpus", "2", slots=0)
    fleet.wait_event("start", 2)
    for proc in sorted(node.pids(), reverse=True):  # the jobs before their slots, these before the agent
        proctree.send(proc, warning)
    fleet.wait(lambda: node.ended() is not None, "the worker leaves", 30)
    assert node.ended() == 0, node.text()
    rows = [fleet.row(job) for job in jobs]
    assert [(row.state, row.failure, row.lost) for row in rows] == [(S.QUEUED, "", 0)] * 2, node.text()
    assert [fleet.store.job(job).history[0].detail for job in jobs] == [
        f"handed back by its worker (ended by {warning.name})"
    ] * 2
    fleet.check()


def test_a_job_that_somebody_kills_inside_an_allocation_has_failed(fleet: Fleet) -> None:
    (job,) = fleet.push("until", fleet.root / "never")
    node = fleet.node("a", start=False, SLURM_JOB_ID="7", SLURM_JOB_END_TIME=str(int(time.time()) + 3600))
    node.start(slots=0)
    fleet.wait_event("start")
    os.kill(fleet.witness.seen("start")[0].pid, signal.SIGTERM)
    row = fleet.wait_state(job, S.CRASHED)
    assert row.detail.startswith("killed by SIGTERM")
    assert node.ended() is None
    fleet.check()


def test_only_the_gpus_of_the_allocation_are_used(fleet: Fleet) -> None:
    node = fleet.node("a", start=False, SLURM_JOB_ID="7", SLURM_JOB_GPUS="701", EXS_FAKE_GPUS="702x24GiB")
    node.start("--gpus", "700", slots=0)
    fleet.wait(lambda: node.ended() is not None, "it is refused")
    assert (node.ended(), "GPU 700 of --gpus 700 is outside" in node.text()) == (2, True), node.text()


@pytest.fixture
def real_slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[slurm.Slurm]:
    if why := slurm.missing():
        pytest.skip(why)
    root = tmp_path_factory.mktemp("slurm")
    for path in (root, *root.parents[:2]):
        path.chmod(0o755)  # its daemons want a way that nobody else can write to
    made = slurm.Slurm(root)
    try:
        yield made.start()
    finally:
        made.stop()


def test_an_array_of_workers_in_real_slurm(fleet: Fleet, real_slurm: slurm.Slurm) -> None:
    """The script of deploy/slurm, twice at once: the jobs that fit into it run, each once; a warning hands back, and
    scancel too, which signals the job as well."""
    jobs = fleet.push(jobs=6)
    (long,) = fleet.push(name="long", timeout=4 * 3600.0)
    place = fleet.node("slurm", start=False)  # its environment and directories; Slurm starts the workers
    (place.home / "bin").mkdir()
    launcher = place.home / "bin" / "exs"
    launcher.write_text(f'#!/bin/sh\nexec {" ".join(map(_quoted, _exs()))} "$@"\n')
    launcher.chmod(0o755)
    env = place.env | {
        "SLURM_CONF": real_slurm.env["SLURM_CONF"],
        "PATH": f"{launcher.parent}:{real_slurm.env['PATH']}",
        "EXS_IDLE_EXIT": "2s",
    }

    def submit(*options: str) -> str:
        script = ROOT / "deploy" / "slurm" / "cpu-workers.sh"
        words = ["sbatch", "--parsable", "--cpus-per-task=1", *options, script, "--workdir", place.work]
        done = subprocess.run(words, cwd=place.home, env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def said() -> str:
        return "\n".join(path.read_text() for path in sorted(place.home.glob("exs-worker-*.log")))

    submit("--array=1-2", "--time=2")
    fleet.wait(lambda: all(fleet.row(job).state is S.DONE for job in jobs), "the jobs are done", 60)
    real_slurm.wait_for_jobs()
    assert fleet.row(long).state is S.QUEUED, said()
    runs = fleet.witness.runs()
    assert len(runs) == 6 and set(runs.values()) == {1}
    assert said().count("inside SLURM job ") == 2 and said().count("(--idle-exit)") == 2

    with redis.Redis.from_url(fleet.server.url) as client:  # as if each had taken an hour
        for job in jobs:
            began = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(fleet.row(job).ended_at - 3600))
            client.hset(keys.RQ_JOB + job, "started_at", began)
        client.hdel(keys.EXPERIMENT + "work", "tk")  # what was measured before is believed for a minute
    slow = fleet.push(jobs=7)[6]
    (held,) = fleet.push("until", fleet.root / "never", name="held")
    for attempt, cancel in enumerate((("scancel", "--batch", "--signal=USR1"), ("scancel",)), 1):
        batch = submit("--array=1", "--time=2")
        fleet.wait_running(held, attempt)
        real_slurm.say(*cancel, batch)
        fleet.wait(lambda: fleet.row(held).state is S.QUEUED, "the job is handed back", 30)
        real_slurm.wait_for_jobs()
    rows = [fleet.row(job) for job in (slow, held)]
    assert [(row.state, row.attempts, row.lost) for row in rows] == [(S.QUEUED, 0, 0), (S.QUEUED, 2, 0)], said()
    fleet.check()


def _exs() -> list[str]:
    from harness.node import EXS

    return EXS


def _quoted(word: str) -> str:
    import shlex

    return shlex.quote(word)
