"""--sample and its seed, for dialects whose files do not speak of sampling."""

from __future__ import annotations

from exs.errors import InputError
from exs.sweep.context import Context


def sampling(context: Context) -> tuple[int | None, int]:
    """Random points per document, None for all, and the seed; 0 if none is given, so that a re-push draws the same.

    Raises InputError for a number of points that cannot be.
    """
    sample, limit = context.options.sample, context.limits.sweep_jobs
    if sample is not None and not 1 <= sample <= limit:
        raise InputError(f"--sample must be from 1 to {limit:,}, not {sample}.")
    return sample, context.options.seed or 0
