"""A real Slurm of one node on this machine, for as long as a test needs it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from harness.redis_server import free_port

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "squeue")

_CONF = """\
ClusterName=exs
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
AuthType=auth/munge
AuthInfo=socket={root}/munge.socket
SlurmUser=root
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd.pid
SlurmdSpoolDir={root}/spool
StateSaveLocation={root}/state
SlurmctldLogFile={root}/slurmctld.log
SlurmdLogFile={root}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/builtin
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
InactiveLimit=0
KillWait=10
MinJobAge=300
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Why there can be no Slurm here; "" if there can."""
    absent = [
        name for name in PROGRAMS if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin") is None
    ]
    if absent:
        return f"Slurm is not installed (no {', '.join(absent)}): apt install slurm-wlm"
    return "" if os.geteuid() == 0 else "slurmd and munged are started as root"


class Slurm:
    """munged, slurmctld and slurmd; all of their files below `root`, which every user can reach."""

    def __init__(self, root: Path, cpus: int = 2) -> None:
        self.root = root
        self.env = {**os.environ, "SLURM_CONF": str(root / "slurm.conf")}
        self.env["PATH"] += ":/usr/sbin:/usr/local/sbin"
        self._children: list[subprocess.Popen[bytes]] = []
        for name in ("spool", "state"):
            (root / name).mkdir(parents=True)
        root.chmod(0o755)
        host = socket.gethostname().partition(".")[0]
        (root / "slurm.conf").write_text(
            _CONF.format(host=host, root=root, controller=free_port(), daemon=free_port(), cpus=cpus)
        )
        (root / "munge.key").write_bytes(os.urandom(128))
        (root / "munge.key").chmod(0o600)

    def start(self) -> Slurm:
        """Return when the node takes jobs. Raises RuntimeError with the logs if it never does."""
        root = self.root
        self._run(
            *("munged", "--foreground", "--force", f"--key-file={root}/munge.key", f"--socket={root}/munge.socket"),
            *(f"--pid-file={root}/munged.pid", f"--log-file={root}/munged.log", f"--seed-file={root}/munge.seed"),
        )
        self._until("munged has no socket", lambda: (root / "munge.socket").exists())
        self._run("slurmctld", "-D", "-c", "-i")
        self._run("slurmd", "-D", "-c")
        self._until("the node is not idle", lambda: self.say("sinfo", "-h", "-o", "%T").strip() == "idle")
        return self

    def stop(self) -> None:
        """End what it started and every job."""
        self.say("scancel", "--user=root", "--signal=KILL")
        for child in reversed(self._children):
            child.terminate()
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def say(self, *argv: str) -> str:
        """What a command of Slurm's prints, "" when it fails."""
        done = subprocess.run(argv, env=self.env, capture_output=True, text=True, timeout=60)
        return done.stdout if done.returncode == 0 else ""

    def wait_for_jobs(self, seconds: float = 90) -> None:
        """Until none waits or runs."""
        self._until("jobs are left", lambda: not self.say("squeue", "-h").strip(), seconds)

    def _run(self, *argv: str) -> None:
        name = shutil.which(argv[0], path=self.env["PATH"]) or argv[0]
        with (self.root / f"{argv[0]}.out").open("wb") as out:
            self._children.append(
                subprocess.Popen([name, *argv[1:]], env=self.env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
            )

    def _until(self, what: str, holds: object, seconds: float = 60) -> None:
        assert callable(holds)
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline or any(child.poll() is not None for child in self._children):
                logs = "\n".join(
                    f"== {path.name}\n{path.read_text(errors='replace')[-1500:]}"
                    for path in sorted((*self.root.glob("*.log"), *self.root.glob("*.out")))
                )
                raise RuntimeError(f"{what} after {seconds:g} s\n{logs}")
            time.sleep(0.1)
