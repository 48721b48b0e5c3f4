"""One run directory as a run: MLXP's layout (metadata/), exs's and runner's (param.json), newer mlrunner's (param)."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from exs import alive
from exs.errors import BrokenRecord
from exs.model import Json
from exs.paths import LogDir, RunDir, runner_param, runner_stat
from exs.reader import plainyaml
from exs.reader.artifacts import artifacts_in, loaders
from exs.reader.metricfiles import FolderSeries, keys_in
from exs.reader.results import Seen, report_of, result_in
from exs.reader.run import Run, flattened

#: Bytes of a file of parameters.
_LARGEST = 4 << 20
#: Words of newer mlrunner's `stat`, as codes of `stat.json`.
_CODES = {"finished": 0, "failed": 1}


@dataclass
class Entry:
    """What is read of a directory, and kept in the index. `problem`: what of it could not be read.

    `report`: what the file that its result is from was when it was read; the index has it among other signs.
    """

    flat: dict[str, Json] = field(default_factory=dict)
    metrics: dict[str, tuple[str, str]] = field(default_factory=dict)
    artifacts: dict[str, list[str]] = field(default_factory=dict)
    problem: str = ""
    report: Seen = field(default_factory=list)

    def run(self, folder: str, suffix: str = "") -> Run:
        """The run."""
        label = suffix or os.path.basename(folder)
        series = FolderSeries(folder, self.metrics) if self.metrics else None
        return Run(self._alive(folder), series, loaders(folder, self.artifacts), label, folder)

    def _alive(self, folder: str) -> dict[str, Json]:
        """The keys, with the status of now: a run that was killed still says that it runs."""
        flat = self.flat
        if flat.get("info.status") not in alive.UNFINISHED:
            return flat
        begin = f"info.{alive.MARK}."
        mark = {key.removeprefix(begin): value for key, value in flat.items() if key.startswith(begin)}
        info = {"status": flat["info.status"], "process_id": flat.get("info.process_id"), alive.MARK: mark}
        place = LogDir(folder)
        status = alive.status_of(info, place.lock)
        if status not in alive.UNFINISHED:
            alive.settle(place.info, place.lock)
        return {**flat, "info.status": status}


def read(folder: str, suffix: str = "") -> Entry:
    """What a run directory says; what cannot be read is told in `problem`. `suffix` as in RunDir."""
    entry = Entry()
    if os.path.isdir(os.path.dirname(LogDir(folder).config)):
        _read_mlxp(folder, entry)
    files = RunDir(folder, suffix)
    if os.path.exists(files.params):
        _read_runner(entry, _json(files.params, entry), _json(files.stat, entry))
    elif not entry.flat and os.path.exists(runner_param(folder)):
        stat = _yaml(runner_stat(folder), entry)
        codes: dict[str, Json] = {name: {"code": _CODES.get(str(word), -1)} for name, word in stat.items()}
        _read_runner(entry, _yaml(runner_param(folder), entry), codes)
    if path := report_of(folder, entry.flat.get("info.attempt")):
        _read_result(path, entry)
    entry.metrics = keys_in(folder, suffix)
    entry.artifacts = artifacts_in(folder)
    return entry


def _read_mlxp(folder: str, entry: Entry) -> None:
    files = LogDir(folder)
    config = files.config if os.path.exists(files.config) else files.config_unresolved
    _flatten("config.", _yaml(config, entry), entry)
    info = _yaml(files.info, entry)
    if not info:  # handed to a scheduler, and not begun: MLXP's reader does not show it at all
        info = {"status": "STARTING"}
    _flatten("info.", info, entry)


def _read_runner(entry: Entry, params: dict[str, Json], stat: dict[str, Json]) -> None:
    _flatten("config.", {key: value for key, value in params.items() if not str(key).startswith("_")}, entry)
    about: dict[str, Json] = {str(key)[1:]: value for key, value in params.items() if str(key).startswith("_")}
    codes = {name: one.get("code") for name, one in stat.items() if isinstance(one, dict)}
    about["status"] = status(codes, params.get("_commands", params.get("_scripts")))
    about["code"] = codes
    for key, value in about.items():
        if f"info.{key}" not in entry.flat:  # exs.launch says more of it
            _flatten("info.", {key: value}, entry)


def _read_result(path: str, entry: Entry) -> None:
    try:
        result, entry.report = result_in(path)
    except BrokenRecord as error:
        entry.problem = error.message
    else:
        _flatten("result.", result, entry)


def status(codes: dict[str, Json], commands: Json) -> str:
    """COMPLETE, FAILED, or UNFINISHED: not all commands have ended, because they run or were killed."""
    if 1 in codes.values():
        return "FAILED"
    wanted = list(commands) if isinstance(commands, dict) else []
    done = [name for name, code in codes.items() if code == 0]
    return "COMPLETE" if done and all(name in done for name in wanted) else "UNFINISHED"


def _flatten(prefix: str, values: dict[str, Json], entry: Entry) -> None:
    try:
        found: dict[str, Json] = {}
        flattened(prefix, values, found)
        entry.flat.update({key: _plain(value) for key, value in found.items()})
    except RecursionError:
        entry.problem = entry.problem or f"{prefix[:-1]} is nested without end."


def _plain(value: Json) -> Json:
    """What JSON can hold: a date of YAML becomes text."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_plain(one) for one in value]
    return str(value)


def _text(path: str, entry: Entry) -> str:
    try:
        with Path(path).open("rb") as file:
            found = file.read(_LARGEST + 1)
    except FileNotFoundError:
        return ""
    except OSError as error:
        entry.problem = f"{path} cannot be read: {error.strerror}."
        return ""
    if len(found) > _LARGEST:
        entry.problem = f"{path} is larger than {_LARGEST >> 20} MiB."
        return ""
    return found.decode("utf-8", "backslashreplace")


def _yaml(path: str, entry: Entry) -> dict[str, Json]:
    try:
        return plainyaml.read(_text(path, entry), path)
    except BrokenRecord as error:
        entry.problem = error.message
        return {}


def _json(path: str, entry: Entry) -> dict[str, Json]:
    text = _text(path, entry)
    if not text:
        return {}
    try:
        found = json.loads(text)
        if isinstance(found, dict):
            return found
        entry.problem = f"{path} is no JSON object."
    except (ValueError, RecursionError) as error:
        entry.problem = f"{path} is no JSON: {error}."
    return {}
