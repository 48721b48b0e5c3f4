"""exs: a distributed, worker-pull job queue for machine-learning experiments.

From Python: `connect` gives the queue (`exs.api`), `Reader` its runs, or those of a directory, as a table, `task` makes
jobs of a function (`exs.tasks`), `job` is for training code, SchedyDB, ManualSearch, RandomSearch, random and errors
are those of Schedy's client (`exs.compat.schedy`), launch and Context are MLXP's (`exs.compat.mlxp`), and Examiner is
mlrunner's. To import exs loads none of them: each comes with its first use.
"""

from __future__ import annotations

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` takes longer to import than `exs.job`, which training code imports
    from typing import Any

    from exs import errors as errors
    from exs.api import Experiment as Experiment
    from exs.api import Queue as Queue
    from exs.api import connect as connect
    from exs.api.reader import Reader as Reader
    from exs.compat.mlxp import ConfigDict as ConfigDict
    from exs.compat.mlxp import Context as Context
    from exs.compat.mlxp import DefaultLogger as DefaultLogger
    from exs.compat.mlxp import instance_from_dict as instance_from_dict
    from exs.compat.mlxp import instantiate as instantiate
    from exs.compat.mlxp import launch as launch
    from exs.compat.schedy import Job as Job
    from exs.compat.schedy import ManualSearch as ManualSearch
    from exs.compat.schedy import RandomSearch as RandomSearch
    from exs.compat.schedy import SchedyDB as SchedyDB
    from exs.compat.schedy import random as random
    from exs.reader.examiner import Examiner as Examiner
    from exs.reader.examiner import latest_log as latest_log
    from exs.reader.frame import DataFrame as DataFrame
    from exs.tasks import task as task

#: Name -> the module that has it; a module's own name stands for the module.
_LAZY = {
    "connect": "exs.api",
    "Queue": "exs.api",
    "Experiment": "exs.api",
    "Reader": "exs.api.reader",
    "Examiner": "exs.reader.examiner",
    "latest_log": "exs.reader.examiner",
    "DataFrame": "exs.reader.frame",
    "task": "exs.tasks",
    "job": "exs.job",
    "errors": "exs.errors",
    "launch": "exs.compat.mlxp",
    "Context": "exs.compat.mlxp",
    "ConfigDict": "exs.compat.mlxp",
    "DefaultLogger": "exs.compat.mlxp",
    "instantiate": "exs.compat.mlxp",
    "instance_from_dict": "exs.compat.mlxp",
    "SchedyDB": "exs.compat.schedy",
    "ManualSearch": "exs.compat.schedy",
    "RandomSearch": "exs.compat.schedy",
    "Job": "exs.compat.schedy",
    "random": "exs.compat.schedy.random",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'exs' has no attribute {name!r}")
    from importlib import import_module

    module = import_module(_LAZY[name])
    found = module if _LAZY[name].rpartition(".")[2] == name else getattr(module, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})


def run() -> None:
    """What RQ's own tools believe a job of exs to be; a stock `rq worker` that calls it is told to leave it."""
    raise RuntimeError("this job belongs to exs: run it with `exs worker`, not with `rq worker`")
