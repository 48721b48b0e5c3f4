"""A plot as one HTML file that needs nothing else: the SVG with what each point is to point at, and the numbers."""

from __future__ import annotations

import html
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence

from exs.model import Json
from exs.view.plots.chart import Chart, Heatmap, Parallel, Plot, table
from exs.view.plots.picture import HIDDEN, Size, picture
from exs.view.text import shown

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
#: Rows of the table; `exs plot --json` has all.
_ROWS = 1000

# No script, and nothing is fetched: the policy says so to the browser as well.
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 15px/1.4 "DejaVu Sans", Verdana, sans-serif; color: #222;
  margin: 1.5em auto; max-width: 80em; padding: 0 1em }}
svg {{ width: 100%; height: auto }}
svg text {{ pointer-events: none }}
svg g[id^=hidden] use {{ opacity: 0 }}
svg g[id^=hidden] use:hover {{ opacity: 1 }}
svg g[id^=run-] path:hover {{ stroke-width: 3 }}
svg use:hover, svg g[id^=cell] path:hover, svg g[id^=line] path:hover {{ stroke: #000; stroke-width: 2 }}
table {{ border-collapse: collapse; font-size: 13px; margin-top: 1em }}
th, td {{ padding: .2em .9em; text-align: left; border-bottom: 1px solid #ddd }}
td.n {{ text-align: right; font-variant-numeric: tabular-nums }}
</style>
</head>
<body>
{svg}
<table>
<thead><tr>{header}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
{more}
</body>
</html>
"""


def page(plot: Plot, size: Size) -> bytes:
    """The file. Points, fields and lines say what they are where the pointer rests on them.

    Of curves every point does, although not every one has a marker: it appears where the pointer is.
    """
    header, rows = table(plot)
    more = f"<p>The first {_ROWS} of {len(rows)} rows; exs plot --json has all.</p>" if len(rows) > _ROWS else ""
    return _PAGE.format(
        title=html.escape(plot.title),
        svg=_with_titles(picture(plot, "svg", size, tips=True), dict(_titles(plot))),
        header="".join(f"<th>{html.escape(name)}</th>" for name in header),
        rows="\n".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows[:_ROWS]),
        more=more,
    ).encode()


def _cell(value: Json) -> str:
    if isinstance(value, float):
        return f'<td class="n">{value:.6g}</td>'
    return f"<td{' class=n' if isinstance(value, int) else ''}>{html.escape(shown(value))}</td>"


def _titles(plot: Plot) -> Iterator[tuple[str, Sequence[str]]]:
    """Name of a group in the SVG -> what its elements are, in their order."""
    if isinstance(plot, Chart):
        for number, group in enumerate(plot.groups):
            yield f"{HIDDEN if plot.band else 'points'}-{number}", [point.of for point in group.points]
            yield f"runs-{number}", [point.of for run in group.runs for point in run]
            for at, run in enumerate(group.runs):
                yield f"run-{number}-{at}", [run[0].of]
    elif isinstance(plot, Heatmap):
        for number, cell in enumerate(plot.cells):
            yield f"cell-{number}", [cell.of]
    elif isinstance(plot, Parallel):
        for number, line in enumerate(plot.lines):
            yield f"line-{number}", [line.of]


def _with_titles(svg: bytes, titles: Mapping[str, Sequence[str]]) -> str:
    """The SVG with a title in each of the elements that are named: a browser shows it as a tip."""
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", _XLINK)
    root = ET.fromstring(svg)
    for group in root.iter(f"{{{_SVG}}}g"):
        texts = titles.get(group.get("id", ""), ())
        marks = list(group.iter(f"{{{_SVG}}}use")) or list(group.iter(f"{{{_SVG}}}path"))
        if texts and len(texts) == 1:
            marks = [group]
        if len(marks) == len(texts):
            for mark, text in zip(marks, texts, strict=True):
                title = ET.Element(f"{{{_SVG}}}title")
                title.text = text
                mark.insert(0, title)
    for metadata in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(metadata)
    return ET.tostring(root, encoding="unicode")
