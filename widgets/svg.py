"""Histograms as SVG, for saved notebooks, exports and reports.

Written out by hand: a picture takes a fraction of a millisecond, needs no open
page, and looks like the live one because both draw the same
:class:`~ktrace_nb.widgets.chart.Picture`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Literal

import pandas as pd

from ktrace_nb.widgets.chart import Chart, Picture, histogram_picture
from ktrace_nb.widgets.drawing import INK, WIDTH, bottom_axis, opening

BAR = "#3182bd"
"""Told from the ink by lightness alone, so also without colour vision."""

PICKED = "#d55e00"
"""Vermilion of the palette of Okabe and Ito, told from the others by lightness too."""

OTHER = "#9ec1dd"
"""Of a bar that is not picked, where one is."""

_LEFT, _RIGHT, _TITLE, _AXIS = 64, 16, 24, 46


def chart_height(count: int) -> int:
    """Pixels of height for the bars of each of ``count`` charts."""
    return 200 if count == 1 else 130 if count == 2 else 90


def histogram_svg(
    frame: pd.DataFrame,
    *,
    name: str = "",
    scale: Literal["log2", "linear"] = "log2",
    unit: str = "",
    label: str = "",
) -> str:
    """Draw a histogram frame as a stand-alone SVG document.

    The arguments are those of :func:`ktrace_nb.widgets.chart.histogram_picture`.

    Raises:
        ValueError: The frame is not a histogram, or there is no such scale.
    """
    return picture_svg(histogram_picture(frame, name=name, scale=scale, unit=unit, label=label))


def picture_svg(picture: Picture, picked: Sequence[Sequence[int]] = ()) -> str:
    """Draw a picture as a stand-alone SVG document.

    Args:
        picture: What to draw.
        picked: Per chart the numbers of the bars that are picked; none anywhere, and all look alike.
    """
    count = len(picture.charts)
    bars_height = chart_height(count)
    head = _TITLE if picture.name else 4
    # Charts with a title of their own need a line above their bars.
    step = bars_height + (34 if count > 1 or (count and picture.charts[0].title) else 26)
    foot = _AXIS + (18 if picture.left_out else 0)
    height = head + (count * step + foot if count else 30)
    lines = [opening(WIDTH, height)]
    if picture.name:
        lines.append(f'<text x="0" y="15" font-size="14" font-weight="600">{escape(picture.name)}</text>')
    if not count:
        lines.append(f'<text x="0" y="{head + 18}">nothing counted yet</text>')
    fills = [_fills(picture, bars, some=any(picked)) for bars in picked or [()] * count]
    for number, chart in enumerate(picture.charts):
        bottom = head + (number + 1) * step
        lines += _chart(picture, chart, bottom, bars_height, fills[number])
        if number == 0:
            y = bottom - bars_height - 11
            lines.append(f'<text x="{_LEFT - 8}" y="{y}" text-anchor="end">count</text>')
    if count:
        ticks = [(_x(picture, tick.at), tick.label) for tick in picture.ticks]
        lines += bottom_axis(_LEFT, WIDTH - _RIGHT, head + count * step, ticks, picture.axis_label)
    if picture.left_out:
        lines.append(f'<text x="{_LEFT}" y="{height - 6}">{picture.left_out:,} more not drawn</text>')
    lines.append("</svg>")
    return "\n".join(lines)


def _x(picture: Picture, at: float) -> float:
    first, last = picture.span
    return _LEFT + (at - first) / (last - first) * (WIDTH - _LEFT - _RIGHT)


def _fills(picture: Picture, picked: Sequence[int], *, some: bool) -> list[str]:
    """The colour of each bar of a chart."""
    chosen = set(picked)
    return [PICKED if bar in chosen else OTHER if some else BAR for bar in range(len(picture.labels))]


def _chart(picture: Picture, chart: Chart, bottom: int, height: int, fills: Sequence[str]) -> Iterator[str]:
    total = f"total {chart.total:,}"
    title = f"{chart.title} · {total}" if chart.title else total
    anchor = f'x="{_LEFT}"' if chart.title else f'x="{WIDTH - _RIGHT}" text-anchor="end"'
    yield f'<text {anchor} y="{bottom - height - 11}">{escape(title)}</text>'
    for tick in chart.ticks:
        y = bottom - tick.at / chart.top * height
        yield f'<path d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}" stroke="{INK}" stroke-opacity=".25"/>'
        yield f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(tick.label)}</text>'
    unit = escape(picture.unit and f" {picture.unit}")
    fill = max(fills, key=fills.count)
    yield f'<g fill="{fill}">'
    bars = zip(picture.left_edges, chart.counts.tolist(), picture.labels, fills, strict=True)
    for left, count, name, own in bars:
        if count:
            x0, x1 = _x(picture, float(left)) + 1, _x(picture, float(left) + 1) - 1
            # A single count among millions is still seen: a bar is a pixel at least.
            pixels = max(1.0, float(count) / chart.top * height)
            other = f' fill="{own}"' if own != fill else ""
            yield (
                f'<rect x="{x0:.1f}" y="{bottom - pixels:.1f}" width="{x1 - x0:.1f}" '
                f'height="{pixels:.1f}"{other}><title>{escape(name)}{unit}: {count:,}</title></rect>'
            )
    yield "</g>"
