"""A histogram over time that grows while it is looked at, in bounded memory.

A running trace has its histogram as it stands. :class:`HeatHistory` is given it
now and then, and keeps what was counted in between: a column per interval. When
there is no room for another column, neighbours are added up two by two, so that
a long trace is told more coarsely and never cut off.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.stream.histogram import hist_columns, is_log2, linear_hist, log2_bounds, log2_hist
from ktrace_nb.stream.intervals import dense_frame

MOST_COLUMNS = 400
MOST_BUCKETS = 256
"""Buckets that are told apart; a linear histogram that hits more has neighbours added up."""

EVERY_S = 0.5


class HeatHistory:
    """Takes a histogram as it stands, again and again; any thread.

    Args:
        every_s: Seconds that an interval is long, to begin with.
        most: How many intervals there may be.
        from_s: When the counting began.
    """

    def __init__(self, *, every_s: float = EVERY_S, most: int = MOST_COLUMNS, from_s: float = 0.0) -> None:
        if most < 2 or not every_s > 0:
            raise ValueError(f"{most} intervals of {every_s:g} s, wanted 2 or more of more than 0 s")
        self.every_s = every_s
        """Seconds that an interval is long; it doubles when there is no room for more."""
        self.merged = 1
        """How many buckets of the histogram share one here."""
        self.fell = 0
        """How many counts were less than before and so count from 0 again."""
        self._most = most
        self._lock = threading.Lock()
        self._edges = np.full(most + 1, from_s)
        self._columns = 0
        self._bucket: NDArray[Any] = np.empty(0, dtype=np.int64)
        self._counts = np.zeros((most, 0), dtype=np.uint64)
        self._low = 0
        self._step = 0
        """Of a linear histogram: the lowest value of bucket 0, and how many values share a bucket, else 0."""
        self._zero_in_one = True
        self._unit = ""
        self._before: tuple[pd.Index, NDArray[np.uint64]] | None = None
        self._frame: pd.DataFrame | None = None
        self._buckets: pd.DataFrame | None = None

    def __len__(self) -> int:
        return self._columns

    @property
    def at_s(self) -> float:
        """Up to when it knows, seconds."""
        return float(self._edges[self._columns])

    def add(self, at_s: float, frame: pd.DataFrame) -> None:
        """Take in the histogram as it stands.

        Args:
            at_s: When that was, seconds; what is not later than before is passed over.
            frame: As :func:`ktrace_nb.stream.histogram.log2_hist` or ``linear_hist``
                gives it, with or without keys, which are added up.

        Raises:
            ValueError: The frame is not a histogram.
        """
        with self._lock:
            if not at_s > self.at_s:
                return
            number, grown = self._growth(frame)
            if self._columns == self._most and self._is_over(at_s):
                self._halve()
            if self._columns == 0 or self._is_over(at_s):
                self._columns += 1
            self._edges[self._columns] = at_s
            places = self._places(number)
            np.add.at(self._counts[self._columns - 1], places, grown)
            self._frame = None

    def take(self, history: pd.DataFrame) -> None:
        """Take in what ``session.history(name)`` gives, as far as it is later.

        Raises:
            ValueError: It is not a histogram over time.
        """
        for at_s, frame in history.groupby(level="at_s", sort=True):
            self.add(float(at_s), frame.droplevel("at_s"))  # type: ignore[arg-type]  # a number

    def frame(self) -> pd.DataFrame:
        """All of it, as :func:`ktrace_nb.stream.intervals.intervals_of` and ``heatmap`` want it.

        A row for each interval and each bucket that occurs; ``count`` is what was counted up
        to the end of the interval. The same object until something is added.
        """
        with self._lock:
            if self._frame is None:
                counts = self._counts[: self._columns].cumsum(axis=0, dtype=np.uint64)
                ends = self._edges[1 : self._columns + 1]
                if self._buckets is None:
                    ones = np.ones(len(self._bucket), dtype=np.uint64)
                    self._buckets = self._laid_out(self._bucket, ones).loc[self._bucket]
                from_s, notes = float(self._edges[0]), self._notes()
                self._frame = dense_frame(ends, self._buckets, counts, from_s=from_s, notes=notes)
            return self._frame

    def between(self, from_s: float, to_s: float) -> pd.DataFrame:
        """What was counted in a window of time, keys added up.

        Args:
            from_s: Its begin, seconds.
            to_s: Its end; intervals whose middle is in the window belong to it, or the one
                in which a narrow window lies.

        Returns:
            A histogram as :func:`ktrace_nb.stream.histogram.log2_hist` or ``linear_hist`` gives it.
        """
        with self._lock:
            first, end = self._range(from_s, to_s)
            return self._laid_out(self._bucket, self._counts[first:end].sum(axis=0, dtype=np.uint64))

    def _range(self, from_s: float, to_s: float) -> tuple[int, int]:
        edges = self._edges[: self._columns + 1]
        if to_s <= edges[0] or from_s >= edges[-1]:
            return 0, 0
        middles = (edges[1:] + edges[:-1]) / 2
        first, end = (int(place) for place in np.searchsorted(middles, (from_s, to_s)))
        if first >= end and self._columns:
            first = int(np.searchsorted(edges, (from_s + to_s) / 2, side="right")) - 1
            first = min(max(first, 0), self._columns - 1)
            end = first + 1
        return first, end

    def _is_over(self, at_s: float) -> bool:
        """Whether the newest interval would become too long."""
        # What comes comes when it comes: a little late is not the next interval.
        return at_s - float(self._edges[self._columns - 1]) > 1.05 * self.every_s

    def _halve(self) -> None:
        pairs = self._most // 2
        left = self._most - pairs
        self._counts[:pairs] = self._counts[: 2 * pairs : 2] + self._counts[1 : 2 * pairs : 2]
        self._counts[pairs:left] = self._counts[2 * pairs :]
        self._counts[left:] = 0
        self._edges[1 : pairs + 1] = self._edges[2 : 2 * pairs + 1 : 2]
        self._edges[left] = self._edges[self._most]
        self._columns = left
        self.every_s *= 2

    def _growth(self, frame: pd.DataFrame) -> tuple[NDArray[Any], NDArray[np.uint64]]:
        """What each row of a frame has counted since the last one: its bucket, and how much."""
        before = self._before
        same = before is not None and before[0].equals(frame.index)
        if not same:
            self._learn(frame)
        counts = frame["count"].to_numpy().astype(np.uint64)
        self._before = frame.index, counts
        start = np.zeros(len(counts), dtype=np.uint64)
        if before is not None and same:
            start = before[1]
        elif before is not None and len(before[0]):
            place = before[0].get_indexer(frame.index)
            start = np.where(place < 0, np.uint64(0), before[1][place])
            self.fell += int(before[1].astype(bool).sum()) - int((start > 0).sum())
        fell = counts < start
        self.fell += int(fell.sum())
        grown = np.where(fell, counts, counts - start)
        hit = grown > 0
        return frame.index.get_level_values("bucket").to_numpy()[hit], grown[hit]

    def _learn(self, frame: pd.DataFrame) -> None:
        """How the buckets lie: those of a single one may be of either kind."""
        columns = hist_columns(frame)
        self._unit = columns.unit
        number = frame.index.get_level_values("bucket").to_numpy()
        low, high = frame[columns.low].to_numpy(), frame[columns.high].to_numpy()
        if not len(number):
            return
        self._buckets = None
        self._zero_in_one &= not ((number == 0).any() or low[number == 1].any())
        if is_log2(number):
            bounds = log2_bounds(number.astype(np.int64), bcc=False)
            open_below = (number == 1) & (low == 0)
            if ((low == bounds[0]) | open_below).all() and (high == bounds[1]).all():
                return
        self._step = int(high[0]) - int(low[0]) + 1
        self._low = int(low[0]) - int(number[0]) * self._step

    def _places(self, number: NDArray[Any]) -> NDArray[np.intp]:
        """Where buckets are counted; new ones get room."""
        number = number // number.dtype.type(self.merged) if self.merged > 1 else number
        if not np.isin(number, self._bucket).all():
            self._make_room(number)
            while len(self._bucket) > MOST_BUCKETS and self._step:
                number = self._coarsen(number)
        return np.searchsorted(self._bucket, number)

    def _make_room(self, number: NDArray[Any]) -> None:
        known = self._bucket
        if known.dtype != number.dtype and len(known):  # numpy would take both for reals
            known, number = (column.astype(object) for column in (known, number))
        both = np.unique(np.concatenate([known, number]) if len(known) else number)
        counts = np.zeros((self._most, len(both)), dtype=np.uint64)
        counts[:, np.searchsorted(both, known)] = self._counts
        self._bucket, self._counts, self._buckets = both, counts, None

    def _coarsen(self, number: NDArray[Any]) -> NDArray[Any]:
        """Add neighbouring buckets up: 1, 2, 10, 20, 100 ... of the histogram's share one."""
        by = 2 if str(self.merged)[0] == "1" else 5
        self.merged *= by
        bucket, place = np.unique(self._bucket // by, return_inverse=True)
        counts = np.zeros((self._most, len(bucket)), dtype=np.uint64)
        np.add.at(counts.T, place, self._counts.T)
        self._bucket, self._counts, self._buckets = bucket, counts, None
        return number // by

    def _laid_out(self, bucket: NDArray[Any], counts: NDArray[np.uint64]) -> pd.DataFrame:
        hit = counts > 0
        bucket, counts, unit = bucket[hit], counts[hit], self._unit or None
        if not self._step:
            return log2_hist(bucket.astype(np.int64), counts, unit=unit, bcc=self._zero_in_one)
        numbers = np.array(bucket.tolist(), dtype=np.uint64 if _is_wide(bucket) else np.int64)
        step = self._step * self.merged
        top = self._low + (int(bucket[-1]) + 1) * step - 1 if len(bucket) else 0
        if self._low >= 0 and top >= 2**64:
            return self._cut_off(numbers, counts, step)
        return linear_hist(numbers, counts, step=step, start=self._low, unit=unit)

    def _cut_off(self, numbers: NDArray[Any], counts: NDArray[np.uint64], step: int) -> pd.DataFrame:
        """The same where the last bucket, made of several, would go beyond 64 bits."""
        low = [self._low + number * step for number in numbers.tolist()]
        high = [min(start + step, 2**64) - 1 for start in low]
        suffix = f"_{self._unit}" if self._unit else ""
        bounds = {f"low{suffix}": np.array(low, np.uint64), f"high{suffix}": np.array(high, np.uint64)}
        return pd.DataFrame({**bounds, "count": counts}, index=pd.Index(numbers, name="bucket"))

    def _notes(self) -> list[str]:
        if not self.fell:
            return []
        what = "1 count fell" if self.fell == 1 else f"{self.fell:,} counts fell"
        return [f"{what} (reset or deleted) and counts from 0 again"]


def _is_wide(bucket: NDArray[Any]) -> bool:
    return bool(len(bucket)) and int(bucket[-1]) > np.iinfo(np.int64).max
