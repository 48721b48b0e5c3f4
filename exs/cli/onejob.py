"""What the verbs about the code of one job begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exs.cli.selectors import EVERY, selected
from exs.errors import InputError
from exs.model import Spec
from exs.rows import JobRow

if TYPE_CHECKING:
    from exs.store.store import Store


def one_job(store: Store, selector: str) -> tuple[JobRow, Spec]:
    """The job that `selector` names, and how it is run; of several the last one.

    Raises NotFound, InputError, BrokenRecord.
    """
    row = selected(store, [selector], EVERY)[-1]
    if not row.spec:
        raise InputError(f"job {row.experiment}/{row.index} is run by processes of yours; exs knows no code of it.")
    return row, store.spec(row.experiment, row.spec)
