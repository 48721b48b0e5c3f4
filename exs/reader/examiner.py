"""mlrunner's Examiner: functions of yours look into each run directory and fill a table.

from exs import Examiner, latest_log

def accuracy(path, experiment, caches):
    log = latest_log("test", path)
    if log is not None:
        experiment.metric["acc"] = float(log.read_text().rsplit("acc=", 1)[1])

examiner = Examiner()
examiner.add(accuracy)
examiner.exam("output", workers=4)
examiner.table()
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from exs.errors import InputError, NotFound
from exs.model import Json
from exs.reader.folders import read
from exs.reader.frame import pandas
from exs.reader.index import folders, told_apart
from exs.reader.run import Run


class Experiment(NamedTuple):
    """What a function knows of a run and may fill: `metric` becomes columns, `cache` stays in `experiments`."""

    cache: dict[str, Any]
    metric: dict[str, Any]
    param: dict[str, Json]


Function = Callable[[Path, Experiment, dict[str, Any]], object]


@dataclass
class _Work:
    """What a process that examines has from the one that began it; a function need not be sent to it."""

    functions: Sequence[Function]
    runs: Sequence[Run]
    verbose: bool


_work: _Work | None = None


def _examine(at: int) -> tuple[Experiment, dict[str, Any]]:
    """Run in a process of its own, on the run of that number."""
    assert _work is not None
    run, caches = _work.runs[at], dict[str, Any]()
    experiment = Experiment({}, {}, params_of(run))
    if _work.verbose:
        print(run.label, flush=True)
    for function in _work.functions:
        function(Path(run.folder), experiment, caches)
    return experiment, caches


class Examiner:
    """Collects what functions find in run directories. `experiments`: name of a directory -> Experiment."""

    def __init__(self) -> None:
        self.exams: list[Function] = []
        self.caches: dict[str, Any] = {}
        self.experiments: dict[str, Experiment] = {}
        self.elsewhere: list[str] = []  #: runs of which the directory is not on this machine

    def add(self, func: Function) -> None:
        """Call `func(path, experiment, caches)` for each run; `caches` is one dict for all, per process."""
        if func not in self.exams:
            self.exams.append(func)

    def exam(
        self,
        output: str | os.PathLike[str] | Iterable[Run] = "output",
        regex: str = ".*",
        verbose: bool = False,
        workers: int = -1,
    ) -> None:
        """Examine the run directories in `output`, or the runs of a Reader or DataFrame, by `workers` processes.

        With 0 or fewer in this one. `regex` is looked for in the names of the directories. What a function raises ends
        it. Raises NotFound, InputError.
        """
        try:
            pattern = re.compile(regex)
        except re.error as error:
            raise InputError(f"{regex!r} is no regular expression: {error}.") from None
        runs = [run for run in _runs(output) if pattern.search(_name(run))]
        here = [run for run in runs if run.folder]
        self.elsewhere += [run.label for run in runs if not run.folder]
        for run, (experiment, caches) in zip(here, self._examined(here, verbose, workers), strict=True):
            self._take(run, experiment, caches)

    def _examined(
        self, runs: Sequence[Run], verbose: bool, workers: int
    ) -> Iterable[tuple[Experiment, dict[str, Any]]]:
        if workers > 0 and len(runs) > 1:
            return _in_processes(_Work(self.exams, runs, verbose), workers)
        return [self._serially(run, verbose) for run in runs]

    def _serially(self, run: Run, verbose: bool) -> tuple[Experiment, dict[str, Any]]:
        if verbose:
            print(run.label)
        known = self.experiments.get(run.label)
        experiment = known or Experiment({}, {}, {})
        experiment.param.update(params_of(run))
        for function in self.exams:
            function(Path(run.folder), experiment, self.caches)
        return experiment, self.caches

    def _take(self, run: Run, found: Experiment, caches: dict[str, Any]) -> None:
        known = self.experiments.setdefault(run.label, found)
        if known is not found:
            known.param.update(found.param)
            known.metric.update(found.metric)
            known.cache.update(found.cache)
        if caches is not self.caches:
            self.caches.update(caches)

    def entries(self, concise: bool = True) -> tuple[list[list[Any]], list[str]]:
        """Rows and headers: parameters, those with one value left out if `concise`, then metrics; None for none."""
        all_ = list(self.experiments.values())
        params = sorted({name for one in all_ for name in one.param if not name.startswith("_")})
        if concise:
            params = [name for name in params if len({repr(one.param.get(name)) for one in all_}) > 1]
        metrics = sorted({name for one in all_ for name in one.metric})
        rows = [[*map(one.param.get, params), *map(one.metric.get, metrics)] for one in all_]
        return rows, [*params, *metrics]

    def table(self, concise: bool = True, print_tsv: bool = False) -> Any:
        """`entries` as a pandas DataFrame; with `print_tsv` also printed. Raises InputError without pandas."""
        rows, headers = self.entries(concise)
        if print_tsv:
            for row in (headers, *rows):
                print("\t".join(map(str, row)))
        return pandas().DataFrame(rows, columns=headers)


def latest_log(command: str, path: str | os.PathLike[str], index: int = -1) -> Path | None:
    """The newest log of a command in a run directory; by `index` an earlier one, None if there is none."""
    logs = sorted(Path(path).glob(f"log.{command}.*"))
    return logs[index] if -len(logs) <= index < len(logs) else None


def params_of(run: Run) -> dict[str, Json]:
    """The parameters of a run by their own names, and runner's `_name` and `_output`."""
    flat = run.flat()
    found = {key.removeprefix("config."): value for key, value in flat.items() if key.startswith("config.")}
    for name in ("name", "output"):
        if f"info.{name}" in flat:
            found[f"_{name}"] = flat[f"info.{name}"]
    return found


def _runs(output: str | os.PathLike[str] | Iterable[Run]) -> list[Run]:
    if not isinstance(output, (str, os.PathLike)):
        return list(output)
    root = os.fspath(output)
    if not os.path.isdir(root):
        raise NotFound(f"{root} is no directory.", "Give one that holds run directories.")
    found = [read(folder, suffix).run(folder, suffix) for folder, suffix in folders(root)]
    told_apart(found, root)
    return found


def _name(run: Run) -> str:
    """The name of its directory, where its label is that, or the path of it."""
    name = os.path.basename(run.folder)
    return name if name and os.path.basename(run.label) == name else run.label


def _in_processes(work: _Work, workers: int) -> list[tuple[Experiment, dict[str, Any]]]:
    """By forks of this process, so that functions of a notebook or a script can be used as they are."""
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    global _work
    _work = work
    try:
        with ProcessPoolExecutor(min(workers, len(work.runs)), get_context("fork")) as pool:
            return list(pool.map(_examine, range(len(work.runs)), chunksize=max(1, len(work.runs) // (8 * workers))))
    except BrokenProcessPool:
        raise InputError("a process that examined runs died.", "Examine them in this one: workers=0.") from None
    finally:
        _work = None
