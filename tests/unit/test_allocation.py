"""What the environment of a batch job says of its GPUs and its end."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from exs.tools.batch import allocation
from exs.tools.batch.allocation import find


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, answer: str) -> None:
    """A program of a scheduler's that answers so."""
    (folder / name).write_text(f"#!/bin/sh\ncat <<END\n{answer}\nEND\n")
    (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def test_outside_of_one_there_is_none() -> None:
    assert find({"CUDA_VISIBLE_DEVICES": "0", "JOB_ID": "7", "HOME": "/root"}) is None


@pytest.mark.parametrize(("left", "seconds"), [("1-02:03:04", 93784), ("5:00", 300), ("UNLIMITED", 0), ("", 0)])
def test_slurm_says_how_long_it_lasts(left: str, seconds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, "squeue", f"17 {left}")
    found = find({"SLURM_JOB_ID": "17", "SLURM_JOB_GPUS": "2,3"})
    assert found is not None and found.gpus == "2,3"
    assert found.ends == (pytest.approx(time.time() + seconds, abs=30) if seconds else 0)
    assert "SLURM job 17, " in str(found)


def test_the_end_is_that_of_the_job_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of an array has the array's number, for which squeue tells of all; and what a member submits has the
    member's SLURM_ARRAY_... in its environment."""
    stand_in(tmp_path, monkeypatch, "squeue", "18 1:00\n17 1:00:00\n19 1:00\nasked for: $3")
    found = find({"SLURM_JOB_ID": "17", "SLURM_ARRAY_JOB_ID": "4", "SLURM_ARRAY_TASK_ID": "1"})
    assert found is not None and found.ends == pytest.approx(time.time() + 3600, abs=30)
    stand_in(tmp_path, monkeypatch, "squeue", "$3 0:00")
    over = find({"SLURM_JOB_ID": "17", "SLURM_ARRAY_JOB_ID": "4", "SLURM_ARRAY_TASK_ID": "1"})
    assert over is not None and over.ends == pytest.approx(time.time(), abs=30), "no time is left"


def test_without_an_answer_it_says_what_would_help(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # as in a container
    for odd in ("", "²", "9" * 400, "soon"):
        found = find({"SLURM_JOB_ID": "17", "SLURM_JOB_END_TIME": odd})
        assert found is not None and found.ends == 0
        assert str(found) == "SLURM job 17, which does not tell when it ends: --until and --grace would"


def test_newer_slurm_says_it_without_being_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocation, "_ask", lambda argv: pytest.fail(f"asked {argv}"))
    found = find({"SLURM_JOB_ID": "17", "SLURM_JOB_END_TIME": "1900000000", "CUDA_VISIBLE_DEVICES": "0"})
    assert found is not None and (found.ends, found.gpus) == (1900000000, "0")


@pytest.mark.parametrize(
    ("environ", "label", "left"),
    [
        ({"PBS_JOBID": "7.server", "PBS_WALLTIME": "1000000"}, "TORQUE/PBS", 1_000_000),
        ({"OAR_JOB_ID": "7", "OAR_JOB_WALLTIME_SECONDS": "1000000"}, "OAR", 1_000_000),
        ({"OAR_JOB_ID": "7", "OAR_JOB_WALLTIME": "277:46:40"}, "OAR", 1_000_000),
        ({"JOB_ID": "7", "SGE_ROOT": "/opt/sge", "SGE_HGR_gpu": "gpu1 gpu3"}, "SGE", 0),
    ],
)
def test_others_count_from_the_start_of_the_session(environ: dict[str, str], label: str, left: int) -> None:
    found = find(environ)
    assert found is not None and found.label == label
    if not left:
        assert (found.ends, found.gpus) == (0, "1,3")
    else:  # the session of this test is as old as it is, and not from the future
        assert time.time() + left - 900_000 < found.ends <= time.time() + left + 1


def test_lsf_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, "bjobs", "24:12 L")
    found = find({"LSB_JOBID": "7"})
    assert found is not None and found.ends == pytest.approx(time.time() + 24 * 3600 + 12 * 60, abs=30)


def test_the_gpus_in_the_file_of_pbs_are_those_of_this_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    here = os.uname().nodename.partition(".")[0]
    (tmp_path / "gpus").write_text(f"{here}-gpu1\nelsewhere-gpu0\n{here}-gpu3\n")
    found = find({"PBS_JOBID": "7", "PBS_GPUFILE": str(tmp_path / "gpus")})
    assert found is not None and found.gpus == "1,3"
