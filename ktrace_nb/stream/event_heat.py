"""Events counted into a histogram over time."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.stream.histogram import linear_hist, log2_hist
from ktrace_nb.stream.intervals import dense_frame

MOST_MOMENTS = 10_000
"""Moments that :func:`histogram_over_time` gives at most."""

MOST_ROWS = 5_000_000
"""And rows."""

UNITS = frozenset({"ns", "us", "ms", "s", "bytes", "pages", "sectors", "packets"})
"""Ends of columns' names that are taken to be units."""

_LOG2_HIGH = np.array([(1 << n) - 1 for n in range(65)], dtype=np.uint64)


def histogram_over_time(
    events: pd.DataFrame,
    value: str = "latency_ns",
    time: str = "ts",
    *,
    every_s: float = 1.0,
    scale: Literal["log2", "linear"] = "log2",
    step: int = 1,
    unit: str | None = None,
) -> pd.DataFrame:
    """Count events into a histogram over time.

    Args:
        events: A row per event, in any order.
        value: The column that is counted; reals are rounded down.
        time: The column, or level of the index, that says when: integers are
            nanoseconds of any clock, reals are seconds, or nanoseconds if its name ends with ``_ns``.
        every_s: Seconds from moment to moment.
        scale: Of the buckets.
        step: How many values share a bucket of a linear histogram.
        unit: Of the value; by default what the column's name ends with (``latency_ns``).

    Returns:
        Indexed by ``at_s`` (float64, seconds after the first event) and ``bucket``, with
        the columns of :func:`ktrace_nb.stream.histogram.log2_hist` or ``linear_hist``;
        ``count`` (uint64) is what was counted up to that moment. A row for every moment and
        every bucket that occurs. ``attrs["left_out"]`` says how many events are not counted,
        by reason: ``missing``, ``negative``, ``too_large`` (2**64 and more), ``no_time``.

    Raises:
        ValueError: A column is missing or holds no numbers, the interval or the step is not
            positive, or the frame would be too large.
    """
    if not every_s > 0 or step < 1:
        raise ValueError(f"every_s {every_s:g} and step {step}, wanted more than 0")
    if scale not in ("log2", "linear"):
        raise ValueError(f"scale {scale!r}, wanted 'log2' or 'linear'")
    if unit is None:
        unit = value.rpartition("_")[2] if value.rpartition("_")[2] in UNITS else ""
    left_out: dict[str, int] = {}
    values, good = _values(_column(events, value), left_out)
    seconds, timed = _seconds(_column(events, time))
    left_out["no_time"] = int((good & ~timed).sum())
    good &= timed
    values, seconds = values[good], seconds[good]
    seconds -= seconds.min() if len(seconds) else 0.0

    numbers = np.searchsorted(_LOG2_HIGH, values) if scale == "log2" else values // np.uint64(step)
    buckets, bucket = np.unique(numbers, return_inverse=True)
    moments = int(seconds.max() // every_s) + 1 if len(seconds) else 0
    if moments > MOST_MOMENTS:
        wide = float(f"{seconds.max() / 1000:.1g}")
        raise ValueError(f"{moments:,} moments, wanted {MOST_MOMENTS:,} at most: every_s={wide:g} would do")
    if moments * len(buckets) > MOST_ROWS:
        raise ValueError(
            f"{moments:,} moments of {len(buckets):,} buckets, wanted {MOST_ROWS:,} rows at most: "
            "a larger step, a larger every_s or scale='log2' would do"
        )
    grown = np.zeros((moments, len(buckets)), dtype=np.uint64)
    np.add.at(grown, ((seconds // every_s).astype(np.int64), bucket), np.uint64(1))
    ones = np.ones(len(buckets), dtype=np.uint64)
    layout = (
        log2_hist(buckets, ones, unit=unit or None, bcc=False)
        if scale == "log2"
        else linear_hist(buckets, ones, step=step, unit=unit or None)
    )
    left_out = {reason: number for reason, number in left_out.items() if number}
    said = [f"{number:,} {reason.replace('_', ' ')}" for reason, number in left_out.items()]
    frame = dense_frame(
        np.arange(1.0, moments + 1) * every_s,
        layout.loc[buckets],
        grown.cumsum(axis=0, dtype=np.uint64),
        notes=[f"left out: {', '.join(said)}"] if said else [],
    )
    frame.attrs["left_out"] = left_out
    return frame


def _column(events: pd.DataFrame, name: str) -> pd.Series[Any]:
    if name in events.columns:
        column = events[name]
    elif name in events.index.names:
        column = events.index.get_level_values(name).to_series(index=events.index)
    else:
        raise ValueError(f"no column {name!r}, only {', '.join(map(str, events.columns))}")
    if not pd.api.types.is_numeric_dtype(column.dtype) and column.dtype != object:
        raise ValueError(f"column {name!r} is of type {column.dtype}, wanted numbers")
    return column


def _values(column: pd.Series[Any], left_out: dict[str, int]) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """The values rounded down, and which of them can be counted; notes why the others cannot."""
    kinds: NDArray[Any]
    if column.dtype.kind in "iu" and not column.hasnans:
        numbers = column.to_numpy(dtype=np.dtype(f"{column.dtype.kind}8"))
        kinds = np.where(numbers < 0, 2, 0)
        whole = np.where(kinds == 0, numbers, 0).astype(np.uint64)
    elif column.dtype == object:
        # Whole numbers that are too wide for a float keep their digits.
        items = [value if isinstance(value, int) else _real(value) for value in column.tolist()]
        kinds = np.array([_kind(item) for item in items], dtype=np.int64)
        good = zip(items, kinds.tolist(), strict=True)
        whole = np.array([0 if kind else int(item) for item, kind in good], dtype=np.uint64)
    else:
        reals = column.to_numpy(dtype=np.float64, na_value=np.nan)
        kinds = np.select([np.isnan(reals), reals < 0, reals >= 2.0**64], [1, 2, 3], 0)
        whole = np.where(kinds == 0, reals, 0).astype(np.uint64)
    for kind, reason in enumerate(("missing", "negative", "too_large"), start=1):
        left_out[reason] = int((kinds == kind).sum())
    return whole, kinds == 0


def _real(value: Any) -> float:
    return float("nan") if pd.isna(value) else float(value)


def _kind(value: float) -> int:
    return 1 if value != value else 2 if value < 0 else 3 if value >= 2**64 else 0


def _seconds(column: pd.Series[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """When each event was, seconds after some moment, and whether that is known."""
    if column.dtype.kind in "iu":
        known = column.notna().to_numpy()
        ns = column.fillna(0).to_numpy(dtype=np.dtype(f"{column.dtype.kind}8"))
        # Subtracted before it becomes a float: nanoseconds of a clock have more digits than a float.
        return (ns - ns[known].min() if known.any() else ns) / 1e9, known
    reals = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return reals / (1e9 if str(column.name).endswith("_ns") else 1.0), np.isfinite(reals)
