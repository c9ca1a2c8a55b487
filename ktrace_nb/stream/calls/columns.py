"""Columns that grow by doubling, so that a new row costs what it writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_FIRST_CAPACITY = 1024


class Columns:
    """Arrays of one length.

    Args:
        types: The dtype of each column; of one that has several numbers in a row, dtype and their count.
        rows: What it holds at most.
    """

    def __init__(self, types: Mapping[str, DTypeLike | tuple[DTypeLike, int]], *, rows: int) -> None:
        self.most = rows
        self.rows = 0
        self._stores: dict[str, NDArray[Any]] = {}
        for name, dtype in types.items():
            shape: tuple[int, ...] = (_FIRST_CAPACITY,)
            if isinstance(dtype, tuple):
                shape = (*shape, dtype[1])
            self._stores[name] = np.empty(shape, dtype[0] if isinstance(dtype, tuple) else dtype)

    def append(self, values: Mapping[str, NDArray[Any] | int]) -> None:
        """Write rows behind the last one; those for which there is no room are left out."""
        count = next(len(v) for v in values.values() if isinstance(v, np.ndarray))
        kept = min(count, self.most - self.rows)
        end = self.rows + kept
        for name, value in values.items():
            self._room(name, end)[self.rows : end] = value[:kept] if isinstance(value, np.ndarray) else value
        self.rows = end

    def __getitem__(self, name: str) -> NDArray[Any]:
        """The rows of a column so far; writing to it changes the column."""
        return self._stores[name][: self.rows]

    def _room(self, name: str, needed: int) -> NDArray[Any]:
        store = self._stores[name]
        if needed > len(store):
            grown = np.empty((max(2 * len(store), needed), *store.shape[1:]), store.dtype)
            grown[: self.rows] = store[: self.rows]
            self._stores[name] = store = grown
        return store
