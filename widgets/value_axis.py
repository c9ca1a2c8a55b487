"""The value axis of a histogram: its bars, their bounds, its ticks.

An axis is made once and kept: a histogram that is drawn five times a second
mostly has the one it had, and who draws it can tell by identity.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ktrace_nb.stream.histogram import LAST_LOG2_BUCKET, log2_bounds
from ktrace_nb.stream.text import bounds_label, printable
from ktrace_nb.widgets.ticks import SECONDS, Tick, linear_ticks, log2_ticks

LEAST_BARS = {"log2": 8, "linear": 4}
"""A narrower histogram is drawn with empty buckets around it, else it is a wall."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ValueAxis:
    """Bars side by side, each 1 wide."""

    first: int
    """Number of the first bar."""

    merged: int
    """How many buckets share a bar."""

    left_edges: NDArray[np.float64]
    labels: tuple[str, ...]
    """The bounds of each bar."""

    ticks: tuple[Tick, ...]
    label: str
    """What is written under it."""

    unit: str

    @property
    def centres(self) -> NDArray[np.float64]:
        """The middle of each bar."""
        return self.left_edges + 0.5

    @property
    def span(self) -> tuple[float, float]:
        """Where it begins and ends."""
        return float(self.left_edges[0]), float(self.left_edges[-1]) + 1

    def bars_of(self, buckets: NDArray[Any]) -> NDArray[np.int64]:
        """The place of each bucket's bar, counted from 0."""
        if self.merged > np.iinfo(buckets.dtype).max:
            buckets = buckets.astype(object)
        elif buckets.dtype.kind == "u" and self.first < 0:
            buckets = buckets.astype(np.int64)
        return (buckets // self.merged - self.first).astype(np.int64)


@lru_cache(maxsize=64)
def log2_axis(first: int, last: int, *, zero_in_one: bool, unit: str, label: str) -> ValueAxis:
    """The axis of a power-of-two histogram.

    Args:
        first: The first bucket that is needed.
        last: The last one.
        zero_in_one: Bucket 1 means 0 to 1, as bcc fills it.
        unit: Of the value.
        label: What to write under it; by default the unit.
    """
    least = LEAST_BARS["log2"]
    first = max(min(1, first), first - max(0, least - (last - first + 1)) // 2)
    first = min(first, LAST_LOG2_BUCKET + 1 - least)
    last = max(last, first + least - 1)
    buckets = np.arange(first, last + 1)
    bounds = zip(*log2_bounds(buckets, bcc=zero_in_one), strict=True)
    ticks = log2_ticks(first, last, unit=unit, zero_in_one=zero_in_one)
    return ValueAxis(
        first=first,
        merged=1,
        left_edges=buckets.astype(np.float64) - 1,
        labels=tuple(bounds_label(int(low), int(high)) for low, high in bounds),
        ticks=ticks,
        label=printable(label) or _axis_label(unit, ticks),
        unit=printable(unit),
    )


@lru_cache(maxsize=64)
def linear_axis(
    first: int, count: int, *, start: int, step: int, merged: int, unit: str, label: str
) -> ValueAxis:
    """The axis of a linear histogram.

    Args:
        first: The first bar that is needed.
        count: How many bars there are.
        start: The lowest value of bar 0.
        step: How many values share a bar.
        merged: How many buckets do.
        unit: Of the value.
        label: What to write under it; by default the unit.
    """
    more = max(0, LEAST_BARS["linear"] - count)
    # No bars below 0 are made up for values that start there.
    first, count = first - min(more // 2, max(first, 0)), count + more
    lows = [start + bar * step for bar in range(first, first + count)]
    ticks = linear_ticks(count, lowest=lows[0], step=step, unit=unit)
    remark = f" · {merged:,} buckets per bar" if merged > 1 else ""
    return ValueAxis(
        first=first,
        merged=merged,
        left_edges=np.arange(count, dtype=np.float64),
        labels=tuple(bounds_label(low, low + step - 1) for low in lows),
        ticks=ticks,
        label=(printable(label) or _axis_label(unit, ticks)) + remark,
        unit=printable(unit),
    )


def _axis_label(unit: str, ticks: tuple[Tick, ...]) -> str:
    if unit in SECONDS:
        return "time"
    binary = "1K = 1024" if any(tick.label.endswith(("K", "M", "G", "T", "P", "E")) for tick in ticks) else ""
    what = printable(unit) or "value"
    return f"{what} ({binary})" if binary else what
