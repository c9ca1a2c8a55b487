"""Parts of an event stream, without copying the rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from ktrace_nb.stream.text import number_columns

TIME_NAMES = ("ts", "ts_ns", "at_ns", "time_ns", "timestamp", "timestamp_ns", "time", "at", "ktime", "when")
"""Fields taken for the time of an event where none is named, best first."""


def time_column(frame: pd.DataFrame) -> str | None:
    """The first of :data:`TIME_NAMES` that is a column of a frame; None if none is."""
    return next((name for name in TIME_NAMES if name in frame.columns), None)


class Events:
    """The events of one stream up to a moment, in the order they arrived.

    Records of different C types are apart: ``types`` lists them, ``of()`` picks one.

    Args:
        frames: One frame per C type.
    """

    def __init__(self, frames: Sequence[tuple[str, pd.DataFrame]]) -> None:
        self._frames = tuple(frames)

    @property
    def types(self) -> list[str]:
        """C types of the records, e.g. ``struct event``."""
        return [name for name, _ in self._frames]

    def __len__(self) -> int:
        return sum(len(frame) for _, frame in self._frames)

    def of(self, type_name: str) -> Events:
        """The records of one C type.

        Raises:
            KeyError: None of that type.
        """
        found = [(name, frame) for name, frame in self._frames if name == type_name]
        if not found:
            raise KeyError(f"no records of type {type_name!r}; there is {', '.join(self.types)}")
        return Events(found)

    def frame(self) -> pd.DataFrame:
        """All of them; a view where they are of one type, else with a column ``type`` (str)."""
        if len(self._frames) == 1:
            return self._frames[0][1]
        return pd.concat([frame.assign(type=name) for name, frame in self._frames], ignore_index=True)

    def tail(self, count: int = 20) -> pd.DataFrame:
        """The last to arrive; of every type so many."""
        return Events([(name, frame.tail(count)) for name, frame in self._frames]).frame()

    def head(self, count: int = 20) -> pd.DataFrame:
        """The first to arrive; of every type so many."""
        return Events([(name, frame.head(count)) for name, frame in self._frames]).frame()

    def sorted(self, by: str | None = None) -> pd.DataFrame:
        """All of them by time; events of several CPUs arrive a little out of order.

        Args:
            by: The column that tells the time; by default the first of :data:`TIME_NAMES`.

        Raises:
            ValueError: No such column.
        """
        return self._sorted(by)[0]

    def between(
        self, start: float | None = None, end: float | None = None, by: str | None = None
    ) -> pd.DataFrame:
        """The events of a time window, sorted by time.

        Args:
            start: The first moment, in the unit of the column; None is the beginning.
            end: The moment after the last; None is now.
            by: The column that tells the time, as for :meth:`sorted`.

        Raises:
            ValueError: No such column.
        """
        frame, times = self._sorted(by)
        first = 0 if start is None else _first_at(times, start)
        return frame.iloc[first : len(times) if end is None else _first_at(times, end)]

    def last(self, seconds: float, by: str | None = None) -> pd.DataFrame:
        """The events of the last seconds before the newest, by a column of nanoseconds.

        Raises:
            ValueError: No such column.
        """
        frame, times = self._sorted(by)
        newest = int(times[-1]) if len(times) else 0
        return frame.iloc[_first_at(times, newest - round(seconds * 1e9)) :]

    def arrow(self) -> pa.Table:
        """As an Arrow table: numbers without a copy, categoricals as dictionaries.

        ``polars.from_arrow(events.arrow())`` makes it a polars frame.
        """
        return pa.Table.from_pandas(self.frame(), preserve_index=False)

    def _sorted(self, by: str | None) -> tuple[pd.DataFrame, NDArray[Any]]:
        """All of them by time, and their times."""
        frame = self.frame()
        numbers = number_columns(frame)
        name = by or time_column(frame)
        if name not in numbers:
            what = f"no column {by!r} of numbers" if by else "no column tells the time"
            raise ValueError(f"{what}; say by=..., one of {', '.join(numbers)}")
        times = frame[name].to_numpy()
        # Sorting costs a hundred times what looking does, and is seldom needed.
        if not (times[1:] >= times[:-1]).all():
            order = np.argsort(times, kind="stable")
            frame, times = frame.iloc[order], times[order]
        return frame, times

    def __repr__(self) -> str:
        return f"<{len(self):,} events of {', '.join(self.types)}>"


def _first_at(times: NDArray[Any], moment: float) -> int:
    """Place of the first time that is not before a moment."""
    if times.dtype.kind == "f":
        return int(np.searchsorted(times, moment))
    # A Python integer beside uint64 would be compared as a float.
    limits = np.iinfo(times.dtype)
    whole = math.ceil(moment)
    if whole > limits.max:
        return len(times)
    return int(np.searchsorted(times, times.dtype.type(max(whole, limits.min))))
