"""Jobs as rows: which field of a record is which attribute of a row. What cannot be read is shown as such."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import zip_longest
from typing import Any

from exs.errors import BrokenRecord
from exs.model import JobState, Json
from exs.rows import JobRow, PastAttempt
from exs.store.records import loads, text
from exs.store.rows import experiment_of, iso_seconds, mapping, mate_names, share, whole
from exs.store.scripts import Arg
from exs.store.series import metrics_from

#: Makes the value of an attribute from a field. Raises BrokenRecord.
Read = Callable[[bytes], Any]

_STATES = {state.value.encode(): state for state in JobState}


def _state(value: bytes) -> JobState:
    found = _STATES.get(value)
    if found is None:
        raise BrokenRecord(f"{text(value)!r} is no state.")
    return found


def _object(of: str) -> Read:
    what = f"the JSON of its {of}"

    def read(value: bytes) -> dict[str, Json]:
        found = loads(value, what) if value else {}
        if type(found) is dict:
            return found
        raise BrokenRecord(f"{what} is not an object.")

    return read


def _commands(value: bytes) -> tuple[str, ...]:
    found = loads(value, "the JSON of its commands")
    if not isinstance(found, list):
        raise BrokenRecord("the JSON of its commands is not a list.")
    return tuple(map(str, found))


@lru_cache(100)
def _code(value: bytes) -> int | None:
    return whole(value) if value else None


@lru_cache(100)
def _experiment(value: bytes) -> str:
    return experiment_of(text(value))


def _seconds(value: bytes) -> float:
    return whole(value) / 1000


def _loads(value: bytes) -> tuple[float | None, float | None]:
    """Mean and highest utilisation, in percent; None for what is none."""
    try:
        mean, highest = (float(word) for word in value.split())
    except ValueError:
        return None, None
    return (mean, highest) if 0 <= mean <= highest <= 100 else (None, None)


#: The jobs of a list have few of these in common: each is decoded once, and stands in memory once.
_few = lru_cache(100)(text)
_number = lru_cache(100)(whole)
_time = lru_cache(100)(iso_seconds)

#: Attribute of a row -> the field of rq:job:ID (see `keys.JOB_FIELDS`) that it is read from, and how. Where a record
#: lacks the field, the row keeps the default.
_COLUMNS: Mapping[str, tuple[bytes, Read]] = {
    "state": (b"st", _state),
    "experiment": (b"origin", _experiment),
    "queue": (b"origin", _few),
    "index": (b"ix", whole),
    "name": (b"nm", text),
    "params": (b"pr", _object("parameters")),
    "point": (b"pt", text),
    "spec": (b"sp", _few),
    "commands": (b"cm", _commands),
    "attempt": (b"at", text),
    "attempts": (b"an", _number),
    "lost": (b"ls", _number),
    "node": (b"nd", _few),
    "slot": (b"worker_name", _few),
    "gpus": (b"gp", _few),
    "mates": (b"sl", mate_names),
    "created_at": (b"created_at", _time),
    "started_at": (b"started_at", iso_seconds),
    "ended_at": (b"ended_at", iso_seconds),
    "retry_at": (b"ra", _seconds),
    "failure": (b"fc", text),
    "detail": (b"fd", text),
    "exit_code": (b"xc", _code),
    "result": (b"rs", _object("result")),
    "directory": (b"dr", text),
    "log": (b"lg", text),
    "tail": (b"tl", text),
    "max_rss": (b"rm", whole),
    "gpu_peak": (b"gm", whole),
    "gpu_load": (b"gu", lambda value: _loads(value)[0]),
    "gpu_load_max": (b"gu", lambda value: _loads(value)[1]),
    "log_dropped": (b"lx", whole),
    "want": (b"wn", text),
    "paused_by": (b"pb", text),
    "preempted_by": (b"pv", text),
    "excluded": (b"xn", lambda value: tuple(text(value).split(","))),
    "least_memory": (b"om", lambda value: whole(value) + 1),
    "progress": (b"pg", share),
    "said": (b"ss", text),
    "checkpoint": (b"ck", _object("checkpoint")),
    "metrics": (b"mt", _object("metrics")),
    "first_queue": (b"oq", _few),
}
#: What the attributes of a path are put together from, besides their own field.
_WITH = {"directory": ("name",), "log": ("directory", "name")}
#: Without these there is no row.
_ALWAYS = ("state", "experiment", "index")

_Columns = tuple[tuple[str, Read], ...]


def _by_field(names: Iterable[str]) -> dict[bytes, _Columns]:
    """Field -> what is read from it, for some of the attributes."""
    found: dict[bytes, _Columns] = {}
    for name in names:
        field, read = _COLUMNS[name]
        found[field] = (*found.get(field, ()), (name, read))
    return found


_WHOLE = _by_field(_COLUMNS)


def job_row(reply: Sequence[Any], now: float) -> JobRow:
    """One row of `jobs.lua`. A record that cannot be read gives a CRASHED row that says so."""
    job_id, lease, flat = reply[:3]
    return _row(job_id, lease, now, zip(map(_WHOLE.get, flat[::2]), flat[1::2], strict=False))


class Part:
    """What a question needs of each job: some attributes of its row, or all, and as its `series` some metrics, without
    their points.

    Nothing else is read: a record of which only another field is broken is none.
    """

    def __init__(self, names: Iterable[str] | None = None, metrics: Iterable[str] = ()) -> None:
        wanted = dict.fromkeys(_ALWAYS)
        for name in names or ():
            wanted.update(dict.fromkeys((name, *_WITH.get(name, ()))) if name in _COLUMNS else ())
        columns = {} if names is None else _by_field(wanted)
        self._columns = tuple(columns.values())
        self._metrics = tuple(name.encode("utf-8", "surrogateescape") for name in metrics)
        #: Its words in a call of `jobs.lua`; the field of the state comes first.
        self.words: tuple[Arg, ...] = (len(self._metrics), *self._metrics, *columns)

    def row(self, reply: Sequence[Any], now: float) -> JobRow:
        """See job_row."""
        job_id, lease, values, told = reply
        if self._columns:
            row = _row(job_id, lease, now, zip(self._columns, values, strict=False))
        else:
            row = job_row(reply, now)
        if told and row.metrics:
            row.series = metrics_from(zip_longest(self._metrics, told, (), fillvalue=b""))
        return row


def _row(job_id: bytes, lease: bytes, now: float, record: Iterable[tuple[_Columns | None, bytes | None]]) -> JobRow:
    """A row from values and what is read from each: nothing from some fields, and some are not there."""
    found: dict[str, Any] = {"id": text(job_id), "experiment": "", "index": 0, "name": "", "params": {}}
    broken = ""
    for columns, value in record:
        if columns is None or value is None:
            continue
        for name, read in columns:
            try:
                found[name] = read(value)
            except BrokenRecord as error:
                broken = broken or error.message
    if lease:
        found["lease_late"] = max(0.0, now - _seconds(lease))
    if "directory" in found or "log" in found:
        paths = _paths(found["name"], found.get("directory", ""), found.get("log", ""))
        found["directory"], found["log"] = paths
    if "state" not in found:
        broken = broken or "it has no state."
    if not found["experiment"]:
        broken = broken or "it names no queue."
    if broken:
        found["state"], found["detail"] = JobState.CRASHED, f"broken record: {broken}"
    return JobRow(**found)


def _paths(name: str, directory: str, log: str) -> tuple[str, str]:
    """Run directory and log of the job called `name`, from what `paths.lua` made of them."""
    if directory.endswith("/"):
        directory += name
    if log and directory and not log.startswith("/"):
        log = f"{directory}/{log}"
    return directory, log


def history_from(items: Iterable[bytes], row: JobRow) -> tuple[PastAttempt, ...]:
    """Earlier attempts of `row`, oldest first; one that cannot be read is left out."""
    attempts: list[PastAttempt] = []
    for item in items:
        try:
            f = mapping(item, f"attempts of job {row.id}")
        except BrokenRecord:
            continue
        exit_code = f.get("exit_code")
        directory, log = _paths(row.name, str(f.get("directory", "")), str(f.get("log", "")))
        load, load_max = _loads(str(f.get("gpu_load", "")).encode())
        attempts.append(
            PastAttempt(
                number=_whole_of(f.get("number")),
                node=str(f.get("node", "")),
                gpus=str(f.get("gpus", "")),
                started_at=_moment(f.get("started")),
                ended_at=_moment(f.get("ended")),
                failure=str(f.get("failure", "")),
                detail=str(f.get("detail", "")),
                exit_code=None if exit_code is None else _whole_of(exit_code),
                directory=directory,
                log=log,
                gpu_peak=_whole_of(f.get("gpu_peak")),
                gpu_load=load,
                gpu_load_max=load_max,
            )
        )
    return tuple(attempts)


def _whole_of(value: Json) -> int:
    """A number that `remember` in Lua wrote as text; 0 for anything else."""
    return whole(str(value).encode()) if isinstance(value, (str, int, float)) else 0


def _moment(value: Json) -> float:
    """A time as `remember` writes it, or as it did at first: in ms."""
    return iso_seconds(value.encode()) if isinstance(value, str) and "T" in value else _whole_of(value) / 1000
