"""Drain and enable: nodes and slots that take no job, until somebody says that they shall."""

from __future__ import annotations

from collections.abc import Sequence

from exs.errors import InputError
from exs.rows import Drain
from exs.store import keys, records, slotrows
from exs.store.base import Base
from exs.store.connect import sentences
from exs.store.scripts import Arg

#: Characters of a reason; it stands in one line of a list.
_WHY = 200
#: Nodes or slots per script call: about 3 ms of Redis with 1000 slots.
_PLACES = 10


class Drainers(Base):
    """What keeps jobs from slots that live."""

    def drain(
        self, places: Sequence[str], by: str, *, why: str = "", grace: float | None = None, after_current: bool = False
    ) -> list[tuple[Drain, str]]:
        """Give these nodes (NODE) and slots (NODE:SUFFIX, at whatever start) no job from now on, until `enable`.

        What they run ends by itself, or is asked to stop after `grace` seconds; `after_current` takes such a time
        back. Said again it changes what is said anew. Each with "new", "changed" or "same". Raises InputError for
        a reason that is too long.
        """
        if len(why) > _WHY:
            raise InputError(f"the reason has {len(why)} characters, more than {_WHY}.", "Say it in one line.")
        wait: Arg = "-" if after_current else "" if grace is None else int(grace * 1000)
        words = (records.plain(by), records.plain(why), wait)
        batches = [places[at : at + _PLACES] for at in range(0, len(places), _PLACES)]
        replies = self._stream("drain", [(*words, *batch) for batch in batches])
        return [
            (slotrows.drain_from(place, record), records.text(what))
            for batch, reply in zip(batches, replies, strict=True)
            for place, what, record in zip(batch, reply[::2], reply[1::2], strict=True)
        ]

    def enable(self, places: Sequence[str]) -> list[Drain]:
        """Let these nodes, with all their slots, and slots take jobs again; what was drained until now."""
        batches = (places[at : at + _PLACES] for at in range(0, len(places), _PLACES))
        return [
            slotrows.drain_from(records.text(place), record)
            for reply in self._stream("enable", batches)
            for place, record in zip(reply[::2], reply[1::2], strict=True)
        ]

    def drains(self) -> list[Drain]:
        """Everything that is drained, by name."""
        with sentences(self._url):
            found = self._client.hgetall(keys.DRAINED)
        drains = [slotrows.drain_from(records.text(place), record) for place, record in found.items()]
        return sorted(drains, key=lambda drain: drain.place)
