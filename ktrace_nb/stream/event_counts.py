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
NAMES = 4096
"""Processes that are told apart; those that come later are counted with the others."""
OTHERS = "all other processes"
"""Longer than the name of any process."""

_EARLY_NS = 1_000_000_000
"""So long before everything was attached an event may have happened; earlier times are of another clock."""
_LONGEST_NS = 10 * 365 * 86_400 * 10**9
_LEAST_SHARE = 0.2
"""A spell that has just begun tells no rate."""
_ROWS = 1000
"""So many events tell which column is the clock."""
_UNITS_NS = {"us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}


@dataclass(frozen=True, slots=True)
class Clock:
    """The column that tells when an event happened."""

    column: str
    unit_ns: int
    """Nanoseconds in one of its units."""

    def at_ns(self, frame: pd.DataFrame) -> NDArray[np.int64]:
        """When each event happened, nanoseconds; the least int64 where it does not tell."""
        times = frame[self.column].to_numpy(dtype=np.float64, na_value=np.nan)
        told = np.abs(times) < 2.0**62 / self.unit_ns
        exact = frame[self.column].where(told, 0).to_numpy().astype(np.int64) * self.unit_ns
        return np.where(told, exact, np.iinfo(np.int64).min)

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
        if name in numbers:
            clock = Clock(name, _UNITS_NS.get(name.rpartition("_")[2], 1))
            since_ns = clock.at_ns(frame.head(_ROWS)).astype(np.float64) - origin_ns
            if ((since_ns >= -_EARLY_NS) & (since_ns < _LONGEST_NS)).any():
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
        self.left_out = 0
        """Events whose time is not one of the trace's."""

    def add(self, at_ns: NDArray[np.int64], names: pd.Series[Any] | None, *, until_ns: int) -> None:
        """Take in more events.

        Args:
            at_ns: When each happened.
            names: Who made it happen, aligned with them; None if that is not told.
            until_ns: Later ones cannot have happened yet.
        """
        right = (at_ns >= self._origin_ns - _EARLY_NS) & (at_ns <= until_ns)
        self.left_out += int((~right).sum())
        bins = np.floor_divide(at_ns[right] - self._origin_ns, round(self._width_s * 1e9))
        who = np.zeros(len(bins), dtype=np.int64) if names is None else names[right].astype(str).to_numpy()
        codes, known = pd.factorize(who)
        pairs, counted = np.unique(np.stack([codes, bins]), axis=1, return_counts=True)
        for (code, number), count in zip(pairs.T.tolist(), counted.tolist(), strict=True):
            name = "" if names is None else str(known[code])
            if name not in self._counts and len(self._counts) >= NAMES:
                name = OTHERS
            counts = self._counts.setdefault(name, {})
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

    def frame(self, until_s: float) -> pd.DataFrame:
        """The rates of those with most events, the others together.

        Args:
            until_s: Up to when events were taken in, seconds since the trace began: the last
                spell of time is as long as it is by then.

        Returns:
            Indexed by ``at_s`` (float64, seconds since the trace began; the end of the time the
            rate is of) and, where events tell who made them, ``comm`` (str): ``events_per_s`` (float64).
        """
        ranked = sorted(self._counts, key=lambda name: (name == OTHERS, -sum(self._counts[name].values())))
        lines = {name: self._counts[name] for name in ranked[:KEYS]}
        for name in ranked[KEYS:]:
            rest = lines.setdefault(OTHERS, {})
            for number, count in self._counts[name].items():
                rest[number] = rest.get(number, 0) + count
        at_s, spells = self._spells([number for counts in lines.values() for number in counts], until_s)
        rates = [counts.get(number, 0) / long for number, long in spells for counts in lines.values()]
        index: pd.Index = pd.MultiIndex.from_product([at_s, list(lines)], names=["at_s", "comm"])
        if list(lines) in ([], [""]):
            index = pd.Index(at_s, name="at_s", dtype=np.float64)
        frame = pd.DataFrame({"events_per_s": np.array(rates, dtype=np.float64)}, index=index)
        if self.left_out:
            frame.attrs["left_out"] = {"time of another clock": self.left_out}
        return frame

    def _spells(self, numbers: list[int], until_s: float) -> tuple[list[float], list[tuple[int, float]]]:
        """The ends of all spells of time, and of each its number and how long it is."""
        if not numbers:
            return [], []
        width = self._width_s
        last = max(*numbers, int(until_s // width))
        whole = [(number, width) for number in range(min(numbers), last)]
        ends = [(number + 1) * width for number, _ in whole]
        rest = until_s - last * width
        if rest >= _LEAST_SHARE * width:
            return [*ends, until_s], [*whole, (last, min(rest, width))]
        return ends, whole
