"""The one place where exs unpickles: files of the user's own runs, when the code that is run says so in words.

A pickle runs what it says while it is loaded. Nothing that comes from Redis or from a sweep gets here.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from exs.errors import InputError


def save(value: Any, path: str) -> None:
    """Raises InputError for what cannot be pickled, such as a lambda."""
    try:
        data = pickle.dumps(value)
    except (pickle.PicklingError, AttributeError, TypeError, RecursionError) as error:
        raise InputError(f"this {type(value).__name__} cannot be pickled: {error}.") from None
    Path(path).write_bytes(data)


def load(path: str) -> Any:
    """Raises what unpickling raises, which may be anything."""
    return pickle.loads(Path(path).read_bytes())  # noqa: S301 - the caller has said so
