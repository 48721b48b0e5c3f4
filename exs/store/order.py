"""The queue as its users see and change it: which experiment comes first, with how many slots, in which pool."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from exs.answers import Change, PoolQueue, QueueRow
from exs.errors import InputError, NotFound
from exs.model import DEFAULT_POOL, WEIGHT_MOST, Update
from exs.paths import checked_name
from exs.store.keys import PULL_POOL
from exs.store.look import Watchers, is_beginning
from exs.store.records import pairs, plain, text
from exs.store.rows import weight, whole

#: Experiments per script call: about 2 ms of Redis.
_LOOKED = 100
#: Operations of one update, which is one script: about 2 ms of Redis, more where jobs are moved inside a long queue.
MOST_UPDATES = 100
_PLACES = ("ahead-of", "behind-of", "to-top")


class Arranging(Watchers):
    """The order of the queue."""

    def queue(self, pool: str = DEFAULT_POOL) -> PoolQueue:
        """The experiments of a pool that are not over, in scheduling order; one round trip for a hundred.

        Raises NotFound for a pool that nobody has named, nor works in.
        """
        head, *replies = self._call("queue", pool, _LOOKED)
        known, scheduler, left = head
        if not known and pool != DEFAULT_POOL:
            raise NotFound(
                f"no pool {pool!r}: no experiment was pushed to it, and no worker serves it.",
                "exs pool list shows them.",
            )
        calls = ((pool, _LOOKED, *left[at : at + _LOOKED]) for at in range(0, len(left), _LOOKED))
        for _, *more in self._stream("queue", calls) if left else ():
            replies += more
        return PoolQueue(pool, text(scheduler), tuple(_row(reply) for reply in replies))

    def update(self, updates: Sequence[Update]) -> list[Change]:
        """Make all of these changes in this order, or none; one round trip.

        Raises InputError or NotFound, naming the one that cannot be made.
        """
        if len(updates) > MOST_UPDATES:
            raise InputError(f"{len(updates)} operations are too many for one update.", f"At most {MOST_UPDATES}.")
        values = [_checked(update, self.settings.limits.name_chars) for update in updates]
        words = [
            word
            for update, value in zip(updates, values, strict=True)
            for word in (plain(update.target), update.operation, plain(value))
        ]
        while True:
            code, *found = self._call("update", *words)
            if code == b"ok":
                return [_change(reply) for reply in found]
            at, detail = int(found[0]) - 1, [_word(word) for word in found[1:]]
            whole_id = self._completed(detail[0]) if code == b"missing" else None
            if whole_id is None:
                what = spelled(updates[at], values[at])
                raise self._missing(what, detail[0]) if code == b"missing" else _refusal(text(code), what, detail)
            words = [whole_id if word == detail[0] and place % 3 != 1 else word for place, word in enumerate(words)]

    def _missing(self, what: str, word: str) -> NotFound:
        return NotFound(
            f"{what}: no experiment or job {word[:80]!r}.{self._close_to(word)}", "exs queue and exs list show them."
        )

    def _completed(self, word: str) -> str | None:
        """The id of the job that begins with `word`, where that is no id yet. Raises InputError if several do."""
        row = self._by_prefix(word) if is_beginning(word) else None
        return row.id if row else None


def spelled(update: Update, value: str = "") -> str:
    """The operation as `update-batch` takes it."""
    shown = update.value or value
    return f"{update.target[:80]}.{update.operation}" + (f"={shown[:80]}" if shown else "")


def _row(reply: Sequence[Any]) -> QueueRow:
    name, flat, acquired, needed, done = reply
    f = pairs(flat)
    return QueueRow(
        experiment=text(name),
        id=text(f.get("id")),
        user=text(f.get("user")),
        pool=text(f.get("pool")),
        priority=whole(f.get("priority")),
        weight=weight(f.get("weight")),
        created_at=whole(f.get("created")) / 1000,
        acquired=acquired,
        needed=needed,
        jobs=whole(f.get("jobs")),
        done=done,
        paused=f.get("paused") == b"1",
        preemptible=f.get("preemptible") != b"0",
    )


def _word(value: Any) -> str:
    return text(value) if isinstance(value, bytes) else str(value)


def _change(reply: Sequence[bytes]) -> Change:
    subject, operation, before, after, *notes = reply
    note = pairs([value if isinstance(value, bytes) else str(value).encode() for value in notes])
    return Change(
        subject=text(subject),
        operation=text(operation),
        before=text(before),
        after=text(after),
        pool=text(note["pool"]),
        fair_share=note["scheduler"] == b"fair_share",
        over=bool(note["over"]),
        beside=text(note.get("beside")),
        moved=bool(note.get("moved")),
        job=text(note.get("job")),
        first=bool(note.get("first")),
        running=whole(note.get("running")),
        workers=whole(note.get("workers")),
    )


# ------------------------------------------------------------------ what may be asked for


def _priority(value: str) -> str | None:
    return str(int(value)) if re.fullmatch(r"0*[1-9][0-9]?", value) else None


def _share(value: str) -> str | None:
    try:
        share = float(value)
    except ValueError:
        return None
    return f"{share:.15g}" if 0 < share <= WEIGHT_MOST else None


def _slots(value: str) -> str | None:
    if value in ("none", "null", ""):
        return ""
    return str(int(value)) if re.fullmatch(r"0*[1-9][0-9]{0,8}", value) else None


def _anchor(value: str) -> str | None:
    return value or None


def _flag(value: str) -> str | None:
    return "" if value in ("", "true", "yes") else None


#: Operation -> what its value must be in words, and what makes it the script's.
_VALUES: Mapping[str, tuple[str, Callable[[str], str | None]]] = {
    "priority": ("a whole number from 1 to 99, lower runs first", _priority),
    "weight": (f"a number above 0, at most {WEIGHT_MOST:,.0f}", _share),
    "resource-pool": ("the name of a pool", _anchor),
    "max-slots": ("a whole number from 1, or none", _slots),
    "ahead-of": ("another experiment or job", _anchor),
    "behind-of": ("another experiment or job", _anchor),
    "to-top": ("true", _flag),
}
OPERATIONS = tuple(_VALUES)


def _checked(update: Update, longest: int) -> str:
    """The value as update.lua takes it. Raises InputError."""
    what = spelled(update)
    if update.operation not in _VALUES:
        raise InputError(
            f"{what}: there is no operation {update.operation[:40]!r}.", f"There are: {', '.join(OPERATIONS)}."
        )
    needed, read = _VALUES[update.operation]
    value = read(update.value.strip())
    if value is None:
        raise InputError(f"{what}: {update.operation} takes {needed}.")
    if update.operation == "resource-pool":
        checked_name(value, longest, what, "name a pool")
    return value


def _refusal(code: str, what: str, found: Sequence[str]) -> InputError:
    if code == "pull":
        return InputError(f"{what}: {found[0]} is a pull experiment, which stands in the queue of no pool.")
    if code == "kinds":
        return InputError(
            f"{what}: one is an experiment and the other a job.", "Name two experiments, or two jobs of one."
        )
    if code == "apart":
        return InputError(f"{what}: {found[0]} and {found[1]} are jobs of two experiments, which are moved as a whole.")
    if code == "whole":
        return InputError(
            f"{what}: that is set for a whole experiment; of a job only the place can be changed.",
            f"exs update {found[1]}",
        )
    if code == "scheduler":
        return InputError(
            f"{what}: pool {found[0]} shares its slots by weight and has no order.",
            "Change the weight instead: --weight.",
        )
    if code == "elsewhere":
        name, pool, other, other_pool = found
        if other_pool.startswith(PULL_POOL):
            return InputError(f"{what}: {other} is a pull experiment, which stands in the queue of no pool.")
        return InputError(
            f"{what}: {name} is in pool {pool}, and {other} in pool {other_pool}.",
            f"Move it there first: exs update {name} --resource-pool {other_pool}",
        )
    if code == "pull":
        return InputError(f"{what}: {found[0]} is a pull experiment: its jobs are taken with next_job() and exs pull.")
    if code == "slots":
        return InputError(f"{what}: a job of {found[0]} takes {found[1]} slots, so that none could run.")
    raise AssertionError(code)
