"""Jobs that have told metrics, as a slot tells them."""

from __future__ import annotations

from typing import Any

from cli.lab import Lab
from exs.model import Claim


def tell(lab: Lab, claim: Claim, **losses: list[float]) -> None:
    """What the slot that runs `claim` says of the series of its metrics."""
    told: dict[str, Any] = {}
    for name, values in losses.items():
        pairs = [[step, value] for step, value in enumerate(values, 1)]
        low, high = min(pairs, key=lambda pair: pair[1]), max(pairs, key=lambda pair: pair[1])
        summary = {"n": len(pairs), "first": pairs[0], "last": pairs[-1], "min": low, "max": high, "every": 1}
        told[name] = [summary, 0, "".join(f"{step} {value}\n" for step, value in pairs)]
    last = {name: values[-1] for name, values in losses.items()}
    lab.store.report(claim.job, claim.attempt, {"whole": True, "metrics": told, "last": last})
