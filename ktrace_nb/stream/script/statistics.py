"""Statistics of a stream of integers: what ``<<<`` collects and ``@count`` ... ``@hist_log`` tell.

Buckets of a ``@hist_log``: bucket 64 is 0, bucket ``64 + n`` has the numbers of
``n`` bits (2**(n-1) to 2**n - 1), bucket ``64 - n`` the same below zero; 128 in all.
Buckets of a ``@hist_linear``: bucket 0 has what is below ``low``, bucket 1 begins at
``low``, each holds ``step`` numbers, and the last has what lies above.
Source: SystemTap ``runtime/stat-common.c``, ``runtime/stat.h``.

The variance is that of a sample, (n·Σx² - (Σx)²) / (n·(n-1)), rounded down, from an
exact sum of squares. SystemTap approaches it with Welford's method in integers
(``runtime/stat-common.c``) and comes closer the greater the ``bit_shift`` in
``@variance(x, bit_shift)`` is; here that has no effect, and parts from several CPUs
add up to the same number as the whole.
"""

from __future__ import annotations

from collections.abc import Iterable

from ktrace_nb.ir.script import HistogramShape
from ktrace_nb.stream.script.errors import ScriptError
from ktrace_nb.stream.script.values import divide, wrap

LOG_BUCKETS = 128
LOG_ZERO = 64
"""The bucket of 0 in a power-of-two histogram."""
MOST_BUCKETS = 128
"""Buckets a linear histogram may have, the two outer ones included."""


def bucket_count(shape: HistogramShape) -> int:
    """How many buckets a histogram has.

    Raises:
        ValueError: Bounds and step of a linear one make too many, or none.
    """
    if shape.is_log:
        return LOG_BUCKETS
    count = divide(shape.high - shape.low, shape.step) + 3
    if not 3 <= count <= MOST_BUCKETS:
        raise ValueError(f"a histogram of {count - 2} buckets, wanted 1 to {MOST_BUCKETS - 2}")
    return count


def bucket_of(value: int, shape: HistogramShape) -> int:
    """The bucket a number falls in."""
    if shape.is_log:
        return LOG_ZERO + value.bit_length() if value >= 0 else LOG_ZERO - value.bit_length()
    if value < shape.low:
        return 0
    return min((value - shape.low) // shape.step + 1, bucket_count(shape) - 1)


def low_of(bucket: int, shape: HistogramShape) -> int:
    """The number that names a bucket: of those in it, the one that is nearest to zero, or the lowest.

    The first bucket of a linear histogram is named by what its numbers are less than,
    the last by the bucket before it.
    """
    if shape.is_log:
        if bucket == LOG_ZERO:
            return 0
        return 1 << (bucket - LOG_ZERO - 1) if bucket > LOG_ZERO else -(1 << (LOG_ZERO - 1 - bucket))
    if bucket == 0:
        return shape.low
    last = bucket == bucket_count(shape) - 1
    return shape.low + (bucket - 1 - last) * shape.step


class Statistics:
    """What is known of the numbers that were added.

    Args:
        shapes: The histograms to keep.
    """

    __slots__ = ("buckets", "count", "highest", "lowest", "squares", "total")

    def __init__(self, shapes: Iterable[HistogramShape] = ()) -> None:
        self.count = 0
        self.total = 0
        """Sum of the numbers, as great as it is."""
        self.lowest = 0
        self.highest = 0
        self.squares = 0
        """Sum of their squares, as great as it is."""
        self.buckets: dict[HistogramShape, dict[int, int]] = {shape: {} for shape in shapes}
        """Of each histogram, the counts of the buckets that were hit."""

    def add(self, value: int) -> None:
        """Take a number in."""
        if not self.count:
            self.lowest = self.highest = value
        elif value < self.lowest:
            self.lowest = value
        elif value > self.highest:
            self.highest = value
        self.count += 1
        self.total += value
        self.squares += value * value
        for shape, counts in self.buckets.items():
            bucket = bucket_of(value, shape)
            counts[bucket] = counts.get(bucket, 0) + 1

    def merge(self, other: Statistics) -> None:
        """Take in what others are known to have added; histograms that only they keep are left out."""
        if not other.count:
            return
        self.lowest = min(self.lowest, other.lowest) if self.count else other.lowest
        self.highest = max(self.highest, other.highest) if self.count else other.highest
        self.count += other.count
        self.total += other.total
        self.squares += other.squares
        for shape, counts in self.buckets.items():
            for bucket, count in other.buckets.get(shape, {}).items():
                counts[bucket] = counts.get(bucket, 0) + count

    @property
    def sum(self) -> int:
        """Sum of the numbers in 64 bits; 0 of none."""
        return wrap(self.total)

    def value(self, what: str) -> int:
        """``count``, ``sum``, ``min``, ``max``, ``avg`` (rounded towards zero) or ``variance``.

        Raises:
            ScriptError: Nothing was added, and it is neither the count nor the sum.
        """
        if what == "count":
            return self.count
        if what == "sum":
            return self.sum
        self.check()
        if what == "min":
            return self.lowest
        if what == "max":
            return self.highest
        if what == "avg":
            return divide(self.sum, self.count)
        if what == "variance":
            return self._variance()
        raise ValueError(f"no statistic {what!r}")

    def _variance(self) -> int:
        n = self.count
        return wrap((n * self.squares - self.total**2) // (n * (n - 1))) if n > 1 else 0

    def bucket(self, shape: HistogramShape, index: int) -> int:
        """The count of a bucket.

        Raises:
            ScriptError: Nothing was added, or there is no such bucket.
        """
        self.check()
        if not 0 <= index < bucket_count(shape):
            raise ScriptError("histogram index out of range")
        return self.buckets[shape].get(index, 0)

    def check(self) -> None:
        """Raise if nothing was added.

        Raises:
            ScriptError: In SystemTap's words.
        """
        if not self.count:
            raise ScriptError("empty aggregate")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Statistics) and all(
            getattr(self, name) == getattr(other, name) for name in Statistics.__slots__
        )

    def __repr__(self) -> str:
        return f"Statistics(count={self.count}, sum={self.total}, min={self.lowest}, max={self.highest})"
