"""`exs update-batch`."""

from __future__ import annotations

from exs.cli.update import batch as command

__all__ = ["command"]
