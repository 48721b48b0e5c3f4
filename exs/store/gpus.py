"""GPUs that get no job: somebody else computes on them, or they have failed. Said by agents, shown in lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from exs.rows import UnusedGpu
from exs.store import records
from exs.store.base import Base


class Gpus(Base):
    """What agents say of GPUs that they do not use."""

    def gpus_unused(self, node: str, why: Mapping[str, str], seconds: float) -> None:
        """These GPUs of a node get no job, and no others; believed for so long."""
        self._call("gpus_unused", node, seconds, *(word for pair in why.items() for word in pair))

    def unused_gpus(self) -> list[UnusedGpu]:
        """Every GPU that gets no job, by node and GPU."""
        return unused_from(self._call("unused_gpus"))


def unused_from(reply: Sequence[bytes]) -> list[UnusedGpu]:
    """What `unused_gpus.lua` answered."""
    words = [records.text(word) for word in reply]
    rows = [UnusedGpu(*words[at : at + 3]) for at in range(0, len(words), 3)]
    return sorted(rows, key=lambda row: (row.node, len(row.gpu), row.gpu))
