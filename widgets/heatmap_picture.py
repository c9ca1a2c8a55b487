"""A histogram over time as SVG, as a small table and as text, for saved notebooks and reports."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.stream.text import WIDTH as TEXT_WIDTH
from ktrace_nb.stream.text import bounds_label, printable
from ktrace_nb.widgets.drawing import INK, WIDTH, image_html, opening
from ktrace_nb.widgets.heatgrid import Grid, condensed, heat_grid, span_label
from ktrace_nb.widgets.source import ViewData
from ktrace_nb.widgets.ticks import count_label, time_label

COLUMNS = 120
"""A picture shows so many intervals at most; neighbours are added up."""

FILLS = ("#cfe0f1", "#9fcae4", "#64a9d3", "#3182bd", "#0b559f", "#08306b")
"""By counts per second, least to most; told apart by lightness alone, so also without colour vision."""

PAPER = "#ffffff"
"""Behind the cells: their lightness means something on a light ground only."""

SHADES = "·░▒▓█"
"""The same as characters; a blank is a cell in which nothing was counted."""

TABLE_ROWS = 8
_LEFT, _RIGHT, _TITLE, _AXIS, _LEGEND = 84, 16, 24, 46, 24
_CLOCK = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 21600, 43200, 86400)


def heatmap_svg(frame: pd.DataFrame, *, title: str = "", scale: str = "log2", unit: str = "") -> str:
    """Draw a histogram over time as a stand-alone SVG document.

    Args:
        frame: As :func:`ktrace_nb.stream.intervals.intervals_of` takes it.
        title: What was measured.
        scale: Of the buckets, ``"log2"`` or ``"linear"``.
        unit: Unit of the value where the frame's columns do not name it.

    Raises:
        ValueError: The frame is not a histogram over time, or there is no such scale.
    """
    options = {"scale": scale, "unit": unit}
    return grid_svg(
        heat_grid(ViewData(name=title, kind="heatmap", frame=frame, generation=0, options=options))
    )


def heatmap_html(view: ViewData) -> str:
    """The picture that stays: an ``<img>``, and the buckets that counted most as a table.

    Raises:
        ValueError: The frame is not a histogram over time, or there is no such scale.
    """
    grid = heat_grid(view)
    image = image_html(grid_svg(grid, headed=False), grid_text(grid))
    return "\n".join([image, *_table(grid)])


def heatmap_text(view: ViewData) -> str:
    """The same as text of 80 columns, headed by the view's name.

    Raises:
        ValueError: The frame is not a histogram over time, or there is no such scale.
    """
    return grid_text(heat_grid(view))


def shades(per_s: NDArray[np.float64], steps: int) -> tuple[NDArray[np.int64], tuple[float, ...]]:
    """Sort rates into steps that are alike in their logarithm.

    Args:
        per_s: Rates; 0 is in no step.
        steps: How many there are.

    Returns:
        The step of each rate, -1 for 0, and the rate at which each step begins.
    """
    some = per_s[per_s > 0]
    if not len(some):
        return np.full(per_s.shape, -1), ()
    most = float(some.max())
    # Less than a millionth of the most is as good as nothing.
    least = max(float(some.min()), most / 1e6)
    ratio = (most / least) ** (1 / steps) if most > least else 1.0
    starts = tuple(least * ratio**step for step in range(steps))
    if ratio == 1.0:
        return np.where(per_s > 0, steps - 1, -1), starts
    with np.errstate(divide="ignore"):
        step = np.floor(np.log(per_s / least) / math.log(ratio) + 1e-9)
    return np.where(per_s > 0, np.clip(step, 0, steps - 1), -1).astype(np.int64), starts


def time_ticks(from_s: float, to_s: float, most: int) -> list[tuple[float, str]]:
    """Round moments and their labels, in the unit that suits their distance."""
    wanted = (to_s - from_s) / max(most, 1)
    power = 10.0 ** math.floor(math.log10(wanted) + 1e-9)
    steps: Sequence[float] = [factor * power for factor in (1, 2, 5, 10)] if wanted <= 1 else _CLOCK
    step = next((step for step in steps if step >= wanted * (1 - 1e-9)), 86400 * math.ceil(wanted / 86400))
    size, unit = next(
        (
            each
            for each in ((3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs"))
            if step >= each[0]
        ),
        (1e-9, "ns"),
    )
    numbers = range(math.ceil(from_s / step - 1e-9), math.floor(to_s / step + 1e-9) + 1)
    return [(n * step, f"{n * step / size:,.9g} {unit}" if n else "0") for n in numbers]


def grid_svg(grid: Grid, *, headed: bool = True) -> str:
    """Draw a grid as a stand-alone SVG document."""
    rows = len(grid.rows)
    head = _TITLE if headed and grid.title else 2
    tall = max(150, min(320, rows * 11))
    drawn = rows > 0 and grid.columns > 0
    height = head + (20 + tall + _AXIS + _LEGEND if drawn else 0) + 22
    lines = [opening(WIDTH, height)]
    if head == _TITLE:
        lines.append(f'<text x="0" y="15" font-size="14" font-weight="600">{escape(grid.title)}</text>')
    if drawn:
        lines += _plot(grid, head + 20, tall)
    lines.append(f'<text x="0" y="{height - 7}">{escape(grid.foot())}</text>')
    return "\n".join([*lines, "</svg>"])


def _plot(grid: Grid, top: int, tall: int) -> Iterator[str]:
    edges, counts = condensed(grid.edges, grid.counts, COLUMNS)
    step, starts = shades(counts / np.diff(edges)[:, None], len(FILLS))
    wide, bottom, rows = WIDTH - _LEFT - _RIGHT, top + tall, len(grid.rows)
    span = float(edges[-1] - edges[0])
    x = np.round(_LEFT + (edges - edges[0]) / span * wide, 1)
    y = [bottom - round(tall * row / rows) for row in range(rows + 1)]
    yield f'<text x="0" y="{top - 8}">{escape(grid.rows.label)}</text>'
    yield f'<rect x="{_LEFT}" y="{top}" width="{wide}" height="{tall}" fill="{PAPER}"/>'
    for shade, fill in enumerate(FILLS):
        path = "".join(_runs(step == shade, x, y))
        if path:
            yield f'<path fill="{fill}" d="{path}"/>'
    last = float("inf")
    for tick in grid.rows.ticks:
        at = bottom - tall * tick.at / rows
        if top - 1 <= at <= bottom + 1 and last - at >= 14:
            last = at
            yield f'<path d="M{_LEFT - 5} {at:.1f}h5" stroke="{INK}"/>'
            yield f'<text x="{_LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{escape(tick.label)}</text>'
    for moment, label in time_ticks(float(edges[0]), float(edges[-1]), 7):
        at = _LEFT + (moment - float(edges[0])) / span * wide
        yield f'<path d="M{at:.1f} {bottom}v5" stroke="{INK}"/>'
        yield f'<text x="{min(at, WIDTH - 18):.1f}" y="{bottom + 18}" text-anchor="middle">{label}</text>'
    middle = _LEFT + wide / 2
    yield f'<text x="{middle:.0f}" y="{bottom + 37}" text-anchor="middle">time since the start</text>'
    yield from _legend(starts, bottom + _AXIS + 6)


def _runs(cells: NDArray[np.bool_], x: NDArray[np.float64], y: list[int]) -> Iterator[str]:
    """Cells of one shade as boxes, neighbours in time as one."""
    for row in np.flatnonzero(cells.any(axis=0)).tolist():
        changes = np.flatnonzero(np.diff(np.concatenate([[False], cells[:, row], [False]])))
        for first, end in changes.reshape(-1, 2).tolist():
            left, width = float(x[first]), float(x[end] - x[first])
            yield f"M{left:g} {y[row + 1]}h{width:.4g}V{y[row]}h{-width:.4g}z"


def _legend(starts: tuple[float, ...], top: int) -> Iterator[str]:
    if not starts:
        return
    yield f'<text x="{_LEFT}" y="{top + 11}">count per second from</text>'
    x = _LEFT + 148
    for fill, start in zip(FILLS, starts, strict=True):
        if starts[0] == starts[-1] and fill != FILLS[-1]:
            continue
        yield f'<rect x="{x}" y="{top}" width="18" height="13" fill="{fill}"/>'
        yield f'<text x="{x + 22}" y="{top + 11}">{rate_label(start)}</text>'
        x += 74


def rate_label(per_s: float) -> str:
    """A rate in three digits: ``0.25``, ``12.5``, ``150k``."""
    rounded = float(f"{per_s:.3g}")
    return count_label(rounded) if rounded < 1000 else count_label(rounded, largest=max(rounded, 100_000))


def _table(grid: Grid) -> Iterator[str]:
    """The buckets that counted most, with when they did."""
    totals = [sum(column) for column in grid.counts.T.tolist()]
    largest = sorted((row for row, total in enumerate(totals) if total), key=lambda row: -totals[row])
    shown = sorted(largest[:TABLE_ROWS], reverse=True)
    if not shown:
        return
    per_s = grid.per_s
    yield '<table><thead><tr><th align="left">value</th><th align="right">count</th>'
    yield '<th align="right">most per second</th><th align="right">at</th></tr></thead><tbody>'
    for row in shown:
        best = int(per_s[:, row].argmax())
        cells = (f"{totals[row]:,}", rate_label(float(per_s[best, row])), time_label(float(grid.edges[best])))
        yield f'<tr><td align="left">{escape(grid.rows.bounds(row))}</td>'
        yield "".join(f'<td align="right">{cell}</td>' for cell in cells) + "</tr>"
    yield "</tbody></table>"
    if len(largest) > len(shown):
        yield f"<p>{len(largest) - len(shown):,} more not in the table</p>"


def grid_text(grid: Grid, width: int = TEXT_WIDTH) -> str:
    """Draw a grid with a line per row and a character per column, headed by its name."""
    head = ", ".join(part for part in (grid.title, printable(grid.rows.unit)) if part)
    head = f"{head}: {grid.foot()}" if head else grid.foot()
    if not grid.columns or not grid.total:
        return head
    labels = [_row_label(grid, row) for row in range(len(grid.rows))]
    margin = max(map(len, labels)) + 2
    edges, counts = _fitted(grid.edges, grid.counts, max(10, width - margin - 3))
    step, starts = shades(counts / np.diff(edges)[:, None], len(SHADES))
    marks = np.array([*SHADES, " "])  # -1 is the last
    lines = [head]
    for row in reversed(range(len(labels))):
        lines.append(f"{labels[row]:>{margin}} |{''.join(marks[step[:, row]])}|")
    begin, end = (_moment(float(edge)) for edge in (edges[0], edges[-1]))
    room = len(counts) + 2
    lines.append(f"{'':{margin}} {begin}{end:>{max(room - len(begin), len(end) + 1)}}")
    one = len(set(starts)) == 1
    said = [(SHADES[-1], starts[-1])] if one else list(zip(SHADES, starts, strict=True))
    lines.append("  per second: " + "  ".join(f"{mark} {rate_label(start)}" for mark, start in said))
    return "\n".join(lines)


def _row_label(grid: Grid, row: int) -> str:
    return bounds_label(grid.rows.lows[row], grid.rows.highs[row])


def _moment(seconds: float) -> str:
    return span_label(seconds) if seconds else "0"


def _fitted(
    edges: NDArray[np.float64], counts: NDArray[np.uint64], room: int
) -> tuple[NDArray[np.float64], NDArray[np.uint64]]:
    """Columns equally long as far as intervals allow it, no more than there is room for."""
    if len(counts) <= room:
        return edges, counts
    middles = (edges[1:] + edges[:-1]) / 2
    place = np.minimum(((middles - edges[0]) / (edges[-1] - edges[0]) * room).astype(np.int64), room - 1)
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    return np.append(edges[:-1][starts], edges[-1]), np.add.reduceat(counts, starts, axis=0)
