"""The steps of a walk as they are found out, kept for its feed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ktrace_nb.stream.calls.columns import Columns
from ktrace_nb.stream.calls.feed import UNSEEN, Steps

_STEPS: dict[str, Any] = {
    "at": np.uint64,
    "function": np.uint16,
    "thread": np.uint32,
    "depth": np.uint8,
    "kind": np.uint8,
    "call": np.int64,
}


@dataclass(frozen=True, slots=True)
class Batch:
    """Entries and returns of some records."""

    place: NDArray[np.int64]
    """Of the record; rising."""
    call: NDArray[np.int64]
    depth: NDArray[np.int64]
    kind: NDArray[np.uint8]


_NOTHING = np.empty(0, np.int64)
NO_STEPS = Batch(_NOTHING, _NOTHING, _NOTHING, np.empty(0, np.uint8))


class Closings:
    """Calls that ended unseen in a batch: by which record it was noticed, which call, how deep."""

    def __init__(self) -> None:
        self._parts: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]] = []

    def __len__(self) -> int:
        return sum(len(part[0]) for part in self._parts)

    def add(self, at: NDArray[np.int64], call: NDArray[np.int64], depth: NDArray[np.int64]) -> None:
        """Add calls that the records at these places showed to be over."""
        # Of calls that end together the deepest ends first.
        order = np.lexsort((-depth, at))
        self._parts.append((at[order], call[order], depth[order]))

    def among(self, seen: Batch, rows: int) -> Batch:
        """Steps with these ends among them, as far as their calls have rows."""
        if not self._parts:
            return seen
        at, ended, level = (np.concatenate(column) for column in zip(*self._parts, strict=True))
        kept = ended < rows
        at, ended, level = at[kept], ended[kept], level[kept]
        # What ended unseen did so before the record that told of it.
        order = np.argsort(np.concatenate([2 * seen.place + 1, 2 * at]), kind="stable")
        return Batch(
            np.concatenate([seen.place, at])[order],
            np.concatenate([seen.call, ended])[order],
            np.concatenate([seen.depth, level])[order],
            np.concatenate([seen.kind, np.full(len(at), UNSEEN, np.uint8)])[order],
        )


class StepLog:
    """Every step so far."""

    def __init__(self) -> None:
        self._columns = Columns(_STEPS, rows=1 << 62)

    @property
    def count(self) -> int:
        """How many."""
        return self._columns.rows

    def part(self, start: int, stop: int) -> Steps:
        """Some of them."""
        return Steps(*(self._columns[name][start:stop] for name in _STEPS))

    def append(self, times: NDArray[np.uint64], seen: Batch, closings: Closings, calls: Columns) -> None:
        """Add what a batch of records said.

        Args:
            times: Of the records.
            seen: Entries and returns in it.
            closings: Calls it showed to be over.
            calls: The calls' columns.
        """
        batch = closings.among(seen, calls.rows)
        self._columns.append(
            {
                "at": times[batch.place],
                "function": calls["function"][batch.call],
                "thread": calls["label"][batch.call],
                "depth": np.minimum(batch.depth, 255).astype(np.uint8),
                "kind": batch.kind,
                "call": batch.call,
            }
        )
