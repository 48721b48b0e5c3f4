"""Moments as people type them: `08:00`, the next time that clocks here show it, or a date with a time."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta

from exs.errors import InputError

_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?\Z")


def moment(text: str, where: str, now: datetime | None = None) -> float:
    """Seconds since the epoch of a local time of day, today or tomorrow, or of `2026-11-27 08:00`.

    Raises InputError that begins with `where` for what is neither, and for a date that is past.
    """
    now = now or datetime.now()
    found = _TIME.match(text.strip())
    if found:
        hour, minute, second = (int(part or 0) for part in found.groups())
        when = datetime.combine(now.date(), time(hour, minute, second))
        # In local time, so that the day on which clocks are put forward or back has it at the same hour.
        return (when if when > now else when + timedelta(days=1)).timestamp()
    try:
        there = datetime.fromisoformat(text.strip()) if ":" in text else None
    except ValueError:
        there = None
    if there is None:
        raise InputError(f"{where}: {text!r} is not a time.", "Write 08:00, or 2026-11-27 08:00.")
    if there.timestamp() <= now.timestamp():
        raise InputError(f"{where}: {text} is past.", "Write a time that is to come.")
    return there.timestamp()
