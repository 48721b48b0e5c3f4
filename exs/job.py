"""For training code: what this job is, and how it tells of itself. Standard library only, imported in milliseconds.

    from exs import job

    model = build(**job.params)
    if found := job.latest_checkpoint():
        model.load(found / "model.pt")
    for step in range(model.step, 10_000):
        loss = model.train()
        job.report(step=step, loss=loss)
        if step % 1000 == 999 or job.should_stop():
            with job.checkpoint(step=step) as folder:
                model.save(folder / "model.pt")
        if job.should_stop():
            sys.exit()
    job.result(val_loss=model.validate())

Outside of a job everything works alike: `params` is empty, lines go to `exs-report.jsonl` and checkpoints to
`checkpoints/` in the current directory. Any number of processes and threads may report at once; of several ranks, one
should make the checkpoints.

Values may be what JSON holds, NumPy scalars and arrays, and tensors. NaN and infinities, which JSON lacks, are written
as the texts "nan", "inf" and "-inf"; keys that are no texts as JSON would spell them. Nothing here changes how a signal
is handled, or prints anything but one line where a report cannot be written.
"""

from __future__ import annotations

import json as _json
import os as _os
import sys as _sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` and `pathlib` would take longer to import than all of this
    from pathlib import Path
    from types import TracebackType
    from typing import Any

_env = _os.environ.get

#: What these are called where no slot says it: outside of a job.
_REPORT, _CONTROL, _CHECKPOINTS = "exs-report.jsonl", "exs-control", "checkpoints"
#: In a checkpoint: what was said of it.
METADATA = "metadata.json"

id: str = _env("EXS_JOB", "")  #: of the job, "" outside of one
experiment: str = _env("EXS_EXPERIMENT", "")  #: its name, "" outside of a job
output: str = _env("EXS_OUTPUT", "") or _os.getcwd()  #: the run directory; outside of a job, the current one
#: For random numbers: the same for each attempt of a job on each machine; 0 outside of a job.
seed: int = int(_env("EXS_SEED", "")) if _env("EXS_SEED", "").lstrip("-").isdecimal() else 0
#: The parameters of this point of the sweep, {} outside of a job.
params: dict[str, Any] = _json.loads(_env("EXS_PARAMS", "") or "{}")

_report = _env("EXS_REPORT", "") or _os.path.join(output, _REPORT)
_control = _env("EXS_CONTROL", "") or _os.path.join(output, _CONTROL)
_descriptor = -1
_torn = False
_asks = False
_stopping = False
_latest = ""


def report(metrics: dict[str, Any] | None = None, /, *, step: float | None = None, **more: Any) -> None:
    """A value of each metric: `report(step=3, loss=0.2)`, or `report({"val/loss": 0.2}, step=3)`.

    Without a step, each metric counts its own. A disk that is full costs the line, not the job. Raises TypeError for a
    value that is no number, and then tells nothing.
    """
    values = {_key(name): _number(name, value) for name, value in {**(metrics or {}), **more}.items()}
    if step is None:
        _tell({"metrics": values})
    else:
        _tell({"step": _number("step", step), "metrics": values})


def result(values: dict[str, Any] | None = None, /, **more: Any) -> None:
    """What came of the job: `result(val_loss=0.3)`. Later calls add to it. What JSON cannot hold is stored as text."""
    _tell({"result": _plain({**(values or {}), **more})})


def progress(fraction: float) -> None:
    """How much is done, from 0 to 1. Raises ValueError."""
    found = float(fraction)
    if not 0 <= found <= 1:
        raise ValueError(f"progress is a number from 0 to 1, not {fraction!r}")
    _tell({"progress": found})


def status(text: str) -> None:
    """What the job is doing, one line for people."""
    _tell({"status": str(text)})


def should_stop() -> bool:
    """True when this job is asked to stop: make a checkpoint and leave; it goes on from there later, or was canceled.

    To ask costs a microsecond, so ask at every step. A process that asks is not ended by a signal, unless it has not
    heard when half of its grace is over. The first True tells exs that the job will stop: whatever its exit code then,
    it counts as stopped. Once True, it stays so.
    """
    global _asks, _stopping
    if not _asks:
        _asks = True
        if id:
            _tell({"ack": "ready"})
    if not _stopping and _os.access(_control, _os.F_OK) and _asked():
        _stopping = True
        _tell({"ack": "stop"})
    return _stopping


class checkpoint:
    """A directory that appears whole or not at all: `with job.checkpoint(step=7) as folder:` and write into it.

    It is `checkpoints/<uuid>/` in the run directory, on disk when the block is left, and then what the next attempt of
    this job begins with. An exception leaves nothing of it. `metadata` is kept in it as `metadata.json`, with the step.
    `keep`: so many of the newest ones stay, this one included; None for all. Raises OSError, as writing files does.
    """

    def __init__(self, step: float | None = None, *, keep: int | None = None, **metadata: Any) -> None:
        if keep is not None and keep < 1:
            raise ValueError(f"keep is how many checkpoints stay, at least 1, not {keep!r}")
        self._step = None if step is None else _number("step", step)
        self._keep = keep
        self._metadata = _plain(metadata) | ({} if step is None else {"step": self._step})
        self._name = ""

    def __enter__(self) -> Path:
        from pathlib import Path
        from uuid import uuid4

        self._name = str(uuid4())
        folder = Path(output, _CHECKPOINTS, f".{self._name}.tmp")
        folder.mkdir(parents=True)
        return folder

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        from shutil import rmtree

        global _latest
        root = _os.path.join(output, _CHECKPOINTS)
        unfinished = _os.path.join(root, f".{self._name}.tmp")
        try:
            if kind is not None:
                return
            with open(_os.path.join(unfinished, METADATA), "w", encoding="utf-8") as file:  # noqa: PTH123
                file.write(_json.dumps(self._metadata, indent=2) + "\n")
            for folder, _, names in _os.walk(unfinished):
                for name in names:
                    _sync(_os.path.join(folder, name))
                _sync(folder)
            _latest = _os.path.join(root, self._name)
            _os.rename(unfinished, _latest)
            _sync(root)
        finally:
            rmtree(unfinished, ignore_errors=True)
        words = {"path": _os.path.join(_CHECKPOINTS, self._name)}
        _tell({"checkpoint": words if self._step is None else {**words, "step": self._step}})
        if self._keep is not None:
            for old in _made(root)[self._keep :]:
                rmtree(old, ignore_errors=True)


def latest_checkpoint() -> Path | None:
    """Where to go on from: what this process has made last, else what an earlier attempt left; None for nowhere."""
    from pathlib import Path

    found = _latest or _env("EXS_CHECKPOINT", "")
    if not found and not id:
        found = next(iter(_made(_os.path.join(output, _CHECKPOINTS))), "")
    return Path(found) if found and _os.path.exists(found) else None


# ------------------------------------------------------------ lines


def _tell(words: dict[str, Any]) -> None:
    """Append one line, in one write, so that no other process or thread comes between its bytes."""
    global _descriptor, _torn
    line = _json.dumps(words, allow_nan=False).encode("ascii") + b"\n"
    try:
        if _descriptor < 0:
            flags = _os.O_WRONLY | _os.O_APPEND | _os.O_CREAT | getattr(_os, "O_CLOEXEC", 0)
            _descriptor = _os.open(_report, flags, 0o666)
        if _torn:  # a disk that was full took half a line: what follows it begins on a new one
            line = b"\n" + line
        _torn = _os.write(_descriptor, line) < len(line)
        if not _torn:
            return
        why = "the disk is full"
    except OSError as error:
        _torn = True
        why = error.strerror or str(error)
    _warn(why)


def _warn(why: str, said: list[str] = []) -> None:  # noqa: B006 - once per process
    if not said:
        said.append(why)
        print(f"exs.job: cannot write to {_report}: {why}. The job goes on without it.", file=_sys.stderr)


def _key(name: Any) -> str:
    if isinstance(name, str):
        return name if name.isascii() else name.encode("utf-8", "replace").decode("utf-8")
    if name is None or isinstance(name, (bool, int, float)):
        return str(_json.dumps(name))
    return str(name)


def _number(name: Any, value: Any) -> Any:
    found = _scalar(value)
    if isinstance(found, bool):
        return int(found)
    if not isinstance(found, (int, float)):
        raise TypeError(f"{name} is {type(value).__name__}, not a number: {value!r:.60}")
    return found if found - found == 0 else str(float(found))


def _scalar(value: Any) -> Any:
    """A NumPy scalar, or an array or tensor of one element, as Python's number; everything else as it is."""
    if isinstance(value, (bool, int, float, str)):
        return float(value) if isinstance(value, float) else value
    item = getattr(value, "item", None) or getattr(value, "__float__", None)
    try:
        return item() if callable(item) else value
    except (ValueError, RuntimeError, TypeError):  # more than one element
        return value


def _plain(value: Any, depth: int = 0) -> Any:
    """`value` as strict JSON holds it. What is neither a number nor a text nor made of such becomes text."""
    if value is None or isinstance(value, (bool, int)):
        return value if value is None or type(value) in (bool, int) else int(value)
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, float):
        return float(value) if value - value == 0 else str(float(value))
    if depth > 20:
        return str(value)[:200]
    if isinstance(value, dict):
        return {_key(name): _plain(item, depth + 1) for name, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item, depth + 1) for item in value]
    listed = getattr(value, "tolist", None)  # NumPy, PyTorch, JAX; of a scalar it is a number
    return _plain(listed(), depth + 1) if callable(listed) else str(value)


# ------------------------------------------------------------ files


def _asked() -> bool:
    """Whether the line in the control file asks to stop. It is renamed into place, so there is no half of it."""
    try:
        with open(_control, "rb") as file:  # noqa: PTH123
            words = _json.loads(file.read(4096))
    except (OSError, ValueError):
        return False
    return isinstance(words, dict) and bool(words.get("stop"))


def _made(root: str) -> list[str]:
    """Checkpoints that are whole, the newest first."""
    found = []
    try:
        for entry in _os.scandir(root):
            about = _os.path.join(entry.path, METADATA)
            if not entry.name.startswith(".") and _os.path.exists(about):
                found.append((_os.stat(about).st_mtime_ns, entry.path))
    except OSError:
        pass
    return [path for _, path in sorted(found, reverse=True)]


def _sync(path: str) -> None:
    fd = _os.open(path, _os.O_RDONLY)
    try:
        _os.fsync(fd)
    finally:
        _os.close(fd)
