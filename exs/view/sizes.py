"""Sizes for people."""

from __future__ import annotations


def size(number: float) -> str:
    """`312 B`, `1.2 KiB`, `34 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" or number >= 99.5 else f"{number:.3g} {unit}"
        number /= 1024
    return f"{number:.3g} TiB"
