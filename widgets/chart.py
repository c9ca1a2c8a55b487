"""What a histogram looks like, before anybody draws it.

The live view (bqplot) and the static picture (SVG) draw the same
:class:`Picture`. A histogram with keys becomes small multiples: one chart per
key, one above the other on one value axis, because comparing distributions is
what keys are for, and because that works without a click: on a projector, in a
saved notebook, and while the kernel is busy. The keys that counted most are
drawn, up to six; the number left out is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.stream.histogram import (
    LAST_LOG2_BUCKET,
    HistColumns,
    hist_columns,
    linear_bars,
    log2_bounds,
)
from ktrace_nb.stream.text import KeyedHist, bounds_label, keyed_hists, printable
from ktrace_nb.widgets.source import ViewData
from ktrace_nb.widgets.ticks import SECONDS, Tick, count_ticks, linear_ticks, log2_ticks

MOST_CHARTS = 6
MOST_BARS = 128
"""More of them cannot be told apart: neighbours of a linear histogram are drawn as one."""

LEAST_BARS = {"log2": 8, "linear": 4}
"""A narrower histogram is drawn with empty buckets around it, else it is a wall."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """The bars of one histogram."""

    title: str
    total: int
    heights: NDArray[np.float64]
    """A count per bar of the picture's axis. float64 on purpose: bqplot sends
    int64 as int32, which wraps at 2**31, and draws nothing for uint64."""

    top: float
    """Where the count axis ends."""

    ticks: tuple[Tick, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Charts over one value axis."""

    name: str
    charts: tuple[Chart, ...]
    left_out: int
    """How many keys are not drawn."""

    left_edges: NDArray[np.float64]
    """Where each bar begins; it is 1 wide."""

    labels: tuple[str, ...]
    """The bounds of each bar, for who points at its bar."""

    unit: str

    ticks: tuple[Tick, ...]
    axis_label: str

    @property
    def centres(self) -> NDArray[np.float64]:
        """The middle of each bar."""
        return self.left_edges + 0.5

    @property
    def span(self) -> tuple[float, float]:
        """Where the value axis begins and ends."""
        if not len(self.left_edges):
            return 0.0, 1.0
        return float(self.left_edges[0]), float(self.left_edges[-1]) + 1


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
    shown, left_out = keyed_hists(frame, MOST_CHARTS) if len(frame) else ([], 0)
    if not shown:
        return Picture(
            name=printable(name),
            charts=(),
            left_out=0,
            left_edges=np.empty(0),
            labels=(),
            unit="",
            ticks=(),
            axis_label="",
        )

    axis = _log2_axis(shown, frame, columns, unit) if scale == "log2" else _linear_axis(shown, unit)
    return Picture(
        name=printable(name),
        charts=tuple(
            _chart(hist, counts, small=len(shown) > 1)
            for hist, counts in zip(shown, axis.counts, strict=True)
        ),
        left_out=left_out,
        left_edges=axis.left_edges,
        labels=axis.labels,
        unit=printable(unit),
        ticks=axis.ticks,
        axis_label=(printable(label) or _axis_label(unit, axis.ticks)) + axis.remark,
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


@dataclass(frozen=True, slots=True)
class _Axis:
    """The value axis of a picture and the counts over it."""

    left_edges: NDArray[np.float64]
    counts: tuple[NDArray[np.uint64], ...]
    """Per histogram a count for each bar."""

    labels: tuple[str, ...]
    ticks: tuple[Tick, ...]
    remark: str = ""
    """What has to be said of the bars."""


def _log2_axis(hists: list[KeyedHist], frame: pd.DataFrame, columns: HistColumns, unit: str) -> _Axis:
    numbers = np.concatenate([hist.frame.index.to_numpy() for hist in hists])
    first, last = int(numbers.min()), int(numbers.max())
    first = max(min(1, first), first - max(0, LEAST_BARS["log2"] - (last - first + 1)) // 2)
    first = min(first, LAST_LOG2_BUCKET + 1 - LEAST_BARS["log2"])
    last = max(last, first + LEAST_BARS["log2"] - 1)
    buckets = np.arange(first, last + 1)
    # Bucket 1 means 0 to 1 where bcc filled it; so it is taken to be where the frame leaves it open.
    bucket = frame.index.get_level_values("bucket")
    zero_in_one = not (frame.loc[bucket == 1, columns.low].any() or (bucket == 0).any())
    bounds = zip(*log2_bounds(buckets, bcc=zero_in_one), strict=True)
    return _Axis(
        buckets.astype(np.float64) - 1,
        tuple(hist.frame["count"].reindex(buckets, fill_value=0).to_numpy() for hist in hists),
        tuple(bounds_label(int(low), int(high)) for low, high in bounds),
        log2_ticks(first, last, unit=unit, zero_in_one=zero_in_one),
    )


def _linear_axis(hists: list[KeyedHist], unit: str) -> _Axis:
    bars = linear_bars([hist.frame for hist in hists], MOST_BARS)
    count = len(bars.counts[0])
    more = max(0, LEAST_BARS["linear"] - count)
    before = min(more // 2, max(bars.first, 0))
    first, count = bars.first - before, count + more
    return _Axis(
        np.arange(count, dtype=np.float64),
        tuple(np.pad(counts, (before, more - before)) for counts in bars.counts),
        tuple(bounds_label(*bars.bounds(bar)) for bar in range(first, first + count)),
        linear_ticks(count, lowest=bars.bounds(first)[0], step=bars.step, unit=unit),
        f" · {bars.merged:,} buckets per bar" if bars.merged > 1 else "",
    )


def _chart(hist: KeyedHist, counts: NDArray[np.uint64], *, small: bool) -> Chart:
    top, ticks = count_ticks(int(counts.max()), most=2 if small else 4)
    return Chart(
        title=hist.key,
        total=hist.total,
        heights=counts.astype(np.float64),
        top=top,
        ticks=ticks,
    )


def _axis_label(unit: str, ticks: tuple[Tick, ...]) -> str:
    if unit in SECONDS:
        return "time"
    binary = "1K = 1024" if any(tick.label.endswith(("K", "M", "G", "T", "P", "E")) for tick in ticks) else ""
    what = printable(unit) or "value"
    return f"{what} ({binary})" if binary else what
