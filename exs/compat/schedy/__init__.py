"""Schedy's Python client on exs's queue: `import exs`, or `import exs.compat.schedy as schedy`, and its code runs.

What is different: a job is leased, so that one whose process was killed comes back; `next_job(wait=...)` can block;
`SchedyDB()` needs no account, it finds the queue as every command does; population based training is not there.

    >>> import exs
    >>> db = exs.SchedyDB()
    >>> experiment = exs.ManualSearch("Minimize")
    >>> db.add_experiment(experiment)
    >>> _ = experiment.add_job(hyperparameters={"x": 1, "y": 2})
    >>> with experiment.next_job() as job:
    ...     job.results["result"] = job.hyperparameters["x"] ** 2 + job.hyperparameters["y"] ** 2
    >>> [(job.status, job.results) for job in experiment.all_jobs()]
    [('DONE', {'result': 5})]
"""

from exs import errors
from exs.compat.schedy import random
from exs.compat.schedy.core import SchedyDB
from exs.compat.schedy.experiments import Experiment, ManualSearch, RandomSearch
from exs.compat.schedy.jobs import Job

__all__ = ["Experiment", "Job", "ManualSearch", "RandomSearch", "SchedyDB", "errors", "random"]
