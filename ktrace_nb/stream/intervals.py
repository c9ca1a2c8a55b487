"""A histogram over time: what was counted when, bucket by bucket.

A frame of this kind holds a histogram at several moments, each with what was
counted *up to* then, as ``session.history("latency")`` gives it. Here it becomes
intervals: what was counted *between* two moments. :mod:`ktrace_nb.stream.event_heat`
makes such a frame of raw events, :mod:`ktrace_nb.stream.over_time` of a histogram
that is looked at now and then.

Time begins at 0 s, or at ``attrs["from_s"]``, so the first interval ends with the
first moment. Where the first moment is not later than that, what it holds was
counted before, and that is said. The same is assumed of a frame that does not come
from a session if that interval would be more than ``LATEST_START`` times as long as
all others together: its clock did not start with the counting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.stream.histogram import HistColumns, hist_columns

LATEST_START = 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OverTime:
    """What was counted in each interval and bucket, keys added up."""

    edges: NDArray[np.float64]
    """Seconds: interval ``n`` is from ``edges[n]`` to ``edges[n + 1]``; they need not be equally long."""

    bucket: NDArray[Any]
    """Numbers of the buckets that occur, ascending."""

    low: NDArray[Any]
    """Lowest value of each bucket, inclusive, exact."""

    high: NDArray[Any]
    """Highest value of each bucket, inclusive, exact."""

    counts: NDArray[np.uint64]
    """A row per interval, a column per bucket."""

    unit: str
    """Of the values; empty if the frame names none."""

    notes: tuple[str, ...] = ()
    """What has to be said of it, e.g. that a count fell."""

    @property
    def seconds(self) -> NDArray[np.float64]:
        """How long each interval is."""
        return np.diff(self.edges)

    @property
    def per_s(self) -> NDArray[np.float64]:
        """Counts per second, shaped as ``counts``."""
        return self.counts / self.seconds[:, None]

    def total(self) -> int:
        """All that was counted, exact."""
        return exact_sum(self.counts)


def exact_sum(counts: NDArray[np.uint64]) -> int:
    """Add up to any size: a sum in 64 bits wraps."""
    if not counts.size or float(counts.max()) * counts.size < 2.0**64:
        return int(counts.sum())
    return sum(counts.ravel().tolist())


def intervals_of(frame: pd.DataFrame) -> OverTime:
    """What was counted between the moments of a histogram over time.

    Counts are subtracted key by key. A key or a bucket that was not there at the
    moment before counts from 0, and so does one whose count fell, because it was
    reset or deleted meanwhile; that is noted.

    Args:
        frame: Indexed by ``at_s`` (seconds) and ``bucket``, keys between them;
            ``low`` and ``high`` (or ``low_ns`` and the like), and ``count``, what was
            counted up to that moment.

    Raises:
        ValueError: The frame is not a histogram over time.
    """
    if not len(frame.columns) and not len(frame):
        return _nothing("")
    names = [str(name) for name in frame.index.names]
    if len(names) < 2 or names[0] != "at_s" or names[-1] != "bucket":
        raise ValueError(
            f"not a histogram over time: the index is {', '.join(names)}, wanted at_s, keys if any, bucket; "
            "session.history(name) gives one, and so does histogram_over_time(events)"
        )
    columns = hist_columns(frame)
    if not len(frame):
        return _nothing(columns.unit)
    notes = [str(note) for note in frame.attrs.get("notes", ())]
    counts, bad = _whole(frame["count"])
    if bad:
        notes.append(f"{bad:,} counts are no whole numbers of 0 or more: taken as 0")
    dense = _shape_if_dense(frame.index)
    if dense is None:
        return _of_rows(frame, columns, counts, notes)
    moments, buckets = (level.to_numpy() for level in frame.index.levels)  # type: ignore[attr-defined]
    now = counts.reshape(dense)
    before = np.concatenate([np.zeros((1, dense[1]), dtype=np.uint64), now[:-1]])
    fell = now < before
    grown = np.where(fell, now, now - before)
    low, high = (frame[name].to_numpy()[: dense[1]] for name in (columns.low, columns.high))
    return _between(frame, moments, (buckets, low, high), grown, notes, int(fell.sum()))


def _nothing(unit: str) -> OverTime:
    none = np.empty(0, dtype=np.uint64)
    return OverTime(
        edges=np.zeros(1), bucket=none, low=none, high=none, counts=np.empty((0, 0), np.uint64), unit=unit
    )


def _whole(column: pd.Series[Any]) -> tuple[NDArray[np.uint64], int]:
    """Counts as unsigned numbers, and how many were none."""
    if column.dtype.kind == "u":
        return column.to_numpy().astype(np.uint64, copy=False), 0
    if not pd.api.types.is_numeric_dtype(column.dtype):
        raise ValueError(f"counts of type {column.dtype}, wanted numbers")
    if column.dtype.kind == "i" and not column.hasnans:
        numbers = column.to_numpy(dtype=np.int64)
        return np.maximum(numbers, 0).astype(np.uint64), int((numbers < 0).sum())
    reals = column.to_numpy(dtype=np.float64, na_value=np.nan)
    good = (reals >= 0) & (reals < 2.0**64) & (reals == np.floor(reals))
    return np.where(good, reals, 0).astype(np.uint64), int((~good).sum())


def _shape_if_dense(index: pd.Index) -> tuple[int, int] | None:
    """Moments and buckets if there is a row for each of both, in order: then nothing has to be sorted."""
    if not isinstance(index, pd.MultiIndex) or index.nlevels != 2:
        return None
    moments, buckets = index.levels
    shape = len(moments), len(buckets)
    if shape[0] * shape[1] != len(index):
        return None
    if not (moments.is_monotonic_increasing and buckets.is_monotonic_increasing):
        return None
    if not pd.api.types.is_numeric_dtype(moments.dtype) or moments.hasnans:
        return None
    at, bucket = (np.asarray(codes).reshape(shape) for codes in index.codes)
    in_order = (at == np.arange(shape[0])[:, None]).all() and (bucket == np.arange(shape[1])).all()
    return shape if in_order else None


def moments_of(frame: pd.DataFrame) -> NDArray[np.float64]:
    """The moment of each row, seconds.

    Raises:
        ValueError: They are no numbers.
    """
    try:
        return frame.index.get_level_values(0).to_numpy(dtype=np.float64)
    except (TypeError, ValueError):
        kind = frame.index.get_level_values(0).dtype
        raise ValueError(f"at_s of type {kind}, wanted seconds as numbers") from None


def _of_rows(
    frame: pd.DataFrame, columns: HistColumns, counts: NDArray[np.uint64], notes: list[str]
) -> OverTime:
    """The same of a frame with keys, or one that lacks rows."""
    at_s = moments_of(frame)
    known = np.isfinite(at_s)
    if not known.all():
        notes.append(f"{int((~known).sum()):,} rows without a time are left out")
        frame, counts, at_s = frame[known], counts[known], at_s[known]
    moments, moment = np.unique(at_s, return_inverse=True)
    number = frame.index.get_level_values("bucket").to_numpy()
    buckets, first, bucket = np.unique(number, return_index=True, return_inverse=True)
    cell = _key_numbers(frame.index) * np.int64(max(len(buckets), 1)) + bucket

    order = np.lexsort((moment, cell))
    cell, moment, bucket, value = cell[order], moment[order], bucket[order], counts[order]
    is_new = np.ones(len(order), dtype=bool)
    is_new[1:] = (cell[1:] != cell[:-1]) | (moment[1:] != moment[:-1])
    heads = np.flatnonzero(is_new)
    if len(heads) < len(order):  # the same row twice: added up, as a map's bucket that is named twice
        value = np.add.reduceat(value, heads)
        cell, moment, bucket = cell[heads], moment[heads], bucket[heads]

    before = np.zeros_like(value)
    goes_on = (cell[1:] == cell[:-1]) & (moment[1:] == moment[:-1] + 1)
    before[1:] = np.where(goes_on, value[:-1], np.uint64(0))
    fell = value < before
    ends = np.ones(len(value), dtype=bool)
    ends[:-1] = ~goes_on
    gone = ends & (value > 0) & (moment < len(moments) - 1)
    grown = np.zeros((len(moments), len(buckets)), dtype=np.uint64)
    np.add.at(grown, (moment, bucket), np.where(fell, value, value - before))
    low, high = (frame[name].to_numpy()[first] for name in (columns.low, columns.high))
    return _between(frame, moments, (buckets, low, high), grown, notes, int(fell.sum() + gone.sum()))


def _key_numbers(index: pd.Index) -> NDArray[np.int64]:
    """Number the distinct keys, which are the levels between the first and the last."""
    numbers = np.zeros(len(index), dtype=np.int64)
    for level in range(1, index.nlevels - 1):
        codes, values = pd.factorize(index.get_level_values(level), use_na_sentinel=False)
        numbers = np.unique(numbers * (len(values) + 1) + codes, return_inverse=True)[1].astype(np.int64)
    return numbers


def _between(
    frame: pd.DataFrame,
    moments: NDArray[Any],
    buckets: tuple[NDArray[Any], NDArray[Any], NDArray[Any]],
    grown: NDArray[np.uint64],
    notes: list[str],
    fell: int,
) -> OverTime:
    from_s = float(frame.attrs.get("from_s", 0.0))
    told = "from_s" in frame.attrs or "ktrace" in frame.attrs
    edges = np.concatenate([[from_s], moments.astype(np.float64)])
    first, last = float(edges[1]), float(edges[-1])
    late = not told and len(moments) > 1 and first > LATEST_START * (last - first)
    if first <= from_s or late:
        early = exact_sum(grown[0])
        if early:
            notes.append(f"{early:,} counted before {first:,g} s are not shown")
        edges, grown = edges[1:], grown[1:]
    if fell:
        what = "1 count fell" if fell == 1 else f"{fell:,} counts fell"
        notes.append(f"{what} (reset or deleted) and counts from 0 again")
    bucket, low, high = buckets
    return OverTime(
        edges=edges,
        bucket=bucket,
        low=low,
        high=high,
        counts=grown,
        unit=hist_columns(frame).unit,
        notes=tuple(notes),
    )


def dense_frame(
    at_s: NDArray[np.float64],
    buckets: pd.DataFrame,
    counts: NDArray[np.uint64],
    *,
    from_s: float = 0.0,
    notes: Sequence[str] = (),
) -> pd.DataFrame:
    """A histogram over time with a row for every moment and bucket.

    Args:
        at_s: The moments, seconds, ascending.
        buckets: A histogram of all buckets that occur; its counts are not read.
        counts: What was counted up to each moment: a row per moment, a column per bucket.
        from_s: When the counting began.
        notes: What has to be said of it.
    """
    moments = len(at_s) if len(buckets) else 0
    kept = pd.Index(at_s[:moments], name="at_s", dtype=np.float64)
    moment, bucket = np.arange(moments), np.arange(len(buckets))
    index = pd.MultiIndex(
        levels=[kept, buckets.index],  # type: ignore[list-item]  # pandas takes any index
        codes=[np.repeat(moment, len(bucket)), np.tile(bucket, moments)],  # type: ignore[list-item]
        names=["at_s", "bucket"],
        verify_integrity=False,
    )
    columns = hist_columns(buckets)
    frame = pd.DataFrame(
        {
            columns.low: np.tile(buckets[columns.low].to_numpy(), moments),
            columns.high: np.tile(buckets[columns.high].to_numpy(), moments),
            "count": counts[:moments].reshape(-1),
        },
        index=index,
    )
    frame.attrs["from_s"] = from_s
    if notes:
        frame.attrs["notes"] = list(notes)
    return frame
