"""Outcomes that Redis could not take yet: one fsynced file each, delivered later under the same fence (R6).

A slot writes one when a delivery fails, and removes it when its own retries succeed. What a dead slot left is
delivered by the next agent of this machine.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from exs.errors import BrokenRecord
from exs.model import Failure, Fenced, JobState, Offer, Outcome
from exs.store.store import Store

_SUFFIX = ".outcome.json"
_Record = TypeVar("_Record", Offer, Outcome)
#: What JSON makes of the fields of an outcome, by their annotation; the others are made by `_read`.
_KINDS: dict[str, Any] = {
    "str": str,
    "bool": bool,
    "int": int,
    "float": (int, float),
    "int | None": (int, type(None)),
    "float | None": (int, float, type(None)),
    "Mapping[str, Json]": dict,
}


@dataclass(frozen=True)
class Spooled:
    """One outcome on disk."""

    job: str
    attempt: str
    offer: Offer
    outcome: Outcome


class Spool:
    """The directory of undelivered outcomes of this machine."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, item: Spooled) -> Path:
        """Keep one outcome, on disk when this returns. The same attempt again replaces it. Raises OSError."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self.root / f"{item.job}.{item.attempt}{_SUFFIX}"
        temporary = path.with_suffix(".tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            json.dump(asdict(item), file)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
        directory = os.open(self.root, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        return path

    def waiting(self) -> tuple[list[Path], list[Path]]:
        """Files of outcomes, and those that could not be read; changes nothing."""
        return sorted(self.root.glob(f"*{_SUFFIX}")), sorted(self.root.glob("*.broken"))

    def items(self) -> Iterator[tuple[Path, Spooled]]:
        """What is there; a file that cannot be read is renamed to `*.broken` and left for a person."""
        for path in sorted(self.root.glob(f"*{_SUFFIX}")):
            try:
                yield path, _read(path)
            except FileNotFoundError:
                continue  # its slot delivered it meanwhile
            except BrokenRecord:
                with contextlib.suppress(OSError):
                    path.rename(path.with_suffix(".broken"))

    def deliver(self, store: Store) -> Iterator[tuple[Spooled, Fenced]]:
        """Deliver everything that is there, and yield what became of each. Raises RedisUnreachable.

        What Redis knows nothing of stays: it may be an empty Redis that was started instead of the right one.
        """
        for path, item in self.items():
            answer = hand_over(store, item)
            if answer is not Fenced.GONE:
                path.unlink(missing_ok=True)
            yield item, answer


def hand_over(store: Store, item: Spooled) -> Fenced:
    """Deliver one outcome: `finish`, or `release` for an attempt of a job that is to run again."""
    if item.outcome.requeue:
        why = item.outcome.detail or "handed back by its slot"
        return store.release(item.job, item.attempt, why, item.offer, item.outcome)
    return store.finish(item.job, item.attempt, item.outcome, item.offer)


def _checked(found: _Record) -> _Record:
    """`found`, which a dataclass takes whatever its fields are. Raises TypeError."""
    for field in fields(found):
        value = getattr(found, field.name)
        if not isinstance(value, _KINDS.get(str(field.type), object)):
            raise TypeError(f"{field.name} is {value!r}")
    return found


def _read(path: Path) -> Spooled:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        offer, outcome = data["offer"], data["outcome"]
        failure = outcome["failure"]
        return Spooled(
            job=str(data["job"]),
            attempt=str(data["attempt"]),
            offer=_checked(Offer(**{**offer, "pools": tuple(offer["pools"]), "gpus": tuple(offer["gpus"])})),
            outcome=_checked(
                Outcome(
                    **{**outcome, "state": JobState(outcome["state"]), "failure": Failure(failure) if failure else None}
                )
            ),
        )
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BrokenRecord(f"{path} is not readable: {error}.") from None
