"""The columns of a frame as a table shows them, and its top rows without sorting the rest.

Columns are read by their place, not by name: a frame may have two of one name, and names that
are no strings. Index levels with a name come first, row numbers are not shown.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ktrace_nb.stream.text import IDENTIFIERS, is_number, printable
from ktrace_nb.widgets.units import Unit, unit_of

_MANY = 10_000
"""More values than Python can sort while somebody waits."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column or an index level of a frame."""

    name: str
    """As it is shown."""

    key: str
    """The same, made unique in the frame by a number behind it."""

    place: int
    """Of the column, or of the index level."""

    is_level: bool
    is_number: bool
    unit: Unit
    label: str | None = None
    """What the frame calls it, if it is the only one it calls so: the fast way to it."""

    @property
    def is_measure(self) -> bool:
        """Whether its numbers say how much, not who."""
        return self.is_number and not self.is_level and self.name not in IDENTIFIERS

    def series(self, frame: pd.DataFrame) -> pd.Series[Any]:
        """All of it, with the index it happens to have."""
        if self.is_level:
            return frame.index.get_level_values(self.place).to_series()
        return frame.iloc[:, self.place] if self.label is None else frame[self.label]

    def coded(self, frame: pd.DataFrame) -> tuple[NDArray[Any], pd.Index[Any]] | None:
        """Codes into distinct values, -1 is missing, if that is how it is stored."""
        if self.is_level:
            if isinstance(frame.index, pd.MultiIndex):
                return np.asarray(frame.index.codes[self.place]), frame.index.levels[self.place]
            values: Any = frame.index
        else:
            values = self.series(frame).array
        if isinstance(values.dtype, pd.CategoricalDtype):
            return np.asarray(values.codes), values.categories
        return None

    def take(self, frame: pd.DataFrame, rows: NDArray[np.intp]) -> list[Any]:
        """The values of some rows, integers as Python's."""
        if self.is_level:
            return list(frame.index.take(rows).get_level_values(self.place).tolist())
        series = self.series(frame)
        if isinstance(series.dtype, np.dtype) and series.dtype.kind not in "mM":
            return list(series.to_numpy()[rows].tolist())
        values: Any = series.array
        if isinstance(values.dtype, pd.CategoricalDtype):
            codes = np.asarray(values.codes)[rows]
            chosen = dict(zip(codes.tolist(), values.categories.take(codes).tolist(), strict=True))
            chosen[-1] = np.nan
            return [chosen[code] for code in codes.tolist()]
        return list(values.take(rows).tolist())


def columns_of(frame: pd.DataFrame) -> tuple[Column, ...]:
    """What a table of the frame has as columns."""
    found: list[Column] = []
    used: set[str] = set()

    unique = frame.columns.is_unique

    def add(label: Hashable, place: int, dtype: Any, *, is_level: bool) -> None:
        name = printable(str(label))
        key, count = name, 1
        while key in used:
            count += 1
            key = f"{name} ({count})"
        used.add(key)
        numeric = is_number(dtype) and getattr(dtype, "kind", "") != "c"
        unit = unit_of(name) if numeric else ""
        short = str(label) if unique and isinstance(label, str) and not is_level else None
        found.append(Column(name, key, place, is_level, numeric, unit, short))

    index = frame.index
    levels = index.levels if isinstance(index, pd.MultiIndex) else [index]
    for level, name in enumerate(index.names):
        if name is not None:
            add(name, level, levels[level].dtype, is_level=True)
    for place, (label, dtype) in enumerate(frame.dtypes.items()):
        add(label, place, dtype, is_level=False)
    return tuple(found)


def column_named(columns: Sequence[Column], key: Hashable) -> Column | None:
    """The column of that key; None if the frame has none."""
    wanted = printable(str(key))
    # A column before an index level of its name, as pandas has it.
    both = sorted((column for column in columns if column.key == wanted), key=lambda c: c.is_level)
    return both[0] if both else None


def top_rows(
    frame: pd.DataFrame, column: Hashable = "", *, descending: bool = True, limit: int
) -> pd.DataFrame:
    """Pick the rows to show.

    Rows that are equal stay in the frame's order; missing values come last.

    Args:
        frame: Any frame.
        column: The column or index level to sort by; one the frame does not
            have, such as the empty name, keeps the frame's order.
        descending: Largest first.
        limit: How many rows at most.
    """
    found = column_named(columns_of(frame), column)
    return frame.iloc[top_places(frame, found, descending=descending, limit=limit)]


def top_places(
    frame: pd.DataFrame,
    column: Column | None,
    *,
    descending: bool = True,
    limit: int,
    kept: NDArray[np.bool_] | None = None,
) -> NDArray[np.intp]:
    """The places of the rows to show, see :func:`top_rows`.

    Args:
        frame: Any frame.
        column: What to sort by; None keeps the frame's order.
        descending: Largest first.
        limit: How many rows at most.
        kept: Of each row whether it may be shown; None for all.
    """
    among = None if kept is None else np.flatnonzero(kept)
    if column is None:
        return np.arange(min(limit, len(frame))) if among is None else among[:limit]
    values = _comparable(frame, column)
    if among is None:
        return _top(values, descending, limit)
    return among[_top(values[among], descending, limit)]


def _comparable(frame: pd.DataFrame, column: Column) -> NDArray[Any]:
    """Numbers in the order of the values; NaN where one is missing."""
    coded = column.coded(frame)
    if coded is not None:
        codes, distinct = coded
        is_ordered = column.is_number or getattr(distinct.dtype, "kind", "O") in "mM"
        places = pd.Series(distinct).rank(method="dense").to_numpy() if is_ordered else _alphabet(distinct)
        return np.asarray(np.append(places, np.nan)[codes])
    values = column.series(frame)
    kind = getattr(values.dtype, "kind", "O")
    if isinstance(values.dtype, np.dtype) and kind in "iuf":
        return values.to_numpy()
    if kind in "mM":
        return _with_gaps(values, lambda known: known.astype("int64").to_numpy())
    if column.is_number:
        return _with_gaps(values, lambda known: known.to_numpy(dtype=None if kind in "iuf" else np.float64))
    try:
        numbers, names = pd.factorize(values.array)
    except TypeError:  # lists have no hash
        texts = [None if gone else str(value) for value, gone in zip(values, values.isna(), strict=True)]
        numbers, names = pd.factorize(np.array(texts, dtype=object))
    return np.asarray(np.append(_alphabet(names), np.nan)[numbers])


def _with_gaps(values: pd.Series[Any], numbers: Any) -> NDArray[Any]:
    missing = values.isna().to_numpy()
    if not missing.any():
        return np.asarray(numbers(values))
    # Ranks, because integers of 64 bits next to NaN would lose digits.
    known = np.asarray(numbers(values[~missing]))
    places = np.full(len(values), np.nan)
    places[~missing] = np.unique(known, return_inverse=True)[1]
    return places


def _alphabet(distinct: Collection[Any]) -> NDArray[np.float64]:
    """The place of each value in the alphabet of all."""
    if len(distinct) > _MANY:
        try:
            # Of UTF-8, whose bytes are in the order of its characters.
            texts = pa.array(distinct, type=pa.string(), from_pandas=True)
            return np.asarray(pc.rank(texts, tiebreaker="dense"), dtype=np.float64)
        except (pa.ArrowException, TypeError, UnicodeError):
            pass  # not texts, or not UTF-8
    order = sorted(range(len(distinct)), key=[str(value) for value in distinct].__getitem__)
    places = np.empty(len(distinct))
    places[order] = np.arange(len(distinct))
    return places


def _top(values: NDArray[Any], descending: bool, limit: int) -> NDArray[np.intp]:
    missing = np.isnan(values) if values.dtype.kind == "f" else None
    known = np.flatnonzero(~missing) if missing is not None and missing.any() else None
    numbers = values if known is None else values[known]
    if descending:
        # Mirrored, so that one ascending stable sort serves: ~n turns the order of
        # integers of either sign around without overflow, -n that of reals.
        numbers = -numbers if numbers.dtype.kind == "f" else ~numbers
    if len(numbers) > limit:
        last = np.partition(numbers, limit - 1)[limit - 1]
        chosen = np.flatnonzero(numbers <= last)
    else:
        chosen = np.arange(len(numbers))
    chosen = chosen[np.argsort(numbers[chosen], kind="stable")][:limit]
    if known is None:
        return chosen
    rows = known[chosen]
    if len(rows) < limit and missing is not None:
        rows = np.concatenate([rows, np.flatnonzero(missing)])[:limit]
    return rows
