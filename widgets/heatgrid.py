"""What a heat map looks like, before anybody draws it: its rows, its columns and what is in each cell.

The live view (a canvas), the picture that stays (SVG) and the text draw the same
:class:`Grid`. A row is a bucket; of a linear histogram with more buckets than can be
told apart several neighbours. Row 0 is at the bottom.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.stream.histogram import hist_columns, is_log2, log2_bounds, nice_step
from ktrace_nb.stream.intervals import OverTime, intervals_of, moments_of
from ktrace_nb.stream.text import printable
from ktrace_nb.widgets.source import ViewData
from ktrace_nb.widgets.ticks import SECONDS, Tick, linear_ticks, log2_ticks, time_label

MOST_ROWS = 64
"""More rows of a linear histogram cannot be told apart."""

MOST_COLUMNS = 1000
"""More intervals than that are added up two by two, four by four ..."""

LEAST_ROWS = {"log2": 8, "linear": 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The axis of values."""

    lows: tuple[int, ...]
    """Lowest value of each row, inclusive, from the bottom up."""

    highs: tuple[int, ...]
    """Highest value of each row, inclusive."""

    ticks: tuple[Tick, ...]
    """``at`` counts rows from the bottom."""

    label: str
    unit: str

    def __len__(self) -> int:
        return len(self.lows)

    def bounds(self, row: int) -> str:
        """The values of a row in words, exact."""
        return bounds_said(self.lows[row], self.highs[row], self.unit)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grid:
    """A histogram over time, as rows and columns."""

    title: str
    rows: Rows
    edges: NDArray[np.float64]
    """Seconds: column ``n`` is from ``edges[n]`` to ``edges[n + 1]``."""

    counts: NDArray[np.uint64]
    """A row per column of the picture, so that what is new comes last."""

    total: int
    notes: tuple[str, ...]

    @property
    def columns(self) -> int:
        """How many there are."""
        return len(self.edges) - 1

    @property
    def per_s(self) -> NDArray[np.float64]:
        """Counts per second, shaped as ``counts``."""
        return self.counts / np.diff(self.edges)[:, None]

    def foot(self) -> str:
        """What is said below it."""
        if not self.columns or not self.total:
            return " · ".join(["nothing counted yet", *self.notes])
        seconds = span_label(float(self.edges[-1] - self.edges[0]))
        return " · ".join([f"{self.total:,} counted in {seconds}", *self.notes])


def heat_grid(view: ViewData) -> Grid:
    """Lay a heat map's frame out as its options ask.

    Raises:
        ValueError: The frame is not a histogram over time, or there is no such scale.
    """
    over = intervals_of(view.frame)
    rows, place = rows_of(over, view.options.get("scale", "log2"), over.unit or view.options.get("unit", ""))
    counts = over.counts
    if len(place) != len(rows) or (place != np.arange(len(rows))).any():
        counts = np.zeros((len(over.counts), len(rows)), dtype=np.uint64)
        np.add.at(counts.T, place, over.counts.T)
    edges, counts = condensed(over.edges, counts, MOST_COLUMNS)
    return Grid(
        title=printable(view.name),
        rows=rows,
        edges=edges,
        counts=counts,
        total=over.total(),
        notes=tuple(map(printable, over.notes)),
    )


def condensed(
    edges: NDArray[np.float64], counts: NDArray[np.uint64], most: int
) -> tuple[NDArray[np.float64], NDArray[np.uint64]]:
    """Add up neighbouring columns, 2, 4, 8 ... of them, until there are few enough.

    Counted from the first, so that columns stay what they are while more come.
    """
    by = 1
    while len(counts) > by * most:
        by *= 2
    if by == 1:
        return edges, counts
    starts = np.arange(0, len(counts), by)
    return np.append(edges[:-1][starts], edges[-1]), np.add.reduceat(counts, starts, axis=0)


def rows_of(over: OverTime, scale: str, unit: str) -> tuple[Rows, NDArray[np.intp]]:
    """The axis of values, and the row of each bucket.

    Raises:
        ValueError: There is no such scale, or the buckets are not of it.
    """
    if scale not in LEAST_ROWS:
        raise ValueError(f"scale {scale!r}, wanted 'log2' or 'linear'")
    if not len(over.bucket):
        return Rows(lows=(), highs=(), ticks=(), label="", unit=unit), np.empty(0, dtype=np.intp)
    return _log2_rows(over, unit) if scale == "log2" else _linear_rows(over, unit)


def _log2_rows(over: OverTime, unit: str) -> tuple[Rows, NDArray[np.intp]]:
    numbers = over.bucket
    if not is_log2(numbers):
        raise ValueError(
            f"bucket numbers from {numbers[0]} to {numbers[-1]}, wanted 0 to 64; "
            "scale='linear' is for all others"
        )
    # Bucket 1 means 0 to 1 where bcc filled it; so it is taken to be where the frame leaves it open.
    zero_in_one = not ((numbers == 0).any() or over.low[numbers == 1].any())
    first, rows = _log2_axis(int(numbers[0]), int(numbers[-1]), unit, zero_in_one)
    return rows, (numbers.astype(np.int64) - first).astype(np.intp)


@lru_cache(maxsize=16)
def _log2_axis(first: int, last: int, unit: str, zero_in_one: bool) -> tuple[int, Rows]:
    """The bucket of the lowest row, and the rows; the same again and again while a trace runs."""
    least = LEAST_ROWS["log2"]
    first = max(min(1, first), min(first - max(0, least - (last - first + 1)) // 2, 65 - least))
    buckets = np.arange(first, max(last, first + least - 1) + 1)
    low, high = log2_bounds(buckets, bcc=zero_in_one)
    # The axis of a power-of-two histogram begins at position first - 1.
    ticks = log2_ticks(first, int(buckets[-1]), unit=unit, zero_in_one=zero_in_one, most=9)
    rows = Rows(
        lows=tuple(low.tolist()),
        highs=tuple(high.tolist()),
        ticks=tuple(Tick(tick.at - (first - 1), tick.label) for tick in ticks),
        label=_axis_label(unit, ticks),
        unit=unit,
    )
    return first, rows


def _linear_rows(over: OverTime, unit: str) -> tuple[Rows, NDArray[np.intp]]:
    numbers = over.bucket
    first, last = int(numbers[0]), int(numbers[-1])
    step = int(over.high[0]) - int(over.low[0]) + 1
    start = int(over.low[0]) - first * step
    merged = nice_step(last - first + 1, MOST_ROWS)
    if merged > np.iinfo(np.int64).max or numbers.dtype.kind not in "iu":
        numbers = numbers.astype(object)
    first, last = first // merged, last // merged
    place = (numbers // merged - first).astype(np.intp)
    more = max(0, LEAST_ROWS["linear"] - (last - first + 1))
    below = min(more // 2, max(first, 0))
    first, last = first - below, last + more - below
    lows = [start + row * merged * step for row in range(first, last + 1)]
    count = len(lows)
    ticks = linear_ticks(count, lowest=lows[0], step=merged * step, unit=unit)
    remark = f" · {merged:,} buckets per row" if merged > 1 else ""
    rows = Rows(
        lows=tuple(lows),
        highs=tuple(low + merged * step - 1 for low in lows),
        ticks=ticks,
        label=_axis_label(unit, ticks) + remark,
        unit=unit,
    )
    return rows, place + below


def _axis_label(unit: str, ticks: tuple[Tick, ...]) -> str:
    if unit in SECONDS:
        return "duration"
    what = printable(unit) or "value"
    binary = any(tick.label[-1:] in "KMGTPE" and tick.label[:1].isdigit() for tick in ticks)
    return f"{what} (1K = 1024)" if binary else what


def bounds_said(low: int, high: int, unit: str) -> str:
    """Inclusive bounds in words: ``4.1 µs to 8.19 µs (4,096 to 8,191 ns)``."""
    exact = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    exact += f" {printable(unit)}" if unit else ""
    if unit not in SECONDS or unit == "s" or high < 1000:
        return exact
    start, end = (time_label(value * SECONDS[unit]) for value in (low, high))
    return f"{start} to {end} ({exact})"


def span_label(seconds: float) -> str:
    """A length of time: ``1.5 s``, ``12 min 3 s``, ``2 h 5 min``."""
    if seconds < 120:
        return time_label(seconds)
    whole = round(seconds)
    big, small, names = (
        (whole // 60, whole % 60, "min s")
        if whole < 7200
        else (
            whole // 3600,
            whole % 3600 // 60,
            "h min",
        )
    )
    first, second = names.split()
    return f"{big:,} {first} {small} {second}" if small else f"{big:,} {first}"


def rows_between(frame: pd.DataFrame, from_s: float, to_s: float, low: int, high: int) -> NDArray[np.bool_]:
    """Which rows of a frame say what was counted in a rectangle of its heat map.

    Args:
        frame: A histogram over time.
        from_s: Begin of the first column, seconds.
        to_s: End of the last one.
        low: Lowest value of the lowest row.
        high: Highest value of the highest row.
    """
    at_s = moments_of(frame)
    lows, highs = (frame[name].to_numpy() for name in _bounds(frame))
    low, high = _within([low, high], lows.dtype)
    found: NDArray[np.bool_] = (at_s > from_s) & (at_s <= to_s) & (lows >= low) & (highs <= high)
    return found


def _within(values: Sequence[int], dtype: np.dtype[Any]) -> list[int]:
    """Values as near as a type of integers has them."""
    if dtype.kind not in "iu":
        return list(values)
    kind = np.iinfo(dtype)
    return [min(max(value, int(kind.min)), int(kind.max)) for value in values]


def _bounds(frame: pd.DataFrame) -> tuple[str, str]:
    columns = hist_columns(frame)
    return columns.low, columns.high


def marked_cells(grid: Grid, frame: pd.DataFrame, marks: NDArray[np.bool_]) -> NDArray[np.uint32]:
    """The cells in which rows of the frame are marked: column times rows plus row, ascending."""
    marked = frame[marks]
    if not len(marked) or not grid.columns:
        return np.empty(0, dtype=np.uint32)
    at_s = moments_of(marked)
    column = np.searchsorted(grid.edges, at_s, side="left") - 1
    lows = marked[_bounds(frame)[0]].to_numpy()
    starts = np.array(_within(grid.rows.lows, lows.dtype), dtype=lows.dtype)
    row = np.searchsorted(starts, lows, side="right") - 1
    good = (column >= 0) & (column < grid.columns) & (row >= 0)
    return np.unique(column[good] * len(grid.rows) + row[good]).astype(np.uint32)
