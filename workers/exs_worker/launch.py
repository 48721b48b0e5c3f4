"""Starting a command: its environment, and one spawn. Whatever goes wrong becomes a sentence about the job."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
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

_STRICT = json.JSONEncoder(allow_nan=False)
#: Signals that Python ignores, or a shell had us ignore; a job starts with none of them ignored.
_RESET = tuple(getattr(signal, name) for name in ("SIGPIPE", "SIGXFSZ", "SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM"))


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
    params = _STRICT.encode(claim.params)
    return {
        **base,
        **given,
        # What may be imported is for who runs the worker to say, never for who pushes.
        "EXS_ALLOW_MODULES": base.get("EXS_ALLOW_MODULES", ""),
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


def keep_descriptors() -> None:
    """Make every descriptor but 0, 1 and 2 close on exec: no job inherits what a shell left open for us."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            with contextlib.suppress(OSError):  # the one that listed them is gone again
                os.set_inheritable(int(name), False)


def spawn(argv: Sequence[str], env: Mapping[str, str], cwd: str, output: int) -> int:
    """Start a command in a session and process group of its own, its stdout and stderr on the descriptor `output`.

    Returns its pid, which the caller reaps. Raises SpawnError. `keep_descriptors` must have been called once. Call it
    from the main thread: a parent-death signal that a job sets for itself fires when the thread that started it ends;
    and this process is in `cwd` for a moment, which posix_spawn cannot enter by itself.

    os.posix_spawn takes a third of the time of subprocess.Popen (measured: 70 and 100 us with its look at PATH).
    """
    if not argv or not argv[0]:
        raise SpawnError("the command is empty.")
    program = str(argv[0])
    try:
        home = os.open(".", os.O_PATH | os.O_CLOEXEC)
        try:
            os.chdir(cwd)
            return os.posix_spawn(
                _found(program, env),
                list(argv),
                env,
                file_actions=(
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, output, 1),
                    (os.POSIX_SPAWN_DUP2, output, 2),
                ),
                setsid=True,
                setsigmask=(),
                setsigdef=_RESET,
            )
        finally:
            os.fchdir(home)
            os.close(home)
    except BAD_JOB as error:
        raise SpawnError(explain(error, program, cwd)) from None


def _found(program: str, env: Mapping[str, str]) -> str:
    """The file of a program, looked for on the job's own PATH, as execvp would. Raises OSError."""
    if "/" in program:
        return program
    refused = False
    for folder in env.get("PATH", os.defpath).split(":"):
        path = os.path.join(folder, program)
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
        refused = refused or os.path.isfile(path)
    raise (
        PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if refused
        else FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    )


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
