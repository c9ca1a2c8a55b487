"""How fast the numbers of a map grew, moment by moment, in bounded memory.

A map is looked at now and then; between two looks a number grew by a difference, over
the seconds between them that is a rate. Keys that never were among the fastest are not
kept. When there are too many moments every second one goes: a long trace is told
more coarsely, never cut off.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.stream.text import number_columns

MOMENTS = 600
KEYS = 32
"""Keys that are kept; of these a view draws fewer."""


class Growth:
    """Moments of one map, oldest first.

    Args:
        moments: How many are kept at most.
        keys: How many keys.
    """

    def __init__(self, moments: int = MOMENTS, keys: int = KEYS) -> None:
        self._most = moments
        self._column = ""
        self._levels: tuple[str | None, ...] = (None,)
        self._at_s: list[float] = []
        self._keys: list[Any] = [None] * keys
        self._last: dict[Any, tuple[int, Any]] = {}
        """Of each key its slot, and its number when it was looked at last."""
        self._grown: NDArray[np.float64] = np.empty((0, keys))
        """Per moment and slot what the key has grown by since it was first seen; NaN where it was not there.
        Of differences of whole numbers: near 2**64 a float has no digits for the numbers themselves."""
        self._all = True
        """Whether every key that was there at the last look is kept: then a new one began at 0."""

    @property
    def at_s(self) -> float:
        """When the map was looked at last, seconds; minus infinity if it never was."""
        return self._at_s[-1] if self._at_s else float("-inf")

    def add(self, at_s: float, frame: pd.DataFrame) -> None:
        """Take note of a map.

        Args:
            at_s: When, seconds; a moment that is not later than the last one is passed over.
            frame: The map; its first column of numbers is told, keys are its index.
        """
        numbers = number_columns(frame)
        if at_s <= self.at_s or not (numbers or self._column):
            return
        if numbers:
            self._column, self._levels = (
                numbers[0],
                tuple(n if n is None else str(n) for n in frame.index.names),
            )
        chosen = self._chosen(frame) if numbers else {}
        row = np.full(len(self._keys), np.nan)
        known = self._grown[-1] if len(self._grown) else row
        # Whatever was not there at the last look began at 0, unless it was there and not kept.
        began_at_zero = self._all and bool(self._at_s)
        # Those that have a slot first: they must not lose it to one that comes.
        for key, value in sorted(chosen.items(), key=lambda item: item[0] not in self._last):
            slot, before = self._last.get(key, (-1, None))
            if slot < 0:
                slot = self._slot(row, known)
                self._let_go(slot)
                self._keys[slot] = key
            if before is None or np.isnan(known[slot]):
                before = 0 if began_at_zero else value
            row[slot] = np.nan_to_num(known[slot]) + float(value - before)
            self._last[key] = slot, value
        self._all = len(chosen) == len(frame)
        self._at_s.append(at_s)
        self._grown = np.vstack([self._grown, row])
        if len(self._at_s) > self._most:
            # The first and the newest stay.
            kept = sorted({*range(0, len(self._at_s), 2), len(self._at_s) - 1})
            self._at_s = [self._at_s[index] for index in kept]
            self._grown = self._grown[kept]

    def _chosen(self, frame: pd.DataFrame) -> dict[Any, Any]:
        """Numbers of the keys that are kept, and of the largest others as far as there is room."""
        # By its place: there may be two columns of one name.
        column = frame.iloc[:, [str(name) for name in frame.columns].index(self._column)]
        most = len(self._keys)
        if len(column) > most:
            values = column.to_numpy(dtype=np.float64, na_value=np.nan)
            top = np.argpartition(-np.nan_to_num(values), most - 1)[:most]
            column = column.iloc[np.sort(top)]
        return {key: value for key, value in column.items() if not pd.isna(value)}

    def _slot(self, row: NDArray[np.float64], known: NDArray[np.float64]) -> int:
        """A slot that is free, else that of a key which is gone, else of the one that grew least."""
        free = [slot for slot, key in enumerate(self._keys) if key is None]
        if free:
            return free[0]
        unused = np.isnan(row)
        return int(np.argmin(np.where(unused, np.nan_to_num(known, nan=-1.0), np.inf)))

    def _let_go(self, slot: int) -> None:
        self._last.pop(self._keys[slot], None)
        self._grown[:, slot] = np.nan

    def frame(self) -> pd.DataFrame:
        """The rates.

        Returns:
            Indexed by ``at_s`` (float64, seconds; the end of the time the rate is of) and the
            map's keys, by time; of a map without keys and with one row by ``at_s`` alone.
            ``COLUMN_per_s`` (float64) is negative where the number fell.
        """
        rates = np.diff(np.nan_to_num(self._grown), axis=0) / np.diff(self._at_s)[:, None]
        moment, slot = np.nonzero(~np.isnan(self._grown[1:]))
        times = np.asarray(self._at_s[1:])[moment]
        columns = {f"{self._column or 'value'}_per_s": rates[moment, slot]}
        if all(name is None for name in self._levels) and sum(key is not None for key in self._keys) <= 1:
            return pd.DataFrame(columns, index=pd.Index(times, name="at_s"))
        names = [name or "entry" for name in self._levels]
        keys = [key if isinstance(key, tuple) else (key,) for key in self._keys]
        levels = [[keys[number][level] for number in slot] for level in range(len(names))]
        index = pd.MultiIndex.from_arrays([times, *levels], names=["at_s", *names])
        return pd.DataFrame(columns, index=index)
