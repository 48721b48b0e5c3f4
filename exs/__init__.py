"""exs: a distributed, worker-pull job queue for machine-learning experiments."""

__version__ = "0.1.0"


def run() -> None:
    """What RQ's own tools believe a job of exs to be; a stock `rq worker` that calls it is told to leave it."""
    raise RuntimeError("this job belongs to exs: run it with `exs worker`, not with `rq worker`")
