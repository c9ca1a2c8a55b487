"""What a histogram looks like, before anybody draws it.

The live view (bqplot) and the static picture (SVG) draw the same
:class:`Picture`. A histogram with keys becomes small multiples: one chart per
key, one above the other on one value axis, because comparing distributions is
what keys are for, and because that works without a click: on a projector, in a
saved notebook, and while the kernel is busy. The keys that counted most are
drawn, up to six; the number left out is said.

Which rows of the frame a bar is made of is asked when somebody picks it; a
picture that is drawn five times a second only adds up counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.stream.histogram import HistColumns, hist_columns, is_log2, linear_bars
from ktrace_nb.stream.text import key_label, printable
from ktrace_nb.widgets.keys import number_keys
from ktrace_nb.widgets.source import ViewData
from ktrace_nb.widgets.ticks import Tick, count_ticks
from ktrace_nb.widgets.value_axis import ValueAxis, linear_axis, log2_axis

MOST_CHARTS = 6
MOST_BARS = 128
"""More of them cannot be told apart: neighbours of a linear histogram are drawn as one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chart:
    """The bars of one histogram."""

    title: str
    """Its key, printable; empty if it has none."""

    total: int
    counts: NDArray[np.uint64]
    """A count per bar of the picture's axis."""

    rows: NDArray[np.intp]
    """Where in the frame its buckets are."""

    top: float
    """Where the count axis ends."""

    ticks: tuple[Tick, ...]

    @property
    def heights(self) -> NDArray[np.float64]:
        """The counts as bqplot wants them: it sends int64 as int32, which wraps at
        2**31, and draws nothing for uint64."""
        return self.counts.astype(np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """Charts over one value axis."""

    name: str
    charts: tuple[Chart, ...]
    left_out: int
    """How many keys are not drawn."""

    axis: ValueAxis | None
    """None where nothing was counted."""

    @property
    def left_edges(self) -> NDArray[np.float64]:
        """Where each bar begins; it is 1 wide."""
        return self.axis.left_edges if self.axis else np.empty(0)

    @property
    def labels(self) -> tuple[str, ...]:
        """The bounds of each bar, for who points at it."""
        return self.axis.labels if self.axis else ()

    @property
    def unit(self) -> str:
        """Unit of the value, printable; may be empty."""
        return self.axis.unit if self.axis else ""

    @property
    def ticks(self) -> tuple[Tick, ...]:
        """Of the value axis."""
        return self.axis.ticks if self.axis else ()

    @property
    def axis_label(self) -> str:
        """What is written under the value axis."""
        return self.axis.label if self.axis else ""

    @property
    def span(self) -> tuple[float, float]:
        """Where the value axis begins and ends."""
        return self.axis.span if self.axis else (0.0, 1.0)


def histogram_picture(
    frame: pd.DataFrame,
    *,
    name: str = "",
    scale: Literal["log2", "linear"] = "log2",
    unit: str = "",
    label: str = "",
) -> Picture:
    """Lay a histogram frame out.

    Args:
        frame: As :func:`ktrace_nb.stream.histogram.log2_hist` or ``linear_hist``
            returns it, with or without keys.
        name: What it is a histogram of.
        scale: Which of the two it is.
        unit: Unit of the value where the frame's columns do not name it.
        label: What to write under the value axis; by default the unit.

    Raises:
        ValueError: The frame is not a histogram.
    """
    columns = hist_columns(frame)
    unit = columns.unit or unit
    buckets, counts = _checked(frame, scale)
    groups, left_out = _groups(frame, counts) if len(frame) else ([], 0)
    if not groups:
        return Picture(name=printable(name), charts=(), left_out=0, axis=None)
    lay_out = _log2_bars if scale == "log2" else _linear_bars
    axis, heights = lay_out(frame, columns, buckets, counts, groups, unit=unit, label=label)
    return Picture(
        name=printable(name),
        charts=tuple(
            _chart(title, rows, bars, counts, small=len(groups) > 1)
            for (title, rows), bars in zip(groups, heights, strict=True)
        ),
        left_out=left_out,
        axis=axis,
    )


def view_picture(view: ViewData) -> Picture:
    """Lay a histogram view out as its options ask.

    Raises:
        ValueError: The frame is not a histogram, or there is no such scale.
    """
    scale = view.options.get("scale", "log2")
    if scale not in ("log2", "linear"):
        raise ValueError(f"scale {scale!r}, wanted 'log2' or 'linear'")
    return histogram_picture(
        view.frame,
        name=view.name,
        scale=scale,  # type: ignore[arg-type]  # mypy does not narrow str by `in`
        unit=view.options.get("unit", ""),
        label=view.options.get("label", ""),
    )


def buckets_of(frame: pd.DataFrame) -> NDArray[Any]:
    """The number of each row's bucket."""
    index = frame.index
    return np.asarray(index.get_level_values(-1) if index.nlevels > 1 else index)


def _checked(frame: pd.DataFrame, scale: str) -> tuple[NDArray[Any], NDArray[np.uint64]]:
    """Buckets and counts of every row.

    Raises:
        ValueError: They are not what they are in a histogram.
    """
    if frame.index.names[-1] != "bucket":
        levels = ", ".join(map(repr, frame.index.names))
        raise ValueError(f"not a histogram: indexed by {levels}, wanted 'bucket', last; try frame.set_index")
    buckets, counts = buckets_of(frame), frame["count"].to_numpy()
    for what, values in (("bucket", buckets), ("count", counts)):
        if values.dtype.kind not in "iu" and len(values):
            raise ValueError(f"{what!r} is of type {values.dtype}, wanted integers; try astype")
    if counts.dtype.kind == "i" and len(counts) and counts.min() < 0:
        raise ValueError(f"a count of {counts.min()}, wanted 0 or more")
    if scale == "log2" and not is_log2(buckets):
        found = f"bucket numbers from {buckets.min()} to {buckets.max()}"
        raise ValueError(f"{found}, wanted 0 to 64; a linear histogram is shown with scale 'linear'")
    return buckets, counts.astype(np.uint64, copy=False)


def _groups(
    frame: pd.DataFrame, counts: NDArray[np.uint64]
) -> tuple[list[tuple[str, NDArray[np.intp]]], int]:
    """Title and rows of the keys that counted most, and how many keys are left out."""
    index = frame.index
    if not isinstance(index, pd.MultiIndex) or index.nlevels == 1:
        return [("", np.arange(len(frame)))], 0
    group, count = number_keys(index, range(index.nlevels - 1))
    totals = np.zeros(count, dtype=np.uint64)
    np.add.at(totals, group, counts)
    # Sorted by what is missing to the largest count: unsigned numbers have no negative.
    order = np.argsort(~totals, kind="stable")[:MOST_CHARTS]
    names = [str(name) for name in index.names[:-1]]
    found = []
    for number in order.tolist():
        rows = np.flatnonzero(group == number)
        found.append((key_label(dict(zip(names, index[rows[0]], strict=False))), rows))
    return found, count - len(found)


def _log2_bars(
    frame: pd.DataFrame,
    columns: HistColumns,
    buckets: NDArray[Any],
    counts: NDArray[np.uint64],
    groups: list[tuple[str, NDArray[np.intp]]],
    *,
    unit: str,
    label: str,
) -> tuple[ValueAxis, list[NDArray[np.uint64]]]:
    # Bucket 1 means 0 to 1 where bcc filled it; so it is taken to be where the frame leaves it open.
    ones = buckets == 1
    # To take a column out of a frame is the dearest of this, and mostly there is no such bucket.
    from_one = ones.any() and frame[columns.low].to_numpy()[ones].any()
    zero_in_one = not (from_one or (buckets == 0).any())
    drawn = [buckets[rows] for _, rows in groups]
    first, last = min(int(some.min()) for some in drawn), max(int(some.max()) for some in drawn)
    axis = log2_axis(first, last, zero_in_one=zero_in_one, unit=unit, label=label)
    return axis, [_sums(axis, some, counts[rows]) for some, (_, rows) in zip(drawn, groups, strict=True)]


def _sums(axis: ValueAxis, buckets: NDArray[Any], counts: NDArray[np.uint64]) -> NDArray[np.uint64]:
    bars = np.zeros(len(axis.left_edges), dtype=np.uint64)
    np.add.at(bars, axis.bars_of(buckets), counts)
    return bars


def _linear_bars(
    frame: pd.DataFrame,
    columns: HistColumns,
    buckets: NDArray[Any],
    counts: NDArray[np.uint64],
    groups: list[tuple[str, NDArray[np.intp]]],
    *,
    unit: str,
    label: str,
) -> tuple[ValueAxis, list[NDArray[np.uint64]]]:
    bounds = [columns.low, columns.high]
    parts = [
        pd.DataFrame(
            {name: frame[name].to_numpy()[rows] for name in bounds} | {"count": counts[rows]},
            index=buckets[rows],
        )
        for _, rows in groups
    ]
    bars = linear_bars(parts, MOST_BARS)
    axis = linear_axis(
        bars.first,
        len(bars.counts[0]),
        start=bars.start,
        step=bars.step,
        merged=bars.merged,
        unit=unit,
        label=label,
    )
    before, after = bars.first - axis.first, axis.first + len(axis.labels) - bars.first - len(bars.counts[0])
    return axis, [np.pad(sums, (before, after)) for sums in bars.counts]


def _chart(
    title: str, rows: NDArray[np.intp], bars: NDArray[np.uint64], counts: NDArray[np.uint64], *, small: bool
) -> Chart:
    highest = int(bars.max())
    top, ticks = count_ticks(highest, most=2 if small else 4)
    total = int(bars.sum()) if highest * len(bars) < 2**64 else sum(bars.tolist())
    return Chart(title=title, total=total, counts=bars, rows=rows, top=top, ticks=ticks)
