"""The top rows of a frame by a column, without sorting the rest of it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.stream.text import is_number


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
    values = _values(frame, column)
    if values is None:
        return frame.head(limit)
    ranked = values if is_number(values.dtype) else _ranks(values)
    return frame.iloc[_top(ranked, descending, limit)]


def _values(frame: pd.DataFrame, column: Hashable) -> pd.Series[Any] | None:
    """A column or index level by name, renumbered by position."""
    if column in frame.columns:
        return frame[column].reset_index(drop=True)
    if column is not None and column in frame.index.names:
        level = frame.index.get_level_values(frame.index.names.index(column))
        return level.to_series().reset_index(drop=True)
    return None


def _ranks(values: pd.Series[Any]) -> pd.Series[Any]:
    """The place of each value in the alphabet of all: only distinct ones are compared."""
    if values.dtype == object:  # may hold lists, which have no hash
        values = values.where(values.isna(), values.map(str))
    codes, distinct = pd.factorize(values)
    order = sorted(range(len(distinct)), key=lambda code: str(distinct[code]))
    places = np.full(len(distinct) + 1, np.nan)  # the last one stands for code -1, missing
    places[order] = np.arange(len(distinct))
    return pd.Series(places[codes])


def _top(values: pd.Series[Any], descending: bool, limit: int) -> NDArray[np.intp]:
    known = values[values.notna()]
    numbers = known.to_numpy(dtype=None if known.dtype.kind in "iuf" else np.float64)
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
    rows = known.index.to_numpy()[chosen]
    if len(rows) < limit:
        rows = np.concatenate([rows, np.flatnonzero(values.isna())])[:limit]
    return rows
