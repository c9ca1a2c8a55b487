"""By which number a page knows a row of a table."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

import pandas as pd

MOST_LABELS = 1000
"""So many rows keep their number, those that were shown last."""


def canonical(label: Hashable) -> Hashable:
    """The label, or one that equals itself if something in it is missing: NaN does not."""
    if isinstance(label, tuple):
        return tuple(canonical(part) for part in label)
    return None if is_missing(label) else label


def is_missing(value: Any) -> bool:
    """Whether a cell's value is missing, of whatever kind."""
    if value is pd.NA or value is pd.NaT:
        return True
    return isinstance(value, float) and value != value


class RowNumbers:
    """Numbers of rows, by the labels of a frame's index.

    A click says which row was meant by its number, and may come when the table shows others:
    a number never means another row, and the latest ``MOST_LABELS`` are known. Told by one
    thread, asked by any.
    """

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}
        """In the order in which they were last shown."""

        self._labels: dict[int, Hashable] = {}
        self._next = 0

    def told(self, labels: Iterable[Hashable]) -> list[int]:
        """The numbers of the rows that are shown now."""
        numbers = [self._number(label) for label in labels]
        while len(self._numbers) > MOST_LABELS:
            oldest = next(iter(self._numbers))
            self._labels.pop(self._numbers.pop(oldest), None)
        return numbers

    def labels(self, numbers: Iterable[Any]) -> list[Hashable]:
        """The labels of the rows that are known by these numbers."""
        known = self._labels.copy()  # at once: the other thread may be about to drop some
        return [known[number] for number in numbers if isinstance(number, int) and number in known]

    def _number(self, label: Hashable) -> int:
        key = canonical(label)
        number = self._numbers.pop(key, None)
        if number is None:
            number, self._next = self._next, self._next + 1
            self._labels[number] = label
        self._numbers[key] = number
        return number
