"""`@exs.task`: an importable function becomes jobs. What travels is its name and JSON, never code or pickles.

    # mylab/train.py                         # on the node:  exs worker --allow-module mylab.train
    import exs

    @exs.task
    def train(lr: float, epochs: int = 3) -> dict[str, float]:
        ...
        return {"loss": 0.1}                 # becomes the result of the job

    # anywhere that mylab is importable
    from mylab.train import train
    queue.push(train.sweep({"lr": [0.1, 0.01]}, name="rates", repeat=3, resources={"gpus": 1}))

The job is `python3 -m exs.calls mylab.train:train` with its parameters in EXS_PARAMS, so it has a log, retries, GPUs
and everything else that a command has. `exs.calls` refuses a module that its worker was not told to allow, and in it
everything that is no task. Where exs is installed for another interpreter than the first `python3` on the job's PATH,
`@exs.task(python="/opt/venv/bin/python")` names it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar, overload

from exs.errors import InputError
from exs.values import mapping

P = ParamSpec("P")
R = TypeVar("R")

#: The command of each task's jobs, behind the interpreter.
CALLS = "-m exs.calls"


class Task(Generic[P, R]):
    """A function that jobs can call. Called as it is, it is that function."""

    def __init__(self, function: Callable[P, R], python: str = "python3") -> None:
        self.function = function
        self.python = python
        update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"Task({self.function.__module__}:{self.function.__qualname__})"

    @property
    def address(self) -> str:
        """`module:name`, by which a worker finds it. Raises InputError for a function that cannot be imported."""
        module, name = self.function.__module__, self.function.__qualname__
        if module == "__main__":
            spec = getattr(sys.modules.get("__main__"), "__spec__", None)
            module = spec.name if spec is not None else ""
        if not module or not name.isidentifier():
            raise InputError(
                f"the task {name} cannot be imported by a worker.",
                "Define it at the top of a module, not in the script that is run nor inside a function.",
            )
        return f"{module}:{name}"

    def sweep(self, params: Mapping[str, Any] | None = None, *, name: str, **keys: Any) -> dict[str, Any]:
        """A sweep over its arguments, for `Queue.push`: `params` and `keys` as in a sweep file.

        A list is an axis: `{"lr": [0.1, 0.01]}`. Raises InputError for arguments that the function does not take.
        """
        given = mapping(params or {}, "params")
        self._check(given)
        return {"name": name, "command": f"{self.python} {CALLS} {self.address}", "params": given, **keys}

    def _check(self, given: Mapping[str, Any]) -> None:
        signature = inspect.signature(self.function)
        try:
            signature.bind(**given)
        except TypeError as error:
            raise InputError(f"{self.function.__qualname__}{signature}: {error}.") from None


@overload
def task(function: Callable[P, R]) -> Task[P, R]: ...
@overload
def task(*, python: str = "python3") -> Callable[[Callable[P, R]], Task[P, R]]: ...
def task(
    function: Callable[P, R] | None = None, *, python: str = "python3"
) -> Task[P, R] | Callable[[Callable[P, R]], Task[P, R]]:
    """Make a function a task. `python`: the interpreter of its jobs on the nodes."""
    if function is not None:
        return Task(function)
    return lambda wrapped: Task(wrapped, python)
