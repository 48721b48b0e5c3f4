"""What a benchmark found: figures, each beside what it is compared with, as an aligned table or as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Figure:
    """One number. `ratio`: to `of`, which was measured in the same run. `most`, `least`: the goal it is to meet."""

    what: str
    value: float
    unit: str
    ratio: float | None = None
    of: str = ""
    most: float | None = None
    least: float | None = None
    most_ratio: float | None = None
    least_ratio: float | None = None

    @property
    def goal(self) -> str:
        """The goal in words."""
        goals = [
            (sign, bound, name)
            for sign, bound, name in (
                ("<=", self.most, ""),
                (">=", self.least, ""),
                ("<=", self.most_ratio, "x"),
                (">=", self.least_ratio, "x"),
            )
            if bound is not None
        ]
        return ", ".join(f"{sign} {spelled(bound)}{name}" for sign, bound, name in goals)

    @property
    def met(self) -> bool:
        """True unless a goal is missed."""
        ratio = self.ratio or 0.0
        return not (
            (self.most is not None and self.value > self.most)
            or (self.least is not None and self.value < self.least)
            or (self.most_ratio is not None and ratio > self.most_ratio)
            or (self.least_ratio is not None and ratio < self.least_ratio)
        )


@dataclass
class Report:
    """The figures of one benchmark, and what a reader must know about them."""

    title: str
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, what: str, value: float, unit: str, **more: object) -> None:
        """One figure more; `more` as in Figure."""
        self.figures.append(Figure(what, value, unit, **more))  # type: ignore[arg-type]

    def record(self) -> dict[str, object]:
        """For --json."""
        found = [asdict(figure) | {"met": figure.met} for figure in self.figures]
        return {"title": self.title, "figures": found, "notes": self.notes}

    def text(self) -> str:
        """For people."""
        rows = [
            (
                figure.what,
                spelled(figure.value),
                figure.unit,
                f"{figure.ratio:.3g}x of {figure.of}" if figure.ratio is not None else "",
                f"{figure.goal}: {'met' if figure.met else 'MISSED'}" if figure.goal else "",
            )
            for figure in self.figures
        ]
        return "\n".join([self.title, *aligned(rows, right=(1,)), *(f"  ({note})" for note in self.notes)])


def spelled(value: float) -> str:
    """Three digits that count."""
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.3g}"


def aligned(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Rows as lines of equal columns; those of `right` stand at the right edge of theirs."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)] if rows else []
    return [
        "  "
        + "  ".join(
            cell.rjust(width) if at in right else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
