"""What a push did, in one line: `pushed resnet: +12 new  =40 done  ~3 crashed (exs retry resnet)`."""

from __future__ import annotations

from exs.answers import Pushed
from exs.model import Json
from exs.view.screen import Screen
from exs.view.text import safe


def summary(verb: str, pushed: Pushed, screen: Screen) -> str:
    """The line; `verb` is its first word. Counts of nothing are left out."""
    name = safe(pushed.experiment)
    parts = [screen.paint(f"+{pushed.new} new", "green" if pushed.new else "")]
    for number, text in (
        (pushed.forced, "^{n} run again"),
        (pushed.queued, "={n} in the queue"),
        (pushed.done, "={n} done"),
        (pushed.crashed, f"~{{n}} crashed (exs retry {name})"),
        (pushed.canceled, f"~{{n}} canceled (exs retry {name})"),
        (pushed.gone, "-{n} no longer in the file"),
    ):
        if number:
            parts.append(text.format(n=number))
    if pushed.duplicates:
        noun = "point" if pushed.duplicates == 1 else "points"
        parts.append(f"{pushed.duplicates} identical {noun} run once")
    return f"{verb} {screen.paint(name, 'bold')}: {'  '.join(parts)}"


def record(pushed: Pushed) -> dict[str, Json]:
    """The same for programs."""
    return {
        "experiment": pushed.experiment,
        "id": pushed.id or None,
        "new": pushed.new,
        "queued": pushed.queued,
        "done": pushed.done,
        "crashed": pushed.crashed,
        "canceled": pushed.canceled,
        "forced": pushed.forced,
        "gone": pushed.gone,
        "duplicates": pushed.duplicates,
    }
