"""Numbers over time as SVG and as text, for saved notebooks, exports and reports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.stream.text import WIDTH as COLUMNS
from ktrace_nb.stream.text import printable
from ktrace_nb.widgets.drawing import INK, WIDTH, bottom_axis, opening
from ktrace_nb.widgets.series_picture import Line, SeriesPicture, series_picture
from ktrace_nb.widgets.source import Window
from ktrace_nb.widgets.units import MISSING, Unit, format_quantity

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31", INK)
"""Of the palette of Okabe and Ito, but for its yellow and black, which white and dark paper swallow."""

DASHES = ("", "7 4", "2 4", "9 4 2 4", "14 5", "4 4", "1 4", "6 4 1 4 1 4")
"""Of the lines in the same order: told apart without colour too."""

_LEFT, _RIGHT, _TITLE, _PLOT, _AXIS, _ROW = 84, 16, 24, 200, 46, 18
_BLOCKS = "▁▂▃▄▅▆▇█"
_LONGEST_TITLE = 24
_UNITS: frozenset[str] = frozenset(Unit.__args__)  # type: ignore[attr-defined]  # typing gives a Literal's values so


def series_svg(frame: pd.DataFrame, *, name: str = "", unit: str = "") -> str:
    """Draw numbers over time as a stand-alone SVG document.

    The arguments are those of :func:`ktrace_nb.widgets.series_picture.series_picture`.

    Raises:
        ValueError: The frame has no ``at_s`` in its index, or no numbers.
    """
    return lines_svg(series_picture(frame, name=name, unit=unit))


def lines_svg(
    picture: SeriesPicture, picked: Sequence[bool] | None = None, window: Window | None = None
) -> str:
    """Draw a picture as a stand-alone SVG document.

    Args:
        picture: What to draw.
        picked: Of each line whether it is picked; None if none is.
        window: The time that is looked at, None for all.
    """
    head = _TITLE if picture.name else 4
    top = head + 18
    foot = top + _PLOT + _AXIS + _ROW * len(picture.lines)
    height = (foot + (_ROW if picture.note else 0) + 4) if picture.lines else head + 30
    lines = [opening(WIDTH, height)]
    if picture.name:
        lines.append(f'<text x="0" y="15" font-size="14" font-weight="600">{escape(picture.name)}</text>')
    if picture.lines:
        lines += _axes(picture, top)
        if window is not None:
            lines.append(_window(picture, top, window))
        for number, line in enumerate(picture.lines):
            faded = picked is not None and not picked[number]
            lines += _line(picture, line, top, number, faded=faded)
        for number, line in enumerate(picture.lines):
            lines += _legend(picture, line, top + _PLOT + _AXIS + _ROW * number + 12, number)
    if picture.note:
        y = foot + 12 if picture.lines else head + 18
        lines.append(f'<text x="{_LEFT if picture.lines else 0}" y="{y}">{escape(picture.note)}</text>')
    lines.append("</svg>")
    return "\n".join(lines)


def series_lines(picture: SeriesPicture) -> list[str]:
    """A picture as text of 80 columns: a row per line, with its numbers and its course in blocks."""
    if not picture.lines:
        return [picture.note]
    titles = [_short(line.title) for line in picture.lines]
    rows = [("", "last", "least", "mean", "most")]
    rows += [(title, *summary(line)) for title, line in zip(titles, picture.lines, strict=True)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    room = max(10, COLUMNS - sum(widths) - 2 * len(widths))
    said = []
    for number, row in enumerate(rows):
        cells = [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
        ]
        drawn = sparkline(picture.lines[number - 1].mean, room) if number else _span_text(picture)
        said.append("  ".join([*cells, drawn]).rstrip())
    return [*said, *([picture.note] if picture.note else [])]


def summary(line: Line) -> tuple[str, str, str, str]:
    """Latest, least, mean and greatest number of a line; without a unit every digit of them."""
    if not len(line.values):
        return (MISSING,) * 4
    numbers = [
        line.last,
        line.values.min(),
        float(np.mean(line.values.astype(np.float64))),
        line.values.max(),
    ]
    last, least, mean, most = (quantity(number, line.unit) for number in numbers)
    return last, least, mean, most


def quantity(value: Any, unit: str) -> str:
    """A number with its unit, which may be any word."""
    if unit in _UNITS:
        return format_quantity(value, unit)  # type: ignore[arg-type]  # mypy does not narrow str by `in`
    return f"{format_quantity(value, '')} {printable(unit)}"


def sparkline(values: NDArray[np.float64], width: int) -> str:
    """A course in blocks from 0, or what is below it, to its greatest; gaps are blank."""
    parts = np.array_split(values, min(width, len(values)))
    means = np.array([np.nan if np.isnan(part).all() else np.nanmean(part) for part in parts])
    if np.isnan(means).all():
        return ""
    low, high = min(0.0, float(np.nanmin(means))), float(np.nanmax(means))
    steps = (means - low) / ((high - low) or 1.0) * (len(_BLOCKS) - 1)
    return "".join(" " if np.isnan(step) else _BLOCKS[round(float(step))] for step in steps)


def _span_text(picture: SeriesPicture) -> str:
    return f"{picture.seen[0]:.6g} to {picture.seen[1]:.6g} s"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_TITLE else f"{text[: _LONGEST_TITLE - 3]}..."


def _x(picture: SeriesPicture, at: float) -> float:
    begin, end = picture.span
    return _LEFT + (at - begin) / (end - begin) * (WIDTH - _LEFT - _RIGHT)


def _y(picture: SeriesPicture, top: int, value: float) -> float:
    return top + _PLOT - (value - picture.bottom) / (picture.top - picture.bottom) * _PLOT


def _axes(picture: SeriesPicture, top: int) -> Iterator[str]:
    yield f'<text x="{_LEFT - 8}" y="{top - 11}" text-anchor="end">{escape(picture.value_label)}</text>'
    for tick in picture.value_ticks:
        y = _y(picture, top, tick.at)
        yield f'<path d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}" stroke="{INK}" stroke-opacity=".25"/>'
        yield f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(tick.label)}</text>'
    ticks = [(_x(picture, tick.at), tick.label) for tick in picture.ticks]
    yield from bottom_axis(_LEFT, WIDTH - _RIGHT, top + _PLOT, ticks, picture.axis_label)


def _window(picture: SeriesPicture, top: int, window: Window) -> str:
    begin, end = picture.span
    x0, x1 = (_x(picture, min(max(at, begin), end)) for at in window)
    return (
        f'<rect x="{x0:.1f}" y="{top}" width="{x1 - x0:.1f}" height="{_PLOT}" '
        f'fill="{INK}" fill-opacity=".15">'
        f"<title>window: {window[0]:.6g} to {window[1]:.6g} s</title></rect>"
    )


def _line(picture: SeriesPicture, line: Line, top: int, number: int, *, faded: bool) -> Iterator[str]:
    colour, opacity = COLOURS[number % len(COLOURS)], ' opacity=".3"' if faded else ""
    x = [_x(picture, at) for at in picture.at_s.tolist()]
    yield f'<g fill="none" stroke="{colour}" stroke-width="2" stroke-linecap="round"{opacity}>'
    yield f"<title>{escape(line.title)}</title>"
    for begin, end in _stretches(line.mean):
        if picture.banded:
            there = [f"{x[n]:.1f} {_y(picture, top, float(line.high[n])):.1f}" for n in range(begin, end)]
            back = [
                f"{x[n]:.1f} {_y(picture, top, float(line.low[n])):.1f}"
                for n in range(end - 1, begin - 1, -1)
            ]
            shape = "L".join([*there, *back])
            yield f'<path d="M{shape}Z" fill="{colour}" fill-opacity=".2" stroke="none"/>'
        points = "L".join(
            f"{x[n]:.1f} {_y(picture, top, float(line.mean[n])):.1f}" for n in range(begin, end)
        )
        dash = DASHES[number % len(DASHES)]
        dashed = f' stroke-dasharray="{dash}"' if dash and end - begin > 1 else ""
        # A single point is a dot: a line of no length with round ends.
        yield f'<path d="M{points}{"h0" if end - begin == 1 else ""}"{dashed}/>'
    yield "</g>"


def _stretches(values: NDArray[np.float64]) -> Iterator[tuple[int, int]]:
    """Where numbers are without a gap: from, and up to but not including."""
    known = np.concatenate([[False], ~np.isnan(values), [False]])
    edges = np.flatnonzero(known[1:] != known[:-1])
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def _legend(picture: SeriesPicture, line: Line, y: int, number: int) -> Iterator[str]:
    colour, dash = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    yield f'<path d="M{_LEFT} {y - 4}h32" stroke="{colour}" stroke-width="2"{dashed}/>'
    last, least, mean, most = summary(line)
    said = f"{line.title}: last {last}, least {least}, mean {mean}, most {most}"
    yield f'<text x="{_LEFT + 40}" y="{y}">{escape(said)}</text>'
