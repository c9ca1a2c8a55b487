"""The timeline that stays: lanes condensed to a few hundred pixels, and the same as text.

Both draw the same :class:`Strip` per lane: how much of each stretch of time was busy, and with
what most. What overlaps in a lane counts once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.stream.histogram import nice_step
from ktrace_nb.stream.text import WIDTH, printable
from ktrace_nb.widgets.drawing import INK, image_html, opening
from ktrace_nb.widgets.source import ViewData
from ktrace_nb.widgets.ticks import time_label
from ktrace_nb.widgets.timeline_names import NAMELESS
from ktrace_nb.widgets.timeline_rows import MOST, Rows

LANES = 16
"""Lanes of a picture that stays, at most."""

BLOCKS = " ▁▂▃▄▅▆▇█"
RUNNING = "running"

_NAME, _STRIP = 20, 48
_LEFT, _RIGHT, _PIXELS = 150, 10, 560
_LANE, _STEP = 18, 24
_LEVELS = 5
_OWN_COLOURS = 6
"""Tasks of a lane that are told apart by colour; the others are grey."""


@dataclass(frozen=True, slots=True)
class Strip:
    """A lane, condensed."""

    name: str
    share: float
    """Of the whole time that something was going on in it."""

    busy: NDArray[np.float64]
    """The same of each stretch."""

    colours: list[str]
    """What took most of each stretch."""


@dataclass(frozen=True, slots=True)
class Strips:
    """All lanes over one span of time."""

    lanes: list[Strip]
    left_out: int
    start_ns: int
    """Since the origin."""
    end_ns: int


def strips(rows: Rows, width: int, most: int = LANES) -> Strips:
    """Condense the lanes.

    Args:
        rows: What is shown.
        width: Into so many stretches of time.
        most: So many lanes, those with most time first; CPUs by number.
    """
    if not len(rows):
        return Strips([], 0, 0, 0)
    ends = rows.ends
    first, last = int(rows.start.min()), int(ends.max())
    last = max(last, first + 1)
    lane = rows.numbers[rows.lane]
    kind = next((kind for kind in ("function", "task") if kind in rows.names), rows.lane)
    colour = rows.numbers[kind]
    entries, looks = rows.names[rows.lane].entries, rows.names[kind].entries
    shown = _busy(rows) & (lane >= 0) & (rows.depth == _outermost(rows, lane))
    time = np.bincount(lane[shown], (ends - rows.start)[shown], minlength=len(entries))
    named = np.unique(lane[lane >= 0])
    order = sorted(
        named.tolist(),
        key=lambda n: (entries[n].order is None, entries[n].order or 0.0, -float(time[n]), n),
    )
    edges = np.linspace(first, last, width + 1)
    lanes = []
    for number in order[:most]:
        own = np.flatnonzero(shown & (lane == number))
        covered, share = _covered(rows.start[own], ends[own], edges)
        per_colour = np.bincount(colour[own] + 1, (ends - rows.start)[own], minlength=1)
        largest = np.argsort(-per_colour, kind="stable")[:_OWN_COLOURS]
        main = largest[per_colour[largest] > 0].tolist()
        parts = [own[colour[own] + 1 == n] for n in main]
        shares = [_covered(rows.start[part], ends[part], edges)[0] for part in parts]
        hex_of = [looks[n - 1].colour if n else NAMELESS for n in main]
        if shares:
            table = np.array(shares)
            rest = covered - table.sum(axis=0)
            winner = np.where(rest > table.max(axis=0) + 1e-9, len(main), table.argmax(axis=0))
        else:
            winner = np.zeros(width, np.int64)
        colours = [[*hex_of, NAMELESS][n] for n in winner.tolist()]
        lanes.append(Strip(entries[number].name, share, covered, colours))
    return Strips(lanes, max(0, len(order) - most), first, last)


def _busy(rows: Rows) -> NDArray[np.bool_]:
    """All rows; where tasks that wait are told too, those that run."""
    if "state" in rows.names:
        names = [entry.name for entry in rows.names["state"].entries]
        if RUNNING in names:
            return np.asarray(rows.numbers["state"] == names.index(RUNNING))
    return np.ones(len(rows), bool)


def _outermost(rows: Rows, lane: NDArray[np.int32]) -> NDArray[np.uint8]:
    """The least depth in the lane of each row."""
    least = np.full(int(lane.max(initial=0)) + 2, 255, np.uint8)
    np.minimum.at(least, lane, rows.depth)
    return least[lane]


def _covered(
    start: NDArray[np.int64], end: NDArray[np.int64], edges: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """The share of each stretch, and of all, that lies in some of the spans; overlaps count once."""
    if not len(start):
        return np.zeros(len(edges) - 1), 0.0
    order = np.argsort(start, kind="stable")
    start, latest = start[order], np.maximum.accumulate(end[order])
    first = np.flatnonzero(np.append(True, start[1:] > latest[:-1]))
    since, until = start[first], latest[np.append(first[1:], len(start)) - 1]
    before = np.append(0, np.cumsum(until - since))
    at = np.searchsorted(since, edges)
    inside = np.minimum(edges, until[np.maximum(at, 1) - 1]) - since[np.maximum(at, 1) - 1]
    total = np.where(at > 0, before[np.maximum(at, 1) - 1] + inside, 0.0)
    return np.clip(np.diff(total) / np.diff(edges), 0, 1), float(total[-1] / (edges[-1] - edges[0]))


def remark(rows: Rows) -> str:
    """What of the frame is not shown, one line; empty if all is."""
    parts = []
    if rows.refused:
        what = "1 row" if rows.refused == 1 else f"{rows.refused:,} rows"
        parts.append(f"{what} left out: no start, or a negative duration")
    if rows.later:
        parts.append(f"{rows.later:,} rows after the first {MOST:,} not shown")
    return "; ".join(parts)


def _read(view: ViewData) -> Rows:
    rows = Rows(view.options.get("lane") or "cpu")
    rows.read(view.frame, view.options)
    return rows


def timeline_svg(frame: pd.DataFrame, *, lane: str = "cpu") -> str:
    """Draw a timeline as a stand-alone SVG document.

    The arguments are those of :func:`ktrace_nb.widgets.timeline`.

    Raises:
        ValueError: The frame is not what that asks for.
    """
    return _svg(_read(ViewData(name="", kind="timeline", frame=frame, generation=0, options={"lane": lane})))


def _svg(rows: Rows) -> str:
    all_lanes = strips(rows, _PIXELS)
    foot = _foot(rows, all_lanes)
    bottom = 4 + len(all_lanes.lanes) * _STEP
    height = bottom + (42 if all_lanes.lanes else 24) + (18 if foot else 0)
    lines = [opening(_LEFT + _PIXELS + _RIGHT, height)]
    if not all_lanes.lanes:
        lines.append('<text x="0" y="18">nothing ran yet</text>')
    for number, strip in enumerate(all_lanes.lanes):
        y = 4 + number * _STEP
        name = f"{_cut(strip.name)} {100 * strip.share:.0f} %"
        lines.append(f'<text x="{_LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>')
        lines.append(f'<path d="M{_LEFT} {y + _LANE}.5h{_PIXELS}" stroke="{INK}" stroke-opacity=".25"/>')
        lines += _bars(strip, y)
    if all_lanes.lanes:
        lines += _axis(all_lanes, bottom)
    if foot:
        lines.append(f'<text x="0" y="{height - 5}">{escape(foot)}</text>')
    lines.append("</svg>")
    return "\n".join(lines)


def _bars(strip: Strip, y: int) -> Iterator[str]:
    """Runs of pixels of the same look, a path for each look."""
    paths: dict[tuple[str, int], list[str]] = {}
    levels = np.ceil(strip.busy * _LEVELS).astype(int).tolist()
    begun = 0
    for x in range(1, len(levels) + 1):
        same = x < len(levels) and levels[x] == levels[begun] and strip.colours[x] == strip.colours[begun]
        if same:
            continue
        if levels[begun]:
            look = strip.colours[begun], levels[begun]
            paths.setdefault(look, []).append(f"M{_LEFT + begun} {y + _LANE / 2:g}h{x - begun}")
        begun = x
    for (colour, level), parts in paths.items():
        yield (
            f'<path d="{"".join(parts)}" stroke="{colour}" stroke-width="{_LANE}" '
            f'stroke-opacity="{0.15 + 0.85 * level / _LEVELS:.2f}"/>'
        )


def _axis(all_lanes: Strips, y: int) -> Iterator[str]:
    first, last = all_lanes.start_ns, all_lanes.end_ns
    step = nice_step(last - first, 6)
    yield f'<path d="M{_LEFT} {y}.5h{_PIXELS}" stroke="{INK}"/>'
    for at in range(-(-first // step) * step, last + 1, step):
        x = _LEFT + (at - first) / (last - first) * _PIXELS
        yield f'<path d="M{x:.1f} {y}v5" stroke="{INK}"/>'
        yield f'<text x="{x:.1f}" y="{y + 18}" text-anchor="middle">{time_label(at * 1e-9)}</text>'
    yield f'<text x="{_LEFT + _PIXELS / 2:.0f}" y="{y + 36}" text-anchor="middle">time</text>'


def _foot(rows: Rows, all_lanes: Strips) -> str:
    left_out = all_lanes.left_out
    more = f"{left_out:,} more {'lane' if left_out == 1 else 'lanes'} not drawn" if left_out else ""
    return "; ".join(part for part in (more, remark(rows)) if part)


def _cut(name: str, room: int = _NAME) -> str:
    return name if len(name) <= room else f"{name[: room - 1]}…"


def timeline_html(view: ViewData) -> str:
    """The picture that stays, as an ``<img>``.

    Raises:
        ValueError: The frame is not what :func:`ktrace_nb.widgets.timeline` asks for.
    """
    rows = _read(view)
    return image_html(_svg(rows), _text(rows, view.name))


def timeline_text(view: ViewData) -> str:
    """Lanes as strips of blocks in 80 columns, headed by the view's name.

    Raises:
        ValueError: The frame is not what :func:`ktrace_nb.widgets.timeline` asks for.
    """
    return _text(_read(view), view.name)


def _text(rows: Rows, name: str) -> str:
    lines = [printable(name)] if name else []
    all_lanes = strips(rows, _STRIP)
    if not all_lanes.lanes:
        lines.append("nothing ran yet")
    else:
        lines.append(f"{'':{_NAME}}  {'busy':>7}")
    for strip in all_lanes.lanes:
        bar = "".join(BLOCKS[n] for n in np.ceil(strip.busy * (len(BLOCKS) - 1)).astype(int).tolist())
        lines.append(f"{_cut(strip.name):{_NAME}}  {100 * strip.share:5.1f} % |{bar}|")
    if all_lanes.lanes:
        start, end = (time_label(at * 1e-9) for at in (all_lanes.start_ns, all_lanes.end_ns))
        lines.append(f"{'':{_NAME + 11}}{start}{end:>{_STRIP - len(start)}}")
    lines += [foot] if (foot := _foot(rows, all_lanes)) else []
    return "\n".join(line[:WIDTH].rstrip() for line in lines)
