"""Starting a command: its environment, and one spawn. Whatever goes wrong becomes a sentence about the job."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import zlib
from collections.abc import Collection, Mapping, Sequence

from exs.errors import ExsError
from exs.model import Claim

#: What a worker knows and a job must not: it could write to everybody's queue.
SECRETS = frozenset({"EXS_REDIS_URL", "EXS_REDIS_PASSWORD", "RQ_REDIS_URL"})
#: Set for each job, so what the worker itself inherited of them never leaks into one.
PER_JOB = frozenset(
    {
        "EXS_JOB",
        "EXS_EXPERIMENT",
        "EXS_ATTEMPT",
        "EXS_PARAMS",
        "EXS_OUTPUT",
        "EXS_REPORT",
        "EXS_CONTROL",
        "EXS_CHECKPOINT",
        "EXS_SEED",
        "CUDA_VISIBLE_DEVICES",
    }
)


#: A started command. Its pid is what matters; whoever supervises it reaps it.
Child = subprocess.Popen[bytes]


class SpawnError(Exception):
    """A command could not be started; the text is one sentence for people."""


#: Everything that hostile or unlucky job data can raise on its way to a process. All of it is the job's failure.
BAD_JOB = (ExsError, OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError, SpawnError)


def base_environment(env: Mapping[str, str], remove: Collection[str] = ()) -> dict[str, str]:
    """What every job of a slot inherits: the worker's environment without `remove`, secrets and per-job names."""
    gone = SECRETS | PER_JOB | frozenset(remove)
    return {name: value for name, value in env.items() if name not in gone}


def job_environment(
    claim: Claim, base: Mapping[str, str], given: Mapping[str, str], devices: Sequence[str]
) -> dict[str, str]:
    """The environment of one attempt, but for the names of its files. `given` is the sweep's `env`.

    `EXS_PARAMS` is the parameters as JSON. `EXS_SEED` is the parameter `seed` where it is a whole number, else 31 bits
    derived from the point, so that a re-run of a point has the same seed on every machine; an `EXS_SEED` in `given`
    is the base of the whole sweep, from which each job's is derived.
    """
    params = json.dumps(claim.params, allow_nan=False)
    return {
        **base,
        **given,
        "EXS_JOB": claim.job,
        "EXS_EXPERIMENT": claim.experiment,
        "EXS_ATTEMPT": claim.attempt,
        "EXS_PARAMS": params,
        "EXS_SEED": str(seed(claim, given.get("EXS_SEED", ""))),
        **pinning(devices),
    }


def pinning(devices: Sequence[str]) -> dict[str, str]:
    """Environment that shows a job these devices (indices or UUIDs) alone; none of them for a CPU slot."""
    pinned = {"CUDA_VISIBLE_DEVICES": ",".join(devices)}
    if any(device.isdigit() for device in devices):
        # CUDA otherwise numbers the fastest GPU first, NVML by bus; the two disagree on mixed machines.
        pinned["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    return pinned


def seed(claim: Claim, base: str = "") -> int:
    """The seed that a job is given, derived from `base` and its point."""
    given = claim.params.get("seed")
    if isinstance(given, int) and not isinstance(given, bool):
        return given
    own = claim.point or claim.job
    return (
        zlib.crc32(f"{base}/{own}".encode("utf-8", "replace") if base else own.encode("utf-8", "replace")) & 0x7FFFFFFF
    )


def spawn(argv: Sequence[str], env: Mapping[str, str], cwd: str, output: int) -> Child:
    """Start a command in a session and process group of its own, its stdout and stderr on the descriptor `output`.

    The caller reaps it and then sets `returncode`. Raises SpawnError. Call it from the main thread: a parent-death
    signal that a job sets for itself fires when the thread that started it ends.
    """
    if not argv or not argv[0]:
        raise SpawnError("the command is empty.")
    try:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=env,
            cwd=cwd,
            start_new_session=True,
        )
    except BAD_JOB as error:
        raise SpawnError(explain(error, str(argv[0]), cwd)) from None


def explain(error: BaseException, program: str = "", cwd: str = "") -> str:
    """One sentence for what went wrong before the command ran."""
    if isinstance(error, (ExsError, SpawnError)):
        return str(error)
    if isinstance(error, OSError):
        return _explain_os(error, program, cwd)
    if isinstance(error, UnicodeError):
        return "a value of the command or its environment is not valid text (a lone surrogate)."
    if isinstance(error, RecursionError):
        return "the parameters are nested too deep."
    if isinstance(error, ValueError) and "null byte" in str(error):
        return "a value of the command or its environment holds a NUL byte."
    if isinstance(error, ValueError) and "environment variable name" in str(error):
        return "a name in `env` holds `=`."
    return f"the job's record cannot be used: {type(error).__name__}: {error}."


def _explain_os(error: OSError, program: str, cwd: str) -> str:
    path = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else ""
    reason = os.strerror(error.errno) if error.errno else str(error)
    if not program:
        return f"cannot create {path}: {reason}." if path else f"{reason}."
    if path == cwd:
        return f"cannot enter the directory {cwd}: {reason}."
    sentences = {
        errno.ENOENT: f"no such program: {program!r} (or the interpreter in its first line).",
        errno.EACCES: f"{program!r} may not be executed: {reason}.",
        errno.ENOEXEC: f"{program!r} is not a program: a script needs a first line such as #!/bin/sh.",
        errno.E2BIG: f"the arguments and environment of {program!r} are too large: {reason}.",
        errno.EAGAIN: f"cannot start {program!r}: the limit on processes is reached.",
    }
    return sentences.get(error.errno or 0, f"cannot start {program!r}: {reason}.")
