"""`exs doctor`: findings under a heading each for Redis, this machine and the queue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from exs.answers import Finding, Severity
from exs.model import Json
from exs.view.screen import Screen
from exs.view.text import safe, width

_STYLE = {Severity.OK: "green", Severity.NOTE: "cyan", Severity.WARNING: "yellow", Severity.ERROR: "red"}
_MARGIN = max(len(severity.value) for severity in Severity) + 4
#: Narrower than this, a sentence is not folded any more.
_NARROWEST = 30
_FOLD = 100


@dataclass
class Page:
    """`headings`: what each part is about, in order; its findings have its key as `where`."""

    headings: Mapping[str, str]
    findings: Sequence[Finding]

    def lines(self, screen: Screen) -> Iterator[str]:
        for where, heading in self.headings.items():
            yield (screen.paint(f"{where:<{_MARGIN}}", "bold") + safe(heading)).rstrip()
            for finding in self._sorted(where):
                yield from _lines(finding, screen)
        yield self._verdict(screen)

    def document(self) -> Mapping[str, Json]:
        return {
            "worst": self.worst.value,
            "counts": {severity.value: self._count(severity) for severity in Severity},
            "about": {where: safe(heading) for where, heading in self.headings.items()},
            "findings": list(self.records()),
        }

    def records(self) -> Iterator[Mapping[str, Json]]:
        for where in self.headings:
            for finding in self._sorted(where):
                yield {
                    "where": where,
                    "severity": finding.severity.value,
                    "what": safe(finding.what),
                    "do": [safe(line) for line in finding.do.splitlines()],
                }

    def ids(self) -> Iterator[str]:
        return (f"{finding.severity.value}: {finding.what}" for finding in self.findings if finding.severity in _BAD)

    @property
    def worst(self) -> Severity:
        """The severity of the whole."""
        order = list(Severity)
        return max((finding.severity for finding in self.findings), key=order.index, default=Severity.OK)

    def _sorted(self, where: str) -> list[Finding]:
        """The worst first, else in the order of the checks."""
        order = list(Severity)
        here = [finding for finding in self.findings if finding.where == where]
        return sorted(here, key=lambda finding: -order.index(finding.severity))

    def _count(self, severity: Severity) -> int:
        return sum(finding.severity is severity for finding in self.findings)

    def _verdict(self, screen: Screen) -> str:
        counted = [(self._count(severity), severity) for severity in (Severity.ERROR, Severity.WARNING)]
        words = [f"{count} {severity.value}{'s' if count > 1 else ''}" for count, severity in counted if count]
        return screen.paint(", ".join(words) or "all is well", _STYLE[self.worst] if words else "green")


_BAD = (Severity.ERROR, Severity.WARNING)


def _lines(finding: Finding, screen: Screen) -> Iterator[str]:
    """The sentence, folded beside its severity, and what to type below it on lines that can be copied whole."""
    room = max(_NARROWEST, (screen.width or _FOLD) - _MARGIN)
    head = screen.paint(f"  {finding.severity.value:<{_MARGIN - 2}}", _STYLE[finding.severity])
    for line in _folded(safe(finding.what), room):
        yield head + line
        head = " " * _MARGIN
    for line in finding.do.splitlines():
        yield head + (safe(line[2:]) if line.startswith("# ") else f"$ {safe(line)}")  # a remark is not typed


def _folded(text: str, room: int) -> Iterator[str]:
    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if line and width(longer) > room:
            yield line
            line = word
        else:
            line = longer
    yield line
