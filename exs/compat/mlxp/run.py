"""One run: its number, its directory, and what `info.yaml` says of it from the beginning to the end."""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from exs import ids, job
from exs.alive import COMPLETE, FAILED, MARK, RUNNING, STARTING, STOPPED, status_of
from exs.compat.mlxp.config import ConfigDict, plain
from exs.compat.mlxp.deadly import Watch
from exs.compat.mlxp.files import write
from exs.compat.mlxp.logger import Logger
from exs.compat.mlxp.streams import Streams
from exs.errors import InputError, Refused
from exs.paths import LogDir, LogRoot, safe_file_name
from exs.process import boot_id, start_of
from exs.settings import Limits
from exs.sweep import yamlfile
from exs.sweep.yamltext import dump

#: Seconds for which an attempt of a job waits for an earlier one, which is being stopped, to let go of the directory,
#: and a run for a reader who looks whether somebody is at it.
PATIENCE, GLANCE = 60.0, 0.5
#: Where batch schedulers tell a job its number.
_SCHEDULERS = ("SLURM_JOB_ID", "OAR_JOB_ID", "PBS_JOBID", "LSB_JOBID")


class Run:
    """A run that has a directory. Between `begin` and `end` this process alone writes there."""

    def __init__(self, parent: str, forced: int, key: str) -> None:
        """`forced`: the number of a run to go on with, or -1. `key`: which call of a job this is, "" outside of one.

        Raises Refused where another process is at that run, OSError.
        """
        root = LogRoot(os.path.abspath(parent))
        earlier = _earlier(root, key) if forced < 0 and key else None
        number = ids.take(root) if forced < 0 and earlier is None else forced if earlier is None else earlier
        if forced >= 0:
            ids.claim(root, number)
        self.place = root.run(number)
        self.resumed = os.path.isfile(self.place.config)
        #: This is another attempt of the job that made the run.
        self.again = earlier is not None and self.resumed
        self.logger = Logger(self.place, number)
        self.info = ConfigDict()
        self._of_job = root.of_job(key) if key else ""
        self._lock = _lock(self.place, PATIENCE if earlier is not None else GLANCE)
        self._locked = self._lock >= 0
        self._watch: Watch | None = None
        self._streams: Streams | None = None
        if key and earlier is None:
            write(self._of_job, f"{number}\n")

    def stored_config(self) -> dict[str, Any]:
        """The configuration that the run had before. Raises InputError where it cannot be read."""
        with open(self.place.config, "rb") as file:  # noqa: PTH123
            documents = yamlfile.load(file.read(), self.place.config, "1.2", Limits())
        value = documents[0].value if documents else {}
        if value is not None and not isinstance(value, dict):
            raise InputError(f"{self.place.config}: holds no configuration.")
        return value or {}

    def begin(self, config: Mapping[str, Any], settings: Mapping[str, Any], script: str, words: list[str]) -> None:
        """Write what the run is, and that it runs."""
        for folder in (self.place.metadata, self.place.metrics, self.place.artifacts):
            os.makedirs(folder, exist_ok=True)
        write(self.place.config, dump(plain(config)))
        write(self.place.mlxp, dump(plain(settings)))
        self.info.update(about(script, words, self.logger, self._locked))
        self._write()
        self._watch = Watch(self._killed)
        if settings["logger"]["log_streams_to_file"]:
            self._streams = Streams(self.place)
        self.tell(RUNNING)

    def tell(self, status: str, **more: Any) -> None:
        """Write another status."""
        self.info.update(status=status, **more)
        self._write()

    def end(self, error: BaseException | None) -> None:
        """Write how it ended; `error`: what it was left with."""
        left_well = error is None or (isinstance(error, SystemExit) and error.code in (None, 0))
        status = STOPPED if job._stopping else COMPLETE if left_well else FAILED
        try:
            self.tell(status, **_now("end"))
            if status == COMPLETE and self._of_job and os.path.exists(self._of_job):
                os.unlink(self._of_job)  # what is done is not gone on with
        finally:
            self.release()

    def release(self) -> None:
        """Let go of the directory."""
        if self._watch:
            self._watch.close()
            self._watch = None
        if self._streams:
            self._streams.close()
        self.logger.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _write(self) -> None:
        write(self.place.info, dump(plain(self.info)))

    def _killed(self) -> None:
        """A signal ends this process now."""
        status = STOPPED if job.id and job._asked() else FAILED
        with suppress(OSError):  # who asks whether it runs looks for its process
            self.tell(status, **_now("end"))


def about(script: str, words: list[str], logger: Logger | None, locked: bool) -> dict[str, Any]:
    """What `info.yaml` says of a run that begins, in MLXP's order; under `exs` which process and job it is."""
    scheduled = job.id or next(filter(None, map(os.environ.get, _SCHEDULERS)), None)
    nowhere = {"end_date": None, "end_time": None}
    mark: dict[str, Any] = {"boot": boot_id(), "started": start_of(os.getpid()), "locked": locked, "overrides": words}
    if job.id:
        mark |= {"job": job.id, "experiment": job.experiment, "attempt": os.environ.get("EXS_ATTEMPT", "")}
    return {
        "status": STARTING,
        "current_file_path": script,
        "executable": sys.executable,
        "hostname": os.uname().nodename,
        "process_id": os.getpid(),
        **_now("start"),
        **nowhere,
        "work_dir": os.getcwd(),
        "logger": logger.get_info() if logger else None,
        "scheduler": {"scheduler_job_id": scheduled} if scheduled else None,
        "version_manager": None,
        MARK: mark,
    }


def _now(what: str) -> dict[str, str]:
    return {f"{what}_date": time.strftime("%d/%m/%Y"), f"{what}_time": time.strftime("%H:%M:%S")}


def read_info(place: LogDir) -> dict[str, Any]:
    """What `info.yaml` says, {} where it is not there or no such file."""
    try:
        with open(place.info, "rb") as file:  # noqa: PTH123
            documents = yamlfile.load(file.read(), place.info, "1.2", Limits())
    except (OSError, InputError):
        return {}
    return documents[0].value if documents and isinstance(documents[0].value, dict) else {}


def _earlier(root: LogRoot, key: str) -> int | None:
    """The run that another attempt of this job has begun and not completed."""
    if not safe_file_name(key):
        return None
    try:
        with open(root.of_job(key), encoding="ascii") as file:  # noqa: PTH123
            number = int(file.read())
    except (OSError, ValueError):
        return None
    info = read_info(root.run(number))
    mark = info.get(MARK)
    if not isinstance(mark, dict) or mark.get("attempt") == os.environ.get("EXS_ATTEMPT", ""):
        return None
    return None if status_of(info, root.run(number).lock) == COMPLETE else number


def _lock(place: LogDir, patience: float) -> int:
    """The lock of a run, held until it is closed; -1 where the file system has no locks. Raises Refused."""
    os.makedirs(place.metadata, exist_ok=True)
    fd = os.open(place.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return fd
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(fd)
                raise Refused(
                    f"{place.root} belongs to a run that another process is at.", "Wait for it, or end it."
                ) from None
            time.sleep(0.05)
        except OSError:
            os.close(fd)
            return -1
