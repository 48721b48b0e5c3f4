"""MLXP's Reader: runs as a table, from directories, from the queue, or from a file that holds an experiment."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from exs.errors import InputError
from exs.reader import archivefile
from exs.reader.answer import Selection
from exs.reader.frame import DataFrame, pandas
from exs.reader.index import Found, index
from exs.reader.queued import SUMMARY, JobRun, attributes
from exs.reader.reducers import split
from exs.reader.run import ARTIFACT, METRIC, Run
from exs.rows import Metric

if TYPE_CHECKING:
    from exs.api.queue import Queue
    from exs.store.store import Store


class Fields(Mapping[str, str]):
    """Columns and their types, sorted by name: METRIC, ARTIFACT, or that of the value in the first run that has one."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = dict(sorted(fields.items()))

    def __getitem__(self, key: str) -> str:
        return self._fields[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def toPandas(self) -> Any:
        """As MLXP gives it: a pandas DataFrame with the index "Fields" and the column "Type"."""
        frame = pandas().DataFrame(list(self._fields.items()), columns=["Fields", "Type"])
        return frame.set_index("Fields")

    def __repr__(self) -> str:
        widest = max(map(len, self._fields), default=0)
        return "\n".join(f"{name:<{widest}}  {kind}" for name, kind in self._fields.items())


class Reader:
    """The runs below a directory, in a file of `exs export`, or of an experiment in the queue.

    `src_dir`: a directory such as `logs` or `output`, or such a file. `dst_dir`: where to keep what was read of a
    directory, else the user's cache directory; no file is shared or written beside the runs. Without `refresh` a
    directory is taken to be as it was when it was read last. `queue` (an `exs.Queue` or the URL of one) and
    `experiment` (a name or several, or NAME/20-25): jobs instead. Raises NotFound, InputError.
    """

    def __init__(
        self,
        src_dir: str | os.PathLike[str] | None = None,
        dst_dir: str | os.PathLike[str] | None = None,
        refresh: bool = True,
        *,
        queue: Queue | str | None = None,
        experiment: str | Sequence[str] | None = None,
    ) -> None:
        if (src_dir is None) == (experiment is None):
            raise InputError("a Reader reads a directory or an experiment: give one of them.", 'exs.Reader("logs")')
        self.problems: list[str] = []  #: what could not be read, one line each
        self._store: Store | None = None
        self._names: list[str] = []
        self._found: Found | None = None
        self._archive: archivefile.Archive | None = None
        if experiment is not None:
            self._store = _store_of(queue)
            names = [experiment] if isinstance(experiment, str) else list(experiment)
            self._names = [name if "/" in name else self._store.experiment(name).name for name in names]
            return
        path = os.fspath(src_dir or "")
        if os.path.isfile(path):
            self._archive = archivefile.read(path)
        else:
            self._found = index(path, None if dst_dir is None else os.fspath(dst_dir), refresh)
            self.problems = self._found.problems

    def __len__(self) -> int:
        if self._found is not None:
            return len(self._found.runs)
        if self._archive is not None:
            return self._archive.experiment.jobs
        assert self._store is not None
        store = self._store
        return sum(len(store.find(name)) if "/" in name else store.experiment(name).jobs for name in self._names)

    def __iter__(self) -> Iterator[Run]:
        return self.runs()

    @overload
    def __getitem__(self, at: int) -> Run: ...
    @overload
    def __getitem__(self, at: slice | str) -> Any: ...
    def __getitem__(self, at: int | slice | str) -> Any:
        return DataFrame(self.runs())[at]

    def runs(self, keys: Sequence[str] = (), whole: bool = True) -> Iterator[Run]:
        """The runs one after the other; none is kept here. `keys` are those that will be looked at.

        Of metrics among them like `loss.min`, what the queue has is asked for many jobs at once. Without `whole` only
        parameters, results, last values of metrics and `keys` are asked for; the rest is then as if it were not there.
        """
        if self._found is not None:
            yield from self._found.runs
        elif self._archive is not None:
            yield from map(JobRun, self._archive.jobs())
        else:
            for name in self._names:
                yield from self._jobs(name, keys, whole)

    def filter(self, query_string: str = "", result_format: str = "datadict") -> Any:
        """The runs of which a query is true (see `exs.reader.query`): a DataFrame, or with "pandas" one of pandas,
        with metrics and artifacts read. Raises QueryError, InputError."""
        if result_format not in ("datadict", "pandas"):
            raise InputError(f"{result_format!r} is no format of results.", "There are: datadict, pandas.")
        from exs.reader.query import parse

        keys = [key for key, _ in parse(query_string).asks()]
        found = DataFrame(Selection(query_string, self.runs(keys)))
        return found.toPandas(lazy=False) if result_format == "pandas" else found

    @property
    def fields(self) -> Fields:
        """All columns and their types."""
        found: dict[str, str] = {}
        for run in self.runs():
            for key, value in run.lazy().items():
                if key not in found or (found[key] == "NoneType" and value is not None):
                    found[key] = value if value in (METRIC, ARTIFACT) else type(value).__name__
        return Fields(found)

    @property
    def searchable(self) -> Fields:
        """The columns that a query can name: all but artifacts."""
        return Fields({key: kind for key, kind in self.fields.items() if kind != ARTIFACT})

    def _jobs(self, name: str, keys: Sequence[str], whole: bool) -> Iterator[Run]:
        from exs.store.jobrows import Part

        store = self._store
        assert store is not None
        asked = [(key.removeprefix("metric."), how) for key, how in map(split, keys) if how not in ("", "last")]
        names = list(dict.fromkeys(key for key, _ in asked))
        points = not {how for _, how in asked} <= SUMMARY.keys()
        some = "/" in name
        part = Part(None if whole else attributes(keys), () if points else names)
        for page in [store.find(name)] if some else store.pages(name, part):
            if points or (some and names):
                found = store.metrics([row.id for row in page if row.metrics], points=points, names=names)
                for row in page:
                    row.series = found.get(row.id, {})
            for row in page:
                yield JobRun(row, self._metrics)

    def _metrics(self, job: str) -> Mapping[str, Metric]:
        assert self._store is not None
        return self._store.metrics([job]).get(job, {})


def _store_of(queue: Queue | str | None) -> Store:
    if queue is None or isinstance(queue, str):
        from exs.api.queue import connect

        return connect(queue).store
    return queue.store
