"""Times for people (`3m ago`, `1h12m`) and for machines (ISO 8601, UTC)."""

from __future__ import annotations

import time
from functools import lru_cache


def duration(seconds: float) -> str:
    """A length of time in at most six characters: `0.4s`, `12s`, `4m05s`, `41m`, `1h12m`, `2d03h`."""
    if not 0 <= seconds < float("inf"):
        return "-"
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 10:
        return f"{minutes}m{rest:02d}s"
    if minutes < 60:
        return f"{minutes}m"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h{minutes:02d}m"
    days, hours = divmod(hours, 24)
    return f"{days}d{hours:02d}h" if days < 100 else f"{days}d"


def rough(seconds: float) -> str:
    """A guessed length of time, in whole seconds: `1s`, `12s`, `4m05s`."""
    return duration(max(1, round(seconds))).replace(".0s", "s")


def ago(then: float, now: float) -> str:
    """How long ago `then` was, both in Redis seconds: `now`, `12s ago`, `3m ago`, `5d ago`; "-" for never."""
    if not then:
        return "-"
    seconds = now - then
    if seconds < 1:
        return "now"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{unit} ago"
    return f"{int(seconds)}s ago"


def until(then: float, now: float) -> str:
    """How long from `now` until `then`: `12s`; "now" when that time has come."""
    return duration(round(then - now)).replace(".0s", "s") if then - now >= 0.5 else "now"


@lru_cache(100)  # the jobs of a push were all made at one time
def iso(seconds: float) -> str | None:
    """`seconds` since the epoch as ISO 8601 in UTC with milliseconds; None for 0.0, which means never."""
    if not seconds:
        return None
    whole, milli = divmod(round(seconds * 1000), 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{milli:03d}Z"


def utc(seconds: float) -> str:
    """`seconds` since the epoch in UTC: `2026-11-20 14:05:09`; "-" for never."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds)) if seconds else "-"


def clock(seconds: float) -> str:
    """`seconds` since the epoch in this machine's own time zone: `2026-11-20 14:05:09`; "-" for never."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else "-"


def clock_of_day(seconds: float, now: float) -> str:
    """`seconds` since the epoch in this machine's own time zone, with the date where it is not that of `now`."""
    then, today = time.localtime(seconds), time.localtime(now)
    same = (then.tm_year, then.tm_yday) == (today.tm_year, today.tm_yday)
    return time.strftime("%H:%M" if same else "%Y-%m-%d %H:%M", then)
