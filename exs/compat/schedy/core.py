"""`SchedyDB`: the queue, under the name that Schedy's client gave its server."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from exs import api
from exs.compat.schedy.experiments import Experiment, from_record
from exs.errors import InputError, ResourceExistsError
from exs.rows import ExperimentRow

#: Of Schedy's client.json, what has a meaning here.
_KEYS = ("root",)


class SchedyDB:
    """The experiments that `exs add` and `add_experiment` made.

    Without arguments the queue is the one that every command uses: EXS_REDIS_URL, the config file, else a server of
    this user's own. `root`, in the JSON file `config_path` or in `config_override`, is another Redis URL.
    """

    def __init__(self, config_path: str | None = None, config_override: Mapping[str, Any] | None = None) -> None:
        config = {**_read(config_path), **(config_override or {})}
        for key in config:
            if key not in _KEYS:
                raise InputError(
                    f"SchedyDB: {key!r} has no meaning here: exs has no accounts.",
                    "Leave it out; root is a Redis URL, which holds the password.",
                )
        self._queue = api.connect(config.get("root"))

    def add_experiment(self, experiment: Experiment) -> None:
        """Make the experiment. Raises ResourceExistsError if there is one of its name, InputError for a bad name."""
        queue = self._queue
        made = queue.store.add_experiment(
            queue.checked_name(experiment.name),
            queue.origin("python"),
            scheduler=experiment.definition(),
            paused="" if experiment.status == Experiment.RUNNING else queue.user,
        )
        if not made:
            raise ResourceExistsError(f"Experiment {experiment.name} exists already.")
        experiment._store = queue.store

    def get_experiment(self, name: str) -> Experiment:
        """One experiment. Raises NotFound, and Refused for one whose jobs are run by workers."""
        return self._from(self._queue.store.experiment(name))

    def get_experiments(self) -> Iterator[Experiment]:
        """All of them, oldest first."""
        return (self._from(row) for row in self._queue.store.experiments() if row.kind == "pull")

    def _from(self, row: ExperimentRow) -> Experiment:
        store = self._queue.store
        status = Experiment.DONE if row.paused else Experiment.RUNNING
        return from_record(row.name, store.scheduler(row.name), status, store)


def _read(path: str | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"SchedyDB: cannot read {path}: {error}.") from None
    if not isinstance(found, dict):
        raise InputError(f"SchedyDB: {path} holds no JSON object.")
    return found
