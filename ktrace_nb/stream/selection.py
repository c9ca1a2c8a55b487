"""What the views of one trace share: the rows that are picked, and a window of time.

A pick is made in one frame. It shows in every other frame that has columns of the same
names that say *who* or *what* (``comm``, ``pid``, ``device`` ...): there the rows with the
same values are marked. Numbers that were measured tie nothing together, nor do buckets of
histograms and moments, which mean something else in each frame.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.stream.text import IDENTIFIERS

Window: TypeAlias = tuple[float, float]
"""From when to when, seconds since everything was attached."""

_NOT_KEYS = ("bucket", "at_s")


@dataclass(frozen=True, slots=True)
class _Pick:
    name: str
    labels: tuple[Any, ...]
    rows: Callable[[], pd.DataFrame]


class Shared:
    """Picked rows and window of one trace; any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pick: _Pick | None = None
        self._window: Window | None = None
        self._version = 0
        self._tied: tuple[_Pick, pd.DataFrame] | None = None

    @property
    def version(self) -> int:
        """Changes whenever the pick or the window does."""
        return self._version

    @property
    def window(self) -> Window | None:
        """The window of time that is looked at; None for all."""
        return self._window

    @window.setter
    def window(self, window: Window | None) -> None:
        if window is not None and not window[0] < window[1]:
            raise ValueError(f"a window from {window[0]:g} s to {window[1]:g} s is empty; None is for all")
        with self._lock:
            self._window = window
            self._version += 1

    def pick(self, name: str, labels: Sequence[Any], rows: Callable[[], pd.DataFrame]) -> None:
        """Note what was picked.

        Args:
            name: The frame in which it was.
            labels: Labels of that frame's index; none to pick nothing.
            rows: Gives the rows that are picked, as they stand when it is called.
        """
        with self._lock:
            self._pick = _Pick(name, tuple(labels), rows) if labels else None
            self._version += 1
            self._tied = None

    def clear(self) -> None:
        """Pick nothing and look at all of the time: what was picked is there no more."""
        with self._lock:
            self._pick = self._window = self._tied = None
            self._version += 1

    @property
    def name(self) -> str:
        """The frame in which rows are picked; empty if none are."""
        pick = self._pick
        return pick.name if pick else ""

    def rows(self) -> pd.DataFrame | None:
        """The rows that are picked, as they stand; None if none are."""
        pick = self._pick
        return pick.rows() if pick else None

    def marks(self, name: str, frame: pd.DataFrame) -> NDArray[np.bool_] | None:
        """Which rows of a frame belong to what is picked.

        Args:
            name: What the frame is called: in the one in which rows were picked these are marked.
            frame: Any frame.

        Returns:
            A bool per row; None if nothing is picked, or the frame has no keys in common with it.
        """
        pick = self._pick
        if pick is None:
            return None
        if pick.name == name:
            if frame.index.nlevels != _levels(pick.labels[0]):
                return None  # of the same output, and not of the same rows
            return np.asarray(frame.index.isin(list(pick.labels)))
        tied = self._tied_to(pick)
        keys = [key for key in keys_of(frame) if key in tied.columns]
        if not keys:
            return None
        if len(keys) == 1:
            values = frame[keys[0]] if keys[0] in frame.columns else frame.index.get_level_values(keys[0])
            return np.asarray(values.isin(tied[keys[0]].unique()))
        wanted = pd.MultiIndex.from_frame(tied[keys].astype(object).drop_duplicates())
        have = pd.MultiIndex.from_arrays([_values(frame, key) for key in keys])
        return np.asarray(have.isin(wanted))

    def _tied_to(self, pick: _Pick) -> pd.DataFrame:
        """The keys of the picked rows, made once for a pick."""
        tied = self._tied
        if tied is None or tied[0] is not pick:
            rows = pick.rows()
            keys = {key: _values(rows, key) for key in keys_of(rows)}
            tied = self._tied = pick, pd.DataFrame(keys, index=range(len(rows)))
        return tied[1]


def _levels(label: Any) -> int:
    return len(label) if isinstance(label, tuple) else 1


def keys_of(frame: pd.DataFrame) -> list[str]:
    """Columns and index levels that say who or what, not how much."""
    levels = [str(name) for name in frame.index.names if name is not None and name not in _NOT_KEYS]
    columns = [
        str(name)
        for name, column in frame.items()
        if str(name) in IDENTIFIERS
        or isinstance(column.dtype, pd.CategoricalDtype)
        or pd.api.types.is_string_dtype(column.dtype)
    ]
    return [*levels, *columns]


def _values(frame: pd.DataFrame, key: str) -> NDArray[Any]:
    values = frame[key] if key in frame.columns else frame.index.get_level_values(key)
    return np.asarray(values, dtype=object)
