"""The allocation of a batch scheduler that this process runs in: its GPUs, its end, how its end is announced."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

#: Seconds after which a scheduler that does not answer is not asked any more.
_PATIENCE = 20.0


@dataclass(frozen=True)
class Allocation:
    """What is known of it. `job`: its number there. `ends`: seconds since the epoch, 0 if nobody tells. `gpus`: as in
    CUDA_VISIBLE_DEVICES, None if nobody tells. `last_words`: names of the signals that announce its end."""

    label: str
    job: str
    ends: float = 0.0
    gpus: str | None = None
    last_words: str = "SIGTERM"

    def __str__(self) -> str:
        """`SLURM job 17, until 2026-11-27 08:00:00`."""
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.ends)) if self.ends else ""
        end = f"until {at}" if at else "which does not tell when it ends: --until and --grace would"
        return f"{self.label} job {self.job}, {end}"


def find(environ: Mapping[str, str]) -> Allocation | None:
    """The allocation that the environment speaks of; None outside of one. Never raises."""
    given = environ.get("CUDA_VISIBLE_DEVICES")
    if job := environ.get("SLURM_JOB_ID"):
        gpus = given or environ.get("SLURM_STEP_GPUS") or environ.get("SLURM_JOB_GPUS") or given
        return Allocation("SLURM", job, _slurm_end(environ, job), gpus)
    if job := environ.get("OAR_JOB_ID"):
        seconds = _number(environ.get("OAR_JOB_WALLTIME_SECONDS")) or _clock(environ.get("OAR_JOB_WALLTIME", ""))
        return Allocation("OAR", job, _since_start(seconds), given, "SIGTERM SIGUSR2")
    if job := environ.get("PBS_JOBID"):
        gpus = given if given is not None else _listed(environ.get("PBS_GPUFILE", ""))
        return Allocation("TORQUE/PBS", job, _since_start(_number(environ.get("PBS_WALLTIME"))), gpus)
    if (job := environ.get("JOB_ID")) and "SGE_ROOT" in environ:
        told = " ".join(value for name, value in environ.items() if name.startswith("SGE_HGR_gpu"))
        indices = ",".join(re.findall(r"\d+", told)) if given is None and told else given
        return Allocation("SGE", job, 0.0, indices, "SIGTERM SIGUSR2")  # qsub -notify: SIGUSR2 before SIGKILL
    if job := environ.get("LSB_JOBID"):
        return Allocation("LSF", job, _lsf_end(job), given, "SIGTERM SIGUSR2")  # SIGUSR2 at its run limit
    return None


def _slurm_end(environ: Mapping[str, str], job: str) -> float:
    if end := _number(environ.get("SLURM_JOB_END_TIME")):  # since 23.02
        return end
    # One member of an array has its number: asked for that, all answer. SLURM_ARRAY_TASK_ID does not tell which is
    # ours: a job that a member submits inherits it (measured with 22.05).
    for line in _ask(("squeue", "-h", "-j", job, "-o", "%A %L")).splitlines():
        number, _, left = line.strip().partition(" ")
        if number == job and (seconds := _clock(left)) is not None:
            return time.time() + seconds
    return 0.0


def _lsf_end(job: str) -> float:
    found = re.match(r"(\d+):(\d+)", _ask(("bjobs", "-noheader", "-o", "time_left", job)))
    return time.time() + int(found[1]) * 3600 + int(found[2]) * 60 if found else 0.0


def _clock(text: str) -> float | None:
    """Seconds of `D-HH:MM:SS`, `HH:MM:SS` or `MM:SS`; None for anything else, such as UNLIMITED."""
    found = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", text.strip())
    if not found:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def _since_start(seconds: float | None) -> float:
    """So long after the session of this process began, which is when the scheduler started the job's shell."""
    if not seconds:
        return 0.0
    began = time.time()
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = Path("/proc", str(os.getsid(0)), "stat").read_text().rpartition(")")[2].split()
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        began -= max(0.0, uptime - int(fields[19]) / os.sysconf("SC_CLK_TCK"))
    return began + seconds


def _listed(path: str) -> str | None:
    """The indices in PBS's file of lines such as `node1-gpu0`, of this node."""
    try:
        lines = Path(path).read_text().split() if path else []
    except OSError:
        return None
    own = [line for line in lines if line.startswith(f"{os.uname().nodename.partition('.')[0]}")]
    return ",".join(line.rpartition("gpu")[2] for line in own if line.rpartition("gpu")[2].isdigit()) or None


def _number(text: str | None) -> float:
    return float(text) if text and text.isdecimal() and len(text) < 12 else 0.0


def _ask(argv: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=_PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
