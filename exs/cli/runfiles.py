"""What stands in the run directories of jobs: read here, or asked of their nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from exs.cli.localfiles import LocalFiles
from exs.cli.session import host, settings
from exs.errors import ExsError
from exs.rows import JobRow, RunFiles

if TYPE_CHECKING:
    from exs.store.store import Store

#: Seconds that a node has to list the files of a job for a page that has much else to say.
_PATIENCE = 1.0


def run_files(store: Store, rows: Sequence[JobRow]) -> dict[str, tuple[RunFiles | None, str]]:
    """Job -> its files, or None and why they cannot be had. A node without a worker is not asked, a silent one once."""
    found: dict[str, tuple[RunFiles | None, str]] = {}
    nodes: set[str] | None = None
    for row in rows:
        if not row.node or not row.directory:
            continue
        here = LocalFiles.of(row, settings().limits.fetch_files) if row.node == host() else None
        try:
            if here is not None:
                found[row.id] = here.listed(), ""
                continue
            if nodes is None:
                nodes = {slot.node for slot in store.workers()}
            files = store.run_files(row.node, row.id, _PATIENCE) if row.node in nodes else None
        except ExsError as error:  # also of a reader, who may not ask
            found[row.id] = None, error.message
            continue
        if files is None:
            nodes.discard(row.node)
        found[row.id] = files, "" if files else f"only {row.node} can list them, and it does not answer"
    return found
