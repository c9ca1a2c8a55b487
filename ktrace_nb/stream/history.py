"""What a map held over time, in bounded memory.

Snapshots are kept as the bytes that came and decoded when asked for. When they
take more than their share of memory every second one goes, and the interval
between those to come doubles: a long trace is told more coarsely, never cut off.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.stream.maps import MapSnapshot

EVERY_S = 1.0
KEEP_BYTES = 32 << 20
"""Bytes of snapshots kept per map."""


class History:
    """Snapshots of one map at an interval.

    Args:
        every_s: Seconds between snapshots kept, to begin with.
        keep_bytes: How much they may take.
    """

    def __init__(self, every_s: float = EVERY_S, keep_bytes: int = KEEP_BYTES) -> None:
        self.every_ns = round(every_s * 1e9)
        """Least time between snapshots kept, nanoseconds; it doubles when memory is full."""
        self._keep_bytes = keep_bytes
        self._kept: list[MapSnapshot] = []
        self._newest: MapSnapshot | None = None

    def add(self, snapshot: MapSnapshot) -> None:
        """Take in the newest snapshot."""
        self._newest = snapshot
        # Snapshots come when they come: one a little early is not left for the next.
        if self._kept and snapshot.at_ns - self._kept[-1].at_ns < 0.9 * self.every_ns:
            return
        self._kept.append(snapshot)
        while len(self._kept) > 2 and sum(map(_size, self._kept)) > self._keep_bytes:
            self._kept = self._kept[::2]
            self.every_ns *= 2

    @property
    def snapshots(self) -> list[MapSnapshot]:
        """Those kept, oldest first, and the newest."""
        newest = self._newest
        return [*self._kept, *([newest] if newest and newest is not self._kept[-1] else [])]

    def pair(self, over_ns: int) -> tuple[MapSnapshot, MapSnapshot] | None:
        """The newest snapshot, and before it one that is at least so much older, or the oldest."""
        if self._newest is None or self._newest is self._kept[0]:
            return None
        newest = self._newest
        older = [s for s in self._kept if newest.at_ns - s.at_ns >= over_ns]
        return (older or self._kept[:1])[-1], newest


def _size(snapshot: MapSnapshot) -> int:
    return len(snapshot.keys) + len(snapshot.values)


def rates_frame(before: pd.DataFrame, after: pd.DataFrame, seconds: float) -> pd.DataFrame:
    """How fast each number of a map grew.

    Args:
        before: The map as it was; a key that was not there yet counts from 0.
        after: The map as it is.
        seconds: Time between the two.

    Returns:
        Indexed as ``after``, one float64 column per numeric column of it, named
        ``COLUMN_per_s``. Negative where a value fell; bounds of buckets stay as they are.
    """
    place = before.index.get_indexer(after.index)
    columns: dict[str, NDArray[Any]] = {}
    for name, values in after.items():
        text, now = str(name), values.to_numpy()
        if text.partition("_")[0] in ("low", "high") and "count" in after.columns:
            columns[text] = now
        elif now.dtype.kind in "iuf":
            start = np.where(place < 0, now.dtype.type(0), before[name].to_numpy()[place])
            columns[f"{text}_per_s"] = _difference(now, start) / seconds
    return pd.DataFrame(columns, index=after.index)


def _difference(now: NDArray[Any], start: NDArray[Any]) -> NDArray[np.float64]:
    # Exact before it becomes a float: numbers near 2**64 differ in digits no float has.
    grown = now >= start
    change: NDArray[np.float64] = np.where(grown, now - start, start - now).astype(np.float64)
    return np.where(grown, change, -change)


def history_frame(snapshots: Sequence[tuple[float, pd.DataFrame]]) -> pd.DataFrame:
    """Frames of one map at several moments, as one.

    Args:
        snapshots: Seconds since the trace began, and the frame of that moment.

    Returns:
        The frames' columns; the index has a first level ``at_s`` (float64, seconds).
    """
    if not snapshots:
        return pd.DataFrame()
    times, frames = zip(*snapshots, strict=True)
    whole: pd.DataFrame = pd.concat(frames, keys=times, names=["at_s"])
    return whole
