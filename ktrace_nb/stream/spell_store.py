"""Spells in columns that grow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.stream.spell_events import STATES, Names
from ktrace_nb.stream.spell_line import LOST, OPEN
from ktrace_nb.stream.spell_turns import Begun, Ended, Gaps

_LEAST = 1024


@dataclass(slots=True)
class _Column:
    """Numbers with room behind them."""

    values: NDArray[Any]

    def grow(self, room: int) -> None:
        """Have room for so many."""
        if room > len(self.values):
            larger = np.empty(max(room, 2 * len(self.values), _LEAST), self.values.dtype)
            larger[: len(self.values)] = self.values
            self.values = larger


class Store:
    """Spells by row; those whose end was lost keep their row until the next :meth:`compact`.

    Args:
        names: The names of the tasks by number.
    """

    def __init__(self, names: Names) -> None:
        kinds = {"start": "i8", "end": "i8", "cpu": "i2", "tid": "i4", "comm": "i4", "state": "i1"}
        self._columns = {name: _Column(np.empty(0, kind)) for name, kind in kinds.items()}
        self._labels = _Column(np.empty(0, "i8"))
        self._names = names
        self._numbers = _Column(np.empty(0, "i8"))
        """How many there were before each; what is dropped or lost leaves the others their number."""
        self._made = 0
        self.count = 0

    def _values(self, name: str) -> NDArray[Any]:
        return self._columns[name].values[: self.count]

    def append(self, begun: Begun, labels: NDArray[Any]) -> None:
        """Add spells.

        Args:
            begun: The spells.
            labels: The label of each of the switches that ``begun.event`` counts.
        """
        count = self.count + len(begun.start)
        for name, column in self._columns.items():
            column.grow(count)
            column.values[self.count : count] = getattr(begun, name)
        self._numbers.grow(count)
        self._numbers.values[self.count : count] = np.arange(self._made, self._made + len(begun.start))
        self._made += len(begun.start)
        known = begun.event >= 0
        plain = labels.dtype.kind in "iu" and self._labels.values.dtype.kind == "i"
        if not plain and self._labels.values.dtype != object:
            self._labels.values = self._labels.values.astype(object)
        self._labels.grow(count)
        new = np.full(len(known), -1 if plain else None, self._labels.values.dtype)
        new[known] = labels[begun.event[known]]
        self._labels.values[self.count : count] = new
        self.count = count

    def end(self, ended: Ended) -> None:
        """Note the ends of spells of before; those that are lost stay so."""
        ends = self._values("end")
        still = ends[ended.row] == OPEN
        ends[ended.row[still]] = ended.end[still]

    def lose_over(self, gaps: Gaps) -> int:
        """Leave out what tasks did not running while a gap was; say how many spells."""
        ends = self._values("end")
        unsure = (self._values("cpu") < 0) & (ends != LOST) & gaps.over(self._values("start"), ends)
        ends[unsure] = LOST
        return int(unsure.sum())

    def compact(self, most: int) -> tuple[NDArray[np.int64], int]:
        """Keep the newest so many, and those that have not ended.

        Returns:
            The new row of each, -1 of what is no more; and how many spells were dropped.
        """
        ends = self._values("end")
        told = ends != LOST
        kept = told.copy()
        kept[: max(0, self.count - most)] = False
        kept |= ends == OPEN
        moved = np.where(kept, np.cumsum(kept) - 1, -1)
        dropped = int((told & ~kept).sum())
        for column in (*self._columns.values(), self._labels, self._numbers):
            column.values = column.values[: self.count][kept]
        self.count = int(kept.sum())
        return moved, dropped

    def frame(self, *, events_as_index: bool) -> pd.DataFrame:
        """The spells whose end is known or still to come."""
        ends = self._values("end")
        known = ends != LOST
        told: Any = slice(None) if known.all() else known  # a slice copies nothing
        names: pd.Index[str] = pd.Index(self._names.names, dtype=object)
        codes, states = self._values("comm")[told], self._values("state")[told]
        starts, ends = self._values("start")[told], ends[told]
        still = ends == OPEN
        duration = pd.arrays.IntegerArray(np.where(still, 0, ends - np.where(still, 0, starts)), still)
        labels = self._labels.values[: self.count][told]
        columns = {
            "start_ns": starts,
            "duration_ns": duration,
            "cpu": self._values("cpu")[told],
            "tid": self._values("tid")[told],
            "comm": pd.Categorical.from_codes(codes, categories=names),
            "state": pd.Categorical.from_codes(states, categories=pd.Index(STATES)),
        }
        if events_as_index:
            return pd.DataFrame(columns, index=pd.Index(labels, name="event"), copy=False)
        index = pd.Index(self._numbers.values[: self.count][told], name="spell")
        return pd.DataFrame({**columns, "event": labels}, index=index, copy=False)
