"""The rows of a timeline as numbers, and what has changed in them since they were last read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.widgets.timeline_names import Names

OPEN = -1
"""The duration of what has not ended."""

MOST = 4_000_000
"""Rows of a frame that are shown at most: some 250 MB of the page's memory."""

_DEEPEST = 250
_TOO_LATE = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Change:
    """How the rows differ from those that were read before."""

    kept: int
    """So many are the same, apart from their durations."""

    ended: NDArray[np.int64]
    """Of these, the rows with other durations."""


class Rows:
    """The rows of a frame that can be drawn, read again as the frame grows.

    Args:
        lane: ``cpu``, ``task``, or a column's name.
    """

    def __init__(self, lane: str) -> None:
        self.lane = lane
        self.origin_ns: int | None = None
        self.start = np.empty(0, np.int64)
        """Nanoseconds since the origin."""
        self.duration = np.empty(0, np.int64)
        self.depth = np.empty(0, np.uint8)
        self.place = np.empty(0, np.int64)
        """Position of each row in the frame."""
        self.names: dict[str, Names] = {}
        self.numbers: dict[str, NDArray[np.int32]] = {}
        self.refused = 0
        """Rows without a start, or with a negative duration."""
        self.later = 0
        """Rows beyond :data:`MOST`."""
        self._frame: pd.DataFrame | None = None
        self._good = np.empty(0, bool)

    def __len__(self) -> int:
        return len(self.start)

    def read(self, frame: pd.DataFrame, options: Mapping[str, str]) -> Change:
        """Read a frame; what is as it was in the last one is not read again.

        Args:
            frame: As :func:`ktrace_nb.widgets.timeline` says.
            options: ``origin_ns`` is the time that is 0; by default the first start.

        Raises:
            ValueError: A column is missing.
        """
        sources = _sources(frame, self.lane)
        self.later = max(0, len(frame) - MOST)
        frame = frame.iloc[:MOST]
        raw, good = _starts(frame["start_ns"])
        duration, possible = _durations(frame["duration_ns"])
        good &= possible
        if self._frame is None or list(sources) != list(self.names):
            self._begin(sources)
        origin = options.get("origin_ns")
        if origin is not None and int(origin) != self.origin_ns:
            self._begin(sources)
            self.origin_ns = int(origin)
        same = self._same(frame, good, sources)
        if same == 0:
            self._begin(sources)
            self.origin_ns = None if origin is None else int(origin)
        if self.origin_ns is None and good.any():
            self.origin_ns = int(raw[good].min())
        kept = int(good[:same].sum())
        place = np.flatnonzero(good[same:]) + same
        ended = np.flatnonzero(self.duration[:kept] != duration[self.place[:kept]])
        wrapped = raw[place].astype(np.uint64) - np.uint64((self.origin_ns or 0) % 2**64)
        self.start = np.concatenate([self.start[:kept], wrapped.view(np.int64)])
        self.place = np.concatenate([self.place[:kept], place])
        self.duration = duration if len(self.place) == len(duration) else duration[self.place]
        # A slice where it will do: it copies nothing.
        part: Any = slice(same, None) if len(place) == len(good) - same else place
        for kind, columns in sources.items():
            new = self.names[kind].numbers([frame[column].iloc[part] for column in columns])
            self.numbers[kind] = np.concatenate([self.numbers[kind][:kept], new])
        self.depth = np.concatenate([self.depth[:kept], _depths(frame, part)])
        self._frame, self._good = frame, good
        self.refused = len(good) - len(self.place)
        return Change(kept, ended)

    def marked(self, marks: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
        """Which of the rows are picked."""
        return None if marks is None else np.asarray(marks, bool)[self.place]

    @property
    def ends(self) -> NDArray[np.int64]:
        """When each row ended, nanoseconds since the origin; what has not, when the last did."""
        ends = self.start + np.maximum(self.duration, 0)
        return np.where(self.duration == OPEN, ends.max(initial=0), ends)

    def _begin(self, sources: Mapping[str, Sequence[str]]) -> None:
        self._frame = None
        self.names = {kind: Names(kind) for kind in sources}
        self.numbers = {kind: np.empty(0, np.int32) for kind in sources}
        self.start, self.duration, self.place = (np.empty(0, np.int64) for _ in range(3))
        self.depth = np.empty(0, np.uint8)

    def _same(
        self, frame: pd.DataFrame, good: NDArray[np.bool_], sources: Mapping[str, Sequence[str]]
    ) -> int:
        """So many rows of the frame are those of the last one, apart from their durations."""
        old = self._frame
        if old is None:
            return 0
        count = _first_difference(self._good, good)
        for column in dict.fromkeys(["start_ns", *(name for names in sources.values() for name in names)]):
            count = min(count, _same_values(old[column].iloc[:count], frame[column].iloc[:count]))
        if "depth" in frame and "depth" in old:
            count = min(count, _same_values(old["depth"].iloc[:count], frame["depth"].iloc[:count]))
        return count


def _sources(frame: pd.DataFrame, lane: str) -> dict[str, list[str]]:
    """The columns that say what a row belongs to, by what they say.

    Raises:
        ValueError: A column is missing.
    """
    has = set(map(str, frame.columns))
    tid = next((name for name in ("tid", "pid") if name in has), None)
    task = [*(["comm"] if "comm" in has else []), *([tid] if tid else [])]
    sources = {"cpu": ["cpu"] if "cpu" in has else [], "task": task}
    sources |= {name: [name] for name in ("function", "state") if name in has}
    if lane not in sources and lane in has:
        sources[lane] = [lane]
    wanted = [name for name in ("start_ns", "duration_ns") if name not in has]
    if not sources.get(lane):
        wanted.append("comm, tid or pid" if lane == "task" else lane)
    if wanted:
        have = ", ".join(sorted(has)[:12]) or "none"
        raise ValueError(
            f"a timeline has no column {wanted[0]!r}; there is {have}; lane=... names what the lanes are"
        )
    return {kind: columns for kind, columns in sources.items() if columns}


def _plain(values: pd.Series[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Numbers, and which are known."""
    if not len(values):
        return np.empty(0, np.int64), np.empty(0, bool)
    if not pd.api.types.is_numeric_dtype(values.dtype):
        raise ValueError(f"column {values.name!r} of a timeline holds {values.dtype}, not nanoseconds")
    known = ~np.asarray(values.isna())
    if isinstance(values.dtype, np.dtype):
        return values.to_numpy(), known
    kind = np.uint64 if str(values.dtype).lower().startswith("u") else np.int64
    if pd.api.types.is_float_dtype(values.dtype):
        return values.to_numpy(np.float64, na_value=np.nan), known
    return values.to_numpy(kind, na_value=0), known


def _starts(values: pd.Series[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    numbers, good = _plain(values)
    if numbers.dtype.kind == "f":
        good = good & (np.abs(numbers) < 2.0**63)
        numbers = np.where(good, numbers, 0).astype(np.int64)
    return numbers, good.copy()


def _durations(values: pd.Series[Any]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Durations, those that are missing as :data:`OPEN`, and which are possible at all."""
    if values.dtype == object and values.isna().all():
        values = values.astype(np.float64)
    numbers, known = _plain(values)
    if numbers.dtype.kind == "f":
        known = known & (numbers < 2.0**63)
        numbers = np.where(known & np.isfinite(numbers), numbers, 0)
    possible = ~known | (numbers >= 0)
    if numbers.dtype == np.uint64:
        numbers = np.minimum(numbers, np.uint64(_TOO_LATE))
    return np.where(known, numbers.astype(np.int64), OPEN), possible


def _depths(frame: pd.DataFrame, part: Any) -> NDArray[np.uint8]:
    if "depth" not in frame:
        return np.zeros(len(frame.index[part]), np.uint8)
    return np.asarray(frame["depth"].iloc[part].fillna(0).clip(0, _DEEPEST)).astype(np.uint8)


def _same_values(old: pd.Series[Any], new: pd.Series[Any]) -> int:
    """So many values from the beginning on are the same."""
    count = min(len(old), len(new))
    old, new = old.iloc[:count], new.iloc[:count]
    before, after = old.array, new.array
    if isinstance(before, pd.Categorical) and isinstance(after, pd.Categorical):
        known = len(before.categories)
        if known <= len(after.categories) and list(after.categories[:known]) == list(before.categories):
            return _first_difference(np.asarray(before.codes), np.asarray(after.codes))
    if old.dtype == new.dtype and isinstance(old.dtype, np.dtype) and old.dtype.kind in "iub":
        return _first_difference(old.to_numpy(), new.to_numpy())
    one, other = old.to_numpy(object), new.to_numpy(object)
    missing = pd.isna(one) & pd.isna(other)
    with np.errstate(invalid="ignore"):
        different = ~missing & (pd.isna(one) | pd.isna(other))
        comparable = ~missing & ~different
        different[comparable] = one[comparable] != other[comparable]
    found = np.flatnonzero(different)
    return int(found[0]) if len(found) else count


def _first_difference(old: NDArray[Any], new: NDArray[Any]) -> int:
    count = min(len(old), len(new))
    different = old[:count] != new[:count]
    return int(different.argmax()) if different.any() else count
