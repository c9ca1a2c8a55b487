"""Power-of-two and linear histograms as frames.

This module is the one place that knows the bucket bounds; the widgets, the
text view and the exports ask it.

In a power-of-two histogram bucket ``n`` holds the integers of bit length ``n``:
bucket 0 is exactly 0, bucket 1 is exactly 1, bucket 5 is 16 to 31, bucket 64
ends at 2**64 - 1.

A map filled by bcc's ``bpf_log2l()`` differs in one place: the helper gives 1
for 0 as well, so bucket 1 then means 0 to 1 and bucket 0 stays empty.
Source: bcc ``src/cc/export/helpers.h``, ``bpf_log2`` and ``bpf_log2l``.

In a linear histogram bucket ``n`` holds the ``step`` integers from
``start + n * step`` on. It may have very many buckets, or few that lie very far
apart; :func:`linear_bars` takes neighbours together so that it can be drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

Bounds: TypeAlias = tuple[NDArray[Any], NDArray[Any]]

LAST_LOG2_BUCKET = 64
MOST_EMPTY_ROWS = 100_000
"""Rows for buckets that were not hit, at most. Two stray buckets far apart must
not fill the memory: a frame that would need more has the hit buckets alone."""
_LOG2_LOW = np.array([0, *(1 << n for n in range(LAST_LOG2_BUCKET))], dtype=np.uint64)
_LOG2_HIGH = np.array([(1 << n) - 1 for n in range(LAST_LOG2_BUCKET + 1)], dtype=np.uint64)


def log2_hist(
    buckets: ArrayLike,
    counts: ArrayLike,
    *,
    keys: Mapping[str, ArrayLike] | None = None,
    unit: str | None = None,
    bcc: bool = True,
) -> pd.DataFrame:
    """Lay a power-of-two histogram out as a frame.

    Args:
        buckets: Bucket numbers as read from the map, in any order; buckets
            without a count may be absent, those named twice are added up.
        counts: How many values fell in each bucket, aligned with ``buckets``.
        keys: The other fields of a keyed histogram's key by name, each aligned
            with ``buckets``.
        unit: Unit of the measured value, e.g. ``"ns"`` or ``"bytes"``. It
            becomes part of two column names.
        bcc: The buckets came from ``bpf_log2l()``: bucket 1 means 0 to 1.

    Returns:
        One row per bucket from the first to the last that was hit, none if
        nothing was counted, indexed by ``bucket`` (int64, uint64 where a number
        needs it):

        ============== ======= ================================================
        ``low_<unit>``  uint64  lowest value of the bucket, inclusive
        ``high_<unit>`` uint64  highest value of the bucket, inclusive
        ``count``       uint64  how many values fell in it
        ============== ======= ================================================

        Without a unit the columns are ``low`` and ``high``. With keys the index
        has a level for each and ``bucket`` last; the rows run from the first to
        the last bucket of each key, keys in the order they first appear.

    Raises:
        ValueError: A bucket number outside 0 to 64, a negative count, numbers
            that are not integers, or columns of unequal length.
    """
    numbers = _integers(buckets, "bucket")
    if not is_log2(numbers):
        raise ValueError(f"bucket numbers from {numbers.min()} to {numbers.max()}, wanted 0 to 64")
    return _frame(numbers, counts, keys, unit, lambda bucket: log2_bounds(bucket, bcc=bcc))


def linear_hist(
    buckets: ArrayLike,
    counts: ArrayLike,
    *,
    step: int = 1,
    start: int = 0,
    keys: Mapping[str, ArrayLike] | None = None,
    unit: str | None = None,
) -> pd.DataFrame:
    """Lay a linear histogram out as a frame.

    Args:
        buckets: Bucket numbers as read from the map, as for :func:`log2_hist`.
        counts: How many values fell in each bucket, aligned with ``buckets``.
        step: How many values share a bucket.
        start: The lowest value of bucket 0.
        keys: The other fields of a keyed histogram's key, as for :func:`log2_hist`.
        unit: Unit of the measured value.

    Returns:
        A frame as :func:`log2_hist` gives it, but without the empty buckets if
        there are more than ``MOST_EMPTY_ROWS`` between those that were hit; the
        bounds are int64 where the lowest of them is negative.

    Raises:
        ValueError: As for :func:`log2_hist`, a step below 1, or a bound that 64
            bits do not hold.
    """
    if step < 1:
        raise ValueError(f"step {step}, wanted 1 or more")
    numbers = _integers(buckets, "bucket")
    first, last = (int(numbers.min()), int(numbers.max())) if numbers.size else (0, 0)
    lowest, highest = start + first * step, start + last * step + step - 1
    dtype = np.dtype(np.int64 if lowest < 0 else np.uint64)
    if not (np.iinfo(dtype).min <= lowest and highest <= np.iinfo(dtype).max):
        raise ValueError(f"bounds from {lowest} to {highest} do not fit in 64 bits")

    def bounds(bucket: NDArray[Any]) -> Bounds:
        # Offsets from the lowest bound are not negative, so one unsigned type
        # holds them all; the sum wraps to the right value in either dtype.
        offset = (bucket.astype(np.uint64) - np.uint64(first % 2**64)) * np.uint64(step)
        low = (offset + np.uint64(lowest % 2**64)).astype(dtype)
        return low, low + dtype.type(step - 1)

    return _frame(numbers, counts, keys, unit, bounds)


def is_log2(buckets: NDArray[Any]) -> bool:
    """Whether these may be numbers of power-of-two buckets."""
    return not buckets.size or bool(buckets.min() >= 0 and buckets.max() <= LAST_LOG2_BUCKET)


def log2_bounds(buckets: NDArray[np.int64], *, bcc: bool = True) -> Bounds:
    """Lowest and highest value (uint64, inclusive) of power-of-two buckets 0 to 64."""
    low = _LOG2_LOW[buckets]
    if bcc:
        low = np.where(buckets == 1, np.uint64(0), low)
    return low, _LOG2_HIGH[buckets]


@dataclass(frozen=True, slots=True)
class HistColumns:
    """Which columns of a histogram frame hold the bounds."""

    low: str
    high: str
    unit: str
    """Empty where the frame names none."""


def hist_columns(frame: pd.DataFrame) -> HistColumns:
    """Find the bounds of a frame made by :func:`log2_hist` or :func:`linear_hist`.

    Raises:
        ValueError: The frame is not a histogram.
    """
    for name in map(str, frame.columns):
        stem, _, unit = name.partition("_")
        high = name.replace("low", "high", 1)
        if stem == "low" and high in frame.columns and "count" in frame.columns:
            return HistColumns(name, high, unit)
    raise ValueError(f"not a histogram: columns {list(frame.columns)}, wanted low, high and count")


@dataclass(frozen=True, slots=True)
class LinearBars:
    """A linear histogram as bars side by side, few enough to be drawn."""

    first: int
    """Number of the first bar."""

    counts: tuple[NDArray[np.uint64], ...]
    """Per histogram a count for each bar, empty ones included."""

    start: int
    """The lowest value of bar 0."""

    step: int
    """How many values share a bar."""

    merged: int
    """How many buckets share a bar."""

    def bounds(self, bar: int) -> tuple[int, int]:
        """Lowest and highest value of a bar, inclusive."""
        low = self.start + bar * self.step
        return low, low + self.step - 1


def linear_bars(frames: Sequence[pd.DataFrame], most: int) -> LinearBars:
    """Add up neighbouring buckets until all fit in ``most`` bars, or one more.

    Args:
        frames: Linear histograms of one step and start, without keys, none empty.
        most: How many bars there is room for. Bars hold 1, 2 or 5 times a power
            of ten buckets and begin at a multiple of that, so that they stay
            where they are while the histogram grows; hence the one more.

    Raises:
        ValueError: A frame is not a histogram.
    """
    columns = hist_columns(frames[0])
    bucket, low, high = (
        int(column[0])
        for column in (frames[0].index, frames[0][columns.low].array, frames[0][columns.high].array)
    )
    step = high - low + 1
    first = min(int(frame.index.min()) for frame in frames)
    last = max(int(frame.index.max()) for frame in frames)
    merged = nice_step(last - first + 1, most)
    first, last = first // merged, last // merged
    counts = []
    for frame in frames:
        numbers = frame.index.to_numpy()
        if merged > np.iinfo(numbers.dtype).max:
            numbers = numbers.astype(object)
        bar = numbers // merged - first
        total = np.zeros(last - first + 1, dtype=np.uint64)
        np.add.at(total, bar.astype(np.int64), frame["count"].to_numpy())
        counts.append(total)
    return LinearBars(first, tuple(counts), low - bucket * step, step * merged, merged)


def nice_step(span: int, most: int) -> int:
    """The smallest of 1, 2 and 5 times a power of ten that covers ``span`` in at most ``most`` steps."""
    power: int = 10 ** (len(str(span // most)) - 1)
    return next(step for step in (power, 2 * power, 5 * power, 10 * power) if step * most >= span)


def _integers(values: ArrayLike, what: str) -> NDArray[Any]:
    array = np.atleast_1d(np.asarray(values))
    if array.size and array.dtype.kind not in "iu":
        raise ValueError(f"{what} numbers of type {array.dtype}, wanted integers")
    return array


def _frame(
    numbers: NDArray[Any],
    counts: ArrayLike,
    keys: Mapping[str, ArrayLike] | None,
    unit: str | None,
    bounds: Callable[[NDArray[Any]], Bounds],
) -> pd.DataFrame:
    values = _integers(counts, "count")
    columns = {name: pd.Series(column).reset_index(drop=True) for name, column in (keys or {}).items()}
    lengths = {len(numbers), len(values), *map(len, columns.values())}
    if len(lengths) > 1:
        raise ValueError(f"columns of unequal length: {sorted(lengths)}")
    if values.size and values.min() < 0:
        raise ValueError(f"a count of {values.min()}, wanted 0 or more")

    hit = np.flatnonzero(values)
    number, value = numbers[hit], values[hit].astype(np.uint64)
    wide = number.size and int(number.max()) > np.iinfo(np.int64).max
    number = number.astype(np.uint64 if wide else np.int64)
    key_columns = {name: column.take(hit) for name, column in columns.items()}
    group = _group_numbers(pd.DataFrame(key_columns), len(hit))
    row_group, bucket, total = _add_up(group, number, value)
    low, high = bounds(bucket)

    index: pd.Index = pd.Index(bucket, name="bucket")
    if columns:
        # Group numbers count up in order of appearance, so the first row of each
        # group is where the running maximum grows.
        heads = np.flatnonzero(np.diff(np.maximum.accumulate(group), prepend=-1)) if hit.size else hit
        levels = [column.take(heads[row_group]) for column in key_columns.values()]
        index = pd.MultiIndex.from_arrays([*levels, bucket], names=[*columns, "bucket"])
    suffix = f"_{unit}" if unit else ""
    return pd.DataFrame({f"low{suffix}": low, f"high{suffix}": high, "count": total}, index=index)


def _add_up(
    group: NDArray[np.int64], number: NDArray[Any], value: NDArray[np.uint64]
) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[np.uint64]]:
    """One row per group and bucket, in order: the group, the bucket and its count."""
    order = np.lexsort((number, group))
    group, number, value = group[order], number[order], value[order]
    is_new = np.ones(len(order), dtype=bool)
    is_new[1:] = (group[1:] != group[:-1]) | (number[1:] != number[:-1])
    rows = np.flatnonzero(is_new)
    total = np.add.reduceat(value, rows) if rows.size else value
    group, number = group[rows], number[rows]

    # How far each bucket lies from the one before it; 1 at the start of a group.
    gaps = np.ones(rows.size, dtype=np.uint64)
    gaps[1:] = np.where(group[1:] == group[:-1], np.diff(number.astype(np.uint64)), np.uint64(1))
    if gaps.sum(dtype=np.float64) - rows.size > MOST_EMPTY_ROWS:
        return group, number, total
    row = np.repeat(np.arange(rows.size), gaps.astype(np.int64))
    place = np.cumsum(gaps.astype(np.int64)) - 1
    below = place[row] - np.arange(row.size)
    return (
        group[row],
        number[row] - below.astype(number.dtype),
        np.where(below == 0, total[row], np.uint64(0)),
    )


def _group_numbers(key_frame: pd.DataFrame, length: int) -> NDArray[np.int64]:
    """Number the distinct keys from 0 in order of appearance."""
    if not len(key_frame.columns):
        return np.zeros(length, dtype=np.int64)
    groups = key_frame.groupby(list(key_frame.columns), sort=False, observed=True, dropna=False)
    return pd.factorize(groups.ngroup())[0].astype(np.int64)
