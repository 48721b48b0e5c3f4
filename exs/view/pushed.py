"""What a push did, in one line: `pushed resnet: +12 new  =40 done  ~3 crashed (exs retry resnet)`."""

from __future__ import annotations

from exs.answers import OlderCode, Pushed
from exs.model import Json
from exs.view.screen import Screen
from exs.view.text import safe


def summary(verb: str, pushed: Pushed, screen: Screen) -> str:
    """The line; `verb` is its first word. Counts of nothing are left out."""
    name = safe(pushed.experiment)
    parts = [screen.paint(f"+{pushed.new} new", "green" if pushed.new else "")]
    older, retry = pushed.older or OlderCode(), f"exs retry {name}"
    for number, text, *remarks in (
        (pushed.forced, "^{n} run again"),
        (pushed.queued, "={n} in the queue", _of(older.queued)),
        (pushed.done, "={n} done", _of(older.done)),
        (pushed.crashed, "~{n} crashed", _of(older.crashed), retry),
        (pushed.canceled, "~{n} canceled", _of(older.canceled), retry),
        (pushed.gone, "-{n} no longer in the file"),
    ):
        if number:
            said = "; ".join(filter(None, remarks))
            parts.append(text.format(n=number) + (f" ({said})" if said else ""))
    if pushed.duplicates:
        noun = "point" if pushed.duplicates == 1 else "points"
        parts.append(f"{pushed.duplicates} identical {noun} run once")
    return f"{verb} {screen.paint(name, 'bold')}: {'  '.join(parts)}"


def kept_resources(pushed: Pushed) -> str:
    """That jobs which are not over keep others than the file asks for now, and what to do; "" where there are none."""
    if not pushed.other_resources:
        return ""
    name, n = safe(pushed.experiment), pushed.other_resources
    keep = f"{n} job that is there keeps" if n == 1 else f"{n} jobs that are there keep"
    return f"{keep} other resources than are asked for now: exs rm {name} --status queued,crashed, and push again"


def _of(older: int) -> str:
    return f"{older} with older code" if older else ""


def record(pushed: Pushed) -> dict[str, Json]:
    """The same for programs. `older`: how many of each count are of older code, None where no code travels."""
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
        "older": vars(pushed.older) if pushed.older else None,
        "other_resources": pushed.other_resources,
    }
