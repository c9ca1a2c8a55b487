"""How many events came per second, by their own time, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.stream.text import number_columns
from ktrace_nb.stream.window import TIME_NAMES

BINS = 600
KEYS = 12
_NEAR_NS = 86_400 * 10**9
"""A time further from the trace's beginning is of another clock."""
_UNITS_NS = {"us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}


@dataclass(frozen=True, slots=True)
class Clock:
    """The column that tells when an event happened."""

    column: str
    unit_ns: int
    """Nanoseconds in one of its units."""

    def at_ns(self, frame: pd.DataFrame) -> NDArray[np.int64]:
        """When each event happened, nanoseconds; beyond int64 it wraps, as no trace goes there."""
        times = frame[self.column].to_numpy()
        return times.astype(np.int64) * self.unit_ns

    def reading(self, at_ns: int) -> int:
        """What it reads at a moment."""
        return at_ns // self.unit_ns


def clock_of(frame: pd.DataFrame, origin_ns: int) -> Clock | None:
    """The clock of some events, None if none of their columns tells the trace's time.

    Args:
        frame: Events.
        origin_ns: When the trace began, ``CLOCK_MONOTONIC`` of the target.
    """
    numbers = set(number_columns(frame))
    for name in TIME_NAMES:
        if name in numbers and len(frame):
            clock = Clock(name, _UNITS_NS.get(name.rpartition("_")[2], 1))
            if abs(int(clock.at_ns(frame.head(1))[0]) - origin_ns) < _NEAR_NS:
                return clock
    return None


class EventCounts:
    """Events per second and process.

    Args:
        origin_ns: When the trace began, nanoseconds on the clock of the events.
        bins: How many spells of time are told apart at most; then two become one.
    """

    def __init__(self, origin_ns: int, bins: int = BINS) -> None:
        self._origin_ns = origin_ns
        self._most = bins
        self._width_s = 1.0
        self._counts: dict[Any, dict[int, int]] = {}

    def add(self, at_ns: NDArray[np.int64], names: pd.Series[Any] | None) -> None:
        """Take in more events.

        Args:
            at_ns: When each happened.
            names: Who made it happen, aligned with them; None if that is not told.
        """
        bins = np.floor_divide(at_ns - self._origin_ns, round(self._width_s * 1e9))
        who = np.zeros(len(bins), dtype=np.int64) if names is None else names.astype(str).to_numpy()
        codes, known = pd.factorize(who)
        pairs, counted = np.unique(np.stack([codes, bins]), axis=1, return_counts=True)
        for (code, number), count in zip(pairs.T.tolist(), counted.tolist(), strict=True):
            counts = self._counts.setdefault("" if names is None else str(known[code]), {})
            counts[number] = counts.get(number, 0) + count
        while self._span() > self._most:
            self._width_s *= 2
            for name, counts in self._counts.items():
                merged: dict[int, int] = {}
                for number, count in counts.items():
                    merged[number // 2] = merged.get(number // 2, 0) + count
                self._counts[name] = merged

    def _span(self) -> int:
        numbers = [number for counts in self._counts.values() for number in (min(counts), max(counts))]
        return max(numbers) - min(numbers) + 1 if numbers else 0

    def frame(self) -> pd.DataFrame:
        """The rates of those with most events, the others together.

        Returns:
            Indexed by ``at_s`` (float64, seconds since the trace began; the end of the time the
            rate is of) and, where events tell who made them, ``comm`` (str): ``events_per_s`` (float64).
        """
        ranked = sorted(self._counts, key=lambda name: -sum(self._counts[name].values()))
        shown, others = ranked[:KEYS], ranked[KEYS:]
        lines = {name: self._counts[name] for name in shown}
        if others:
            rest: dict[int, int] = {}
            for name in others:
                for number, count in self._counts[name].items():
                    rest[number] = rest.get(number, 0) + count
            lines["(others)"] = rest
        numbers = [number for counts in lines.values() for number in counts]
        spells = range(min(numbers), max(numbers) + 1) if numbers else range(0)
        at_s = [(number + 1) * self._width_s for number in spells]
        index: pd.Index = pd.MultiIndex.from_product([at_s, list(lines)], names=["at_s", "comm"])
        if list(lines) in ([], [""]):
            index = pd.Index(at_s, name="at_s", dtype=np.float64)
        rates = [counts.get(number, 0) / self._width_s for number in spells for counts in lines.values()]
        return pd.DataFrame({"events_per_s": np.array(rates, dtype=np.float64)}, index=index)
