"""From one value of a counter to the next: how much it counted, or why nobody knows.

A counter that fell has either come to its end and begun at 0 again, or was set back. It is
taken for the former only if it went from the last quarter of its range to the first, within the
life of one kstat; everything else has no rate. A rate that is told is right, or its note says
what it rests on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ktrace_nb.kstat.model import Number, Type

NEW = "new"
"""It was not there before."""

GONE = "gone"
"""It is not there any more."""

AGAIN = "created anew"
"""Its kstat went and came between the two moments, or its kernel began anew."""

RESET = "fell"
"""It is less than it was and has not wrapped."""

WRAPPED = "wrapped"
"""It came to its end and began at 0 again, and its rate is of that."""

STILL = "no time passed"
"""Both values are of the same moment, or the later one is of an earlier moment."""

CHANGED = "another type"
"""It has become a number of another type, or no counter."""

NOTES: Final = (NEW, GONE, AGAIN, RESET, WRAPPED, STILL, CHANGED)

_RANGES: Final[Mapping[Type, int]] = {Type.UINT32: 2**32, Type.UINT64: 2**64}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A counter at one moment."""

    value: Number
    type: Type
    crtime_ns: int
    """When its kstat was created."""
    snaptime_ns: int
    """When the value was taken, the same clock."""
    unit: str = ""
    counter: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What lies between two samples."""

    delta: Number | None = None
    seconds: float = math.nan
    note: str = ""

    @property
    def rate(self) -> float:
        """Per second; NaN if it is not known."""
        return math.nan if self.delta is None else self.delta / self.seconds


def step(before: Sample | None, after: Sample | None, *, same_kernel: bool = True) -> Step:
    """How a counter went from one sample to the next.

    Args:
        before: The earlier sample; None if it was not there.
        after: The later one; None if it is not there.
        same_kernel: Whether it ran all the time: what exists from boot on was created at 0 in each life.
    """
    if before is None:
        return Step(note=NEW)
    if after is None:
        return Step(note=GONE)
    seconds = (after.snaptime_ns - before.snaptime_ns) / 1e9
    if before.crtime_ns != after.crtime_ns or not same_kernel:
        return Step(seconds=seconds, note=AGAIN)
    if before.type is not after.type or not (before.counter and after.counter):
        return Step(seconds=seconds, note=CHANGED)
    if seconds <= 0:
        return Step(seconds=seconds, note=STILL)
    delta = after.value - before.value
    if delta >= 0:
        return Step(delta=delta, seconds=seconds)
    range_ = _RANGES.get(after.type)
    if range_ and before.value >= range_ // 4 * 3 and after.value < range_ // 4:
        return Step(delta=delta + range_, seconds=seconds, note=WRAPPED)
    return Step(seconds=seconds, note=RESET)
