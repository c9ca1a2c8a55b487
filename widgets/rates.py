"""How fast the rows of a live table change, and which are new.

A row is known again by its key: the labels of an index that has names, else the columns that
say who or what (:func:`ktrace_nb.stream.selection.keys_of`). Rates are those between the two
latest looks, a second apart: numbers that change five times a second cannot be read.
Only rows that are shown are looked up, each once per look.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.stream.selection import keys_of
from ktrace_nb.widgets.rows import Column
from ktrace_nb.widgets.table_numbers import is_missing

LOOK_S = 1.0
"""Time between two looks, seconds, at least."""

_AVERAGES = frozenset(
    {"mean", "avg", "average", "min", "max", "median", "share", "percent", "pct", "rate", "ratio", "std"}
)

_NOT_FOUND = -1
_Key = tuple[Hashable, ...]


def grows(column: Column) -> bool:
    """Whether a column's change per second means something: not that of an average or a frequency."""
    words = column.name.lower().split("_")
    return (
        column.is_measure
        and column.unit not in ("share", "hz", "khz", "per_s", "bytes_per_s")
        and "per" not in words
        and not _AVERAGES.intersection(words)
        and words[0] != "at"
    )


def key_columns(frame: pd.DataFrame, columns: Sequence[Column]) -> tuple[Column, ...]:
    """The columns that tell rows apart; none if there are none."""
    levels = tuple(column for column in columns if column.is_level)
    if levels:
        return levels
    names = set(keys_of(frame))
    return tuple(column for column in columns if column.name in names)


@dataclass(slots=True)
class _Look:
    """A frame at a moment, and where rows were found in it."""

    at_s: float
    frame: pd.DataFrame
    found: dict[_Key, int] = field(default_factory=dict)

    def find(self, keys: Sequence[Column], wanted: Sequence[_Key], places: NDArray[np.intp]) -> list[int]:
        """Where the rows of these keys are, -1 for those it has not; they are sought at ``places`` first."""
        unknown = [place for key, place in zip(wanted, places.tolist(), strict=True) if key not in self.found]
        here = np.array([place for place in unknown if place < len(self.frame)], dtype=np.intp)
        self._note(keys, here)
        left = {key for key in wanted if key not in self.found}
        if left:
            rows = np.arange(0) if not len(self.frame) else self._candidates(keys, left)
            self._note(keys, rows)
            for key in left:
                self.found.setdefault(key, _NOT_FOUND)
        return [self.found[key] for key in wanted]

    def _note(self, keys: Sequence[Column], places: NDArray[np.intp]) -> None:
        for key, place in zip(rows_of(self.frame, keys, places), places.tolist(), strict=True):
            self.found.setdefault(key, place)

    def _candidates(self, keys: Sequence[Column], wanted: set[_Key]) -> NDArray[np.intp]:
        """Rows that have a wanted value in each of the key columns."""
        rows: NDArray[np.intp] | None = None
        for number, column in enumerate(keys):
            mask = _is_one_of(self.frame, column, [key[number] for key in wanted], rows)
            rows = np.flatnonzero(mask) if rows is None else rows[mask]
        return np.arange(0) if rows is None else rows


def rows_of(frame: pd.DataFrame, keys: Sequence[Column], places: NDArray[np.intp]) -> list[_Key]:
    """The keys of some rows."""
    return _together(column.take(frame, places) for column in keys)


def _together(parts: Iterable[list[Any]]) -> list[_Key]:
    """Keys row by row; what is missing in one is None, which equals itself."""
    known = [[None if is_missing(value) else value for value in part] for part in parts]
    return list(zip(*known, strict=True))


def _is_one_of(
    frame: pd.DataFrame, column: Column, values: list[Hashable], rows: NDArray[np.intp] | None
) -> NDArray[np.bool_]:
    coded = column.coded(frame)
    if coded is not None:
        codes, distinct = coded
        hits = np.append(pd.Index(distinct).isin(values), None in values)
        return np.asarray(hits[codes if rows is None else codes[rows]], dtype=np.bool_)
    series = column.series(frame)
    return np.asarray((series if rows is None else series.iloc[rows]).isin(values), dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class Change:
    """What is known of the rows that are shown."""

    per_s: tuple[float | None, ...]
    """Change of the measure per second; None if not known."""

    is_new: tuple[bool, ...]
    """Whether the row was not there at the look before the latest."""


class Rates:
    """The two latest looks at a live frame.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._columns: tuple[Column, ...] = ()
        self._keys: tuple[Column, ...] = ()
        self._looks: list[_Look] = []
        self._told: tuple[list[_Key], Column, Change | None] | None = None
        """What was last asked for since the latest look, and the answer."""

    @property
    def known(self) -> bool:
        """Whether there are two looks to compare."""
        return len(self._looks) > 1

    def due(self) -> bool:
        """Whether the latest look is old."""
        return bool(self._looks) and self._clock() - self._looks[-1].at_s >= LOOK_S

    def forget(self) -> None:
        """Begin anew: nothing changes any more, or it is another frame."""
        self._looks = []
        self._told = None

    def look(self, frame: pd.DataFrame, columns: tuple[Column, ...]) -> None:
        """Take the frame as it stands, if the latest look is old."""
        if columns != self._columns:
            self.forget()
            self._columns = columns
            self._keys = key_columns(frame, columns)
        if self._looks and not self.due():
            return
        # Shallow: what the owner of the frame writes into it later does not show in this one.
        self._looks = [*self._looks[-1:], _Look(self._clock(), frame.copy(deep=False))]
        self._told = None

    def changes(
        self,
        columns: Sequence[Column],
        values: Sequence[list[Any]],
        places: NDArray[np.intp],
        measure: Column,
    ) -> Change | None:
        """What changed in some rows between the two looks.

        Args:
            columns: Of the frame as it stands.
            values: Of the rows, by column.
            places: Of the rows in the frame.
            measure: The column whose rate is wanted.

        Returns:
            None if it is not known yet, or rows cannot be told apart.
        """
        if not self.known or not self._keys:
            return None
        wanted = _together(part for column, part in zip(columns, values, strict=True) if column in self._keys)
        if self._told is not None and self._told[0] == wanted and self._told[1] == measure:
            return self._told[2]
        change = self._compared(wanted, places, measure)
        self._told = wanted, measure, change
        return change

    def _compared(self, wanted: list[_Key], places: NDArray[np.intp], measure: Column) -> Change | None:
        if len(set(wanted)) < len(wanted):
            return None
        before, after = self._looks
        old = before.find(self._keys, wanted, places)
        new = after.find(self._keys, wanted, places)
        values = self._values(before.frame, measure, old), self._values(after.frame, measure, new)
        elapsed_s = after.at_s - before.at_s
        return Change(
            per_s=tuple(_per_s(one, other, elapsed_s) for one, other in zip(*values, strict=True)),
            is_new=tuple(place == _NOT_FOUND for place in old),
        )

    def _values(self, frame: pd.DataFrame, measure: Column, places: list[int]) -> list[Any]:
        there = np.array([place for place in places if place != _NOT_FOUND], dtype=np.intp)
        values = iter(measure.take(frame, there))
        return [None if place == _NOT_FOUND else next(values) for place in places]


def _per_s(before: Any, after: Any, elapsed_s: float) -> float | None:
    if before is None or after is None or pd.isna(before) or pd.isna(after):
        return None
    return float(after - before) / elapsed_s
