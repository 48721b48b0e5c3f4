"""An experiment in a file: JSON lines, versioned, with a checksum, so that Redis need not keep it.

The first line is the experiment: {"exs_archive": 1, "written_at": ..., "experiment": {...}, "specs": {...}}. Then one
line per job, by index, with the fields of JobRow that are not as by default. The last line is
{"jobs": N, "sha256": "..."} of all bytes before it. A name that ends in `.gz` is compressed.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import MISSING, Field, asdict, dataclass, field, fields
from typing import IO, Any, cast

from exs.errors import BrokenRecord, InputError, NotFound, Refused
from exs.model import JobState, Json, Spec
from exs.rows import ExperimentRow, JobRow, Metric, PastAttempt

VERSION = 1
_MARK = b'{"exs_archive":'
_PIECE = 1 << 20
#: Bytes of one line.
_LONGEST = 64 << 20
_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
#: Fields of an ExperimentRow that speak of queues: a file has none.
_OF_QUEUES = {"needs", "queued", "why"}


def _default(one: Field[Any]) -> Any:
    if one.default is not MISSING:
        return one.default
    return one.default_factory() if one.default_factory is not MISSING else MISSING


_JOB = {one.name: (str(one.type), _default(one)) for one in fields(JobRow)}
_SPEC = {one.name: (str(one.type), _default(one)) for one in fields(Spec)}
_EXPERIMENT = {one.name: (str(one.type), _default(one)) for one in fields(ExperimentRow) if one.name not in _OF_QUEUES}
#: Beginning of an annotation -> what a value of it is in JSON.
_KINDS: list[tuple[str, tuple[type, ...]]] = [
    ("str", (str,)), ("int | None", (int, type(None))), ("float | None", (float, int, type(None))), ("int", (int,)),
    ("float", (float, int)), ("bool", (bool,)), ("tuple", (list,)), ("Mapping", (dict,)), ("Params", (dict,)),
    ("JobState", (str,)), ("Sequence", (list,)),
]  # fmt: skip


@dataclass
class Archive:
    """What a file holds; `jobs()` reads it anew at each call. `written_at`: in Redis seconds. `specs`: by digest."""

    path: str
    experiment: ExperimentRow
    written_at: float
    specs: Mapping[str, Spec] = field(default_factory=dict)

    def jobs(self) -> Iterator[JobRow]:
        """The jobs by index, with the points of their metrics in `series`. Raises BrokenRecord."""
        with _reading(self.path) as file:
            file.readline(_LONGEST)
            for number, line in enumerate(file, 2):
                if not line.startswith(b'{"jobs":'):
                    yield _job(_object(line, f"{self.path}:{number}"), f"{self.path}:{number}")


# ------------------------------------------------------------------ writing


def write(
    path: str,
    experiment: ExperimentRow,
    jobs: Iterable[JobRow],
    specs: Mapping[str, Spec],
    now: float,
) -> int:
    """Write a new file, whole and on disk, or nothing; how many jobs. Raises Refused if there is one, InputError."""
    temporary = f"{path}.{os.getpid()}.tmp" + (".gz" if path.endswith(".gz") else "")
    if os.path.lexists(path):
        raise Refused(f"{path} exists; it was left as it is.", "Name another file, or remove it.")
    try:
        try:
            with os.fdopen(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as raw:
                count = _write_all(raw, path, experiment, jobs, specs, now)
                raw.flush()
                os.fsync(raw.fileno())
            os.link(temporary, path)
        finally:
            with suppress(OSError):
                os.unlink(temporary)
    except FileExistsError:
        raise Refused(f"{path} exists; it was left as it is.", "Name another file, or remove it.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}.", "Name another place.") from None
    folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY)
    try:
        os.fsync(folder)  # without it, a power failure may leave no name
    finally:
        os.close(folder)
    return count


def _write_all(
    raw: IO[bytes],
    path: str,
    experiment: ExperimentRow,
    jobs: Iterable[JobRow],
    specs: Mapping[str, Spec],
    now: float,
) -> int:
    zipped = path.endswith(".gz")
    out = cast("IO[bytes]", gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) if zipped else raw)
    digest, count = hashlib.sha256(), 0

    def put(value: Json) -> None:
        line = (_ENCODE(value) + "\n").encode("utf-8", "backslashreplace")
        digest.update(line)
        out.write(line)

    put(
        {
            "exs_archive": VERSION,
            "written_at": now,
            "experiment": _shortened(experiment, _EXPERIMENT),
            "specs": {name: asdict(spec) for name, spec in specs.items()},
        }
    )
    for row in jobs:
        put(_shortened(row, _JOB))
        count += 1
    out.write((_ENCODE({"jobs": count, "sha256": digest.hexdigest()}) + "\n").encode())
    if zipped:
        out.close()
    return count


def _shortened(row: ExperimentRow | JobRow, known: Mapping[str, tuple[str, Any]]) -> dict[str, Json]:
    found = {}
    for name, (_, default) in known.items():
        value = getattr(row, name)
        if value != default:
            found[name] = _plain(value)
    return found


def _plain(value: Any) -> Json:
    if isinstance(value, JobState):
        return value.value
    if isinstance(value, (Metric, PastAttempt)):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {key.value if isinstance(key, JobState) else key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, (tuple, list, frozenset)) else value


# ------------------------------------------------------------------ reading


def is_archive(path: str) -> bool:
    """Whether a file is one of these."""
    try:
        with _reading(path) as file:
            return file.read(len(_MARK)) == _MARK
    except (OSError, EOFError, BrokenRecord):
        return False


def read(path: str) -> Archive:
    """The experiment in a file, all of which is as it was written. Raises NotFound, BrokenRecord."""
    if not os.path.isfile(path):
        raise NotFound(f"{path}: no such file.")
    if not os.access(path, os.R_OK):
        raise BrokenRecord(f"{path}: cannot be read: {os.strerror(errno.EACCES)}.")
    if not is_archive(path):
        raise BrokenRecord(f"{path} holds no experiment.", "exs export and exs archive --to write such files.")
    try:
        jobs = _verified(path)
        with _reading(path) as file:
            head = _object(file.readline(_LONGEST), f"{path}:1")
    except (OSError, EOFError) as error:
        raise BrokenRecord(f"{path} cannot be read: {error}.", "Take another copy.") from None
    if head.get("exs_archive") != VERSION:
        raise BrokenRecord(f"{path} is of version {head.get('exs_archive')!r}, and this exs reads {VERSION}.")
    given = _checked(head.get("experiment"), _EXPERIMENT, f"{path}:1")
    states = given.pop("counts", {})
    counts = {JobState(name): number for name, number in states.items() if name in JobState.__members__}
    written, told = head.get("written_at"), head.get("specs")
    specs = told if isinstance(told, dict) else {}
    return Archive(
        path,
        ExperimentRow(**{**given, "counts": counts, "jobs": jobs, "archived": True}),
        written if isinstance(written, (int, float)) else 0.0,
        {digest: Spec(**_checked(one, _SPEC, f"{path}:1")) for digest, one in specs.items()},
    )


def _verified(path: str) -> int:
    """How many jobs are in it, if its bytes are those that were written. Raises BrokenRecord."""
    digest, last, lines = hashlib.sha256(), b"", 0
    with _reading(path) as file:
        while line := file.readline(_LONGEST):
            digest.update(last)
            last, lines = line, lines + 1
    end = _object(last, f"{path}:{lines}") if last.startswith(b'{"jobs":') else {}
    if end.get("sha256") != digest.hexdigest() or end.get("jobs") != lines - 2:
        raise BrokenRecord(f"{path} is not whole, or was changed: its checksum does not fit.", "Take another copy.")
    return lines - 2


def _reading(path: str) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path, "rb") if path.endswith(".gz") else open(path, "rb"))  # noqa: PTH123


def _object(line: bytes, where: str) -> dict[str, Json]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BrokenRecord(f"{where}: {error}.") from None
    if not isinstance(found, dict):
        raise BrokenRecord(f"{where} is no JSON object.")
    return found


def _checked(given: Json, known: Mapping[str, tuple[str, Any]], where: str) -> dict[str, Any]:
    """The known fields of a record, each of its type. Raises BrokenRecord."""
    if not isinstance(given, dict):
        raise BrokenRecord(f"{where} is no record.")
    found: dict[str, Any] = {}
    for name, (kind, default) in known.items():
        if name not in given:
            if default is MISSING and name not in ("counts", "jobs"):
                raise BrokenRecord(f"{where} has no {name}.")
            continue
        value = given[name]
        kinds = next(types for begin, types in _KINDS if kind.startswith(begin))
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise BrokenRecord(f"{where}: {name} is of the wrong type.")
        found[name] = value
    return found


def _job(given: dict[str, Json], where: str) -> JobRow:
    f = _checked(given, _JOB, where)
    try:
        f["state"] = JobState(f["state"])
        f["history"] = tuple(PastAttempt(**one) for one in f.get("history", ()))
        f["series"] = {name: _metric(one) for name, one in f.get("series", {}).items()}
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise BrokenRecord(f"{where}: {error}.") from None
    for name in ("commands", "mates", "excluded"):
        f[name] = tuple(map(str, f.get(name, ())))
    return JobRow(**f)


def _metric(given: Json) -> Metric:
    pairs = {name: tuple(given[name]) if given.get(name) else None for name in ("first", "last", "lowest", "highest")}
    if pairs["first"] is None or pairs["last"] is None:
        raise ValueError("a metric has no last value")
    points = tuple((float(step), float(value)) for step, value in given["points"])
    if not all(math.isfinite(step) for step, _ in points):
        raise ValueError("a step of a metric is no finite number")
    return Metric(
        str(given["name"]),
        int(given["count"]),
        pairs["first"],
        pairs["last"],
        pairs["lowest"],
        pairs["highest"],
        int(given["every"]),
        points,
    )
