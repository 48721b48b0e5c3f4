"""The queue from Python: push sweeps, watch them, steer them, and get their results.

    >>> import exs
    >>> queue = exs.connect()
    >>> sweep = {"name": "demo", "command": "python3 train.py --lr {lr}", "params": {"lr": [0.1, 0.01]}}
    >>> experiment = queue.push(sweep)
    >>> experiment.pushed.new
    2
    >>> [(job.index, dict(job.params), job.state.value) for job in experiment.jobs()]
    [(0, {'lr': 0.1}, 'QUEUED'), (1, {'lr': 0.01}, 'QUEUED')]
    >>> experiment.cancel(1)
    {'canceled': 1, 'asked': 0, 'already': 0, 'missing': 0}
    >>> {state.value: number for state, number in experiment.counts().items() if number}
    {'QUEUED': 1, 'CANCELED': 1}

Where `exs worker` runs, `experiment.wait()` returns when all is over, `experiment.events()` tells what happens
meanwhile, and `experiment.frame()` has parameters and results as a pandas DataFrame.

Every error is an `exs.errors.ExsError`: one sentence, and what to do. A Queue may be used from several threads.
"""

from exs.api.experiment import Event, Experiment
from exs.api.queue import Queue, connect, push_sweep

__all__ = ["Event", "Experiment", "Queue", "connect", "push_sweep"]
