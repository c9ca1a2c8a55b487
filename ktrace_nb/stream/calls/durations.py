"""Durations: as people read them, and of calls within others."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Int = NDArray[np.int64]

_UNITS = ((10**9, "s"), (10**6, "ms"), (10**3, "µs"))


def told(ns: int) -> str:
    """Three digits and a unit: ``874 ns``, ``12.3 µs``, ``1.05 ms``, ``120 s``."""
    for size, unit in _UNITS:
        value = ns / size
        if value >= 0.9995:  # three digits would round to 1
            digits = 0 if value >= 99.95 else 1 if value >= 9.995 else 2
            return f"{value:.{digits}f} {unit}"
    return f"{ns} ns"


def summed(values: NDArray[Any] | int, group: NDArray[Any], groups: int) -> Int:
    """Whole numbers added up by group, exactly: in doubles, nanoseconds are exact to 104 days only.

    Args:
        values: Of each its number, or one for all.
        group: Of each the number of its group.
        groups: How many there are.
    """
    total = np.zeros(groups, np.int64)
    np.add.at(total, group, values)
    return total


def time_inside(start: Int, duration: Int, call: Int, outer: Int) -> Int:
    """How much of some calls lies within those they were made from.

    An entry gets its time last and a return first, so that a call is not charged with what it
    costs to record it. What an interrupt calls in those moments is recorded inside the call, of
    which it is, though it begins before it or ends after it: of that, only what lies within counts.

    Args:
        start: Of all calls, nanoseconds.
        duration: Of all calls, nanoseconds; -1 if not known.
        call: Which calls.
        outer: Of each the call it was made from.

    Returns:
        Nanoseconds, 0 for a call without a return.
    """
    begin, end = start[call], start[call] + duration[call]
    known = duration[outer] >= 0
    end = np.where(known, np.minimum(end, start[outer] + duration[outer]), end)
    inside: Int = np.maximum(end - np.maximum(begin, start[outer]), 0)
    return inside
