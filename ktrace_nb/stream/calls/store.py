"""The calls of a walk, as far as they are known by now.

:meth:`CallStore.add` takes records in the order of the ring: a call gets a row at its
entry, which is filled in at its return. What is asked for often while a walk runs, the
steps of a :class:`~ktrace_nb.stream.calls.feed.Feed`, is kept; frames are made from the
columns when somebody looks (:mod:`ktrace_nb.stream.calls.frames`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ktrace_nb.errors import StreamError
from ktrace_nb.ir.calls import END, RETURN
from ktrace_nb.stream.calls.columns import Columns
from ktrace_nb.stream.calls.completed import pair_adjacent, parents_by_time
from ktrace_nb.stream.calls.durations import summed, time_inside
from ktrace_nb.stream.calls.feed import ENTERED, RETURNED, Steps, tell_call
from ktrace_nb.stream.calls.pairing import Events, Open, Paired, pair
from ktrace_nb.stream.calls.roster import Roster
from ktrace_nb.stream.calls.states import DONE, NO_RETURN, OPEN, STATES, THREAD_ENDED, Counts
from ktrace_nb.stream.calls.step_log import NO_STEPS, Batch, Closings, StepLog
from ktrace_nb.stream.calls.values import Values

KEEP_CALLS = 5_000_000
"""Calls kept; those that begin later are counted, not kept. Each takes some 150 bytes."""

_AT_ONCE = 1 << 16
"""Records looked at together: so many fit a processor's cache."""

_CALLS: dict[str, Any] = {
    "start": np.int64,
    "duration": np.int64,
    "function": np.uint16,
    "label": np.uint32,
    "slot": np.uint32,
    "cpu": np.int16,
    "depth": np.int16,
    "parent": np.int64,
    "state": np.uint8,
    "failed": bool,
    "result": np.uint64,
}


class CallStore:
    """Calls of one walk; a :class:`~ktrace_nb.stream.calls.feed.Feed`.

    Args:
        functions: Names by number.
        values: How arguments and results are to be read; None if they are not recorded.
        arguments: Whether arguments are recorded too, not results alone.
        completed: Whether calls are sent when they are over, see :attr:`ktrace_nb.ir.calls.Focus.completed`.
        keep_calls: How many are kept.
        roster: Threads that are known.
    """

    def __init__(
        self,
        functions: Sequence[str],
        values: Values | None = None,
        *,
        arguments: bool = True,
        completed: bool = False,
        keep_calls: int = KEEP_CALLS,
        roster: Roster | None = None,
    ) -> None:
        self.functions = list(functions)
        self.values = values
        self.roster = roster or Roster()
        self.counts = Counts()
        self.generation = 0
        """Changes whenever a frame may have."""
        self.stopped_ns = 0
        """When recording stopped, ``CLOCK_MONOTONIC``; 0 while it goes on."""
        self.has_arguments = arguments and values is not None
        types = {**_CALLS, "arguments": (np.uint64, 6)} if self.has_arguments else _CALLS
        self.calls = Columns(types, rows=keep_calls)
        self._steps = StepLog()
        self._completed = completed
        self._open = Open.none()

    # --- in ----------------------------------------------------------------------------

    def add_threads(self, listing: bytes) -> None:
        """Take in the threads that were there before: a line ``TID TGID PPID COMM`` for each.

        Raises:
            StreamError: A line is something else.
        """
        self.roster.add_listed(listing)
        self.generation += 1

    def add(self, records: NDArray[Any]) -> None:
        """Take in records (:data:`~ktrace_nb.stream.calls.records.RECORD`) in the order of the ring.

        Raises:
            StreamError: Some are no such records; those before them are taken.
        """
        for start in range(0, len(records), _AT_ONCE):
            self._add(records[start : start + _AT_ONCE])

    def _add(self, records: NDArray[Any]) -> None:
        kind = records["kind"]
        if int(kind.max()) > END:
            raise StreamError(f"a record of calls of kind {int(kind.max())}")
        is_call = kind <= RETURN
        where = np.flatnonzero(is_call)
        function = records["function"][where]
        if len(where) and int(function.max()) >= len(self.functions):
            raise StreamError(f"a record of calls of function {int(function.max())} of {len(self.functions)}")
        placed = self.roster.place(records)
        self.generation += 1
        first = self.counts.calls
        closings = Closings()
        if len(where):
            is_return = kind[where] == RETURN
            is_entry = ~is_return
            row = np.where(is_entry, first + np.cumsum(is_entry) - 1, -1)
            events = Events(placed.slot[where], is_return, function, records["frame"][where], row)
            paired = (
                pair_adjacent(self._open, events, records["depth"][where])
                if self._completed
                else pair(self._open, events)
            )
            self._open = paired.open
            self._append_calls(records, where[is_entry], placed.slot, placed.label, paired, is_entry)
            self._close(paired.missed, NO_RETURN)
            closings.add(where[paired.noticed], paired.missed, paired.missed_depth)
        for at, slot in placed.ends:
            self._end(at, slot, closings)
        if len(where):
            seen = self._fill_in(records, where, paired, is_return)
            self._steps.append(records["at"], seen, closings, self.calls)
        elif len(closings):
            self._steps.append(records["at"], NO_STEPS, closings, self.calls)

    def _append_calls(
        self,
        records: NDArray[Any],
        at: NDArray[np.int64],
        slot: NDArray[np.uint32],
        label: NDArray[np.uint32],
        paired: Paired,
        is_entry: NDArray[np.bool_],
    ) -> None:
        self.counts.calls += len(at)
        if not len(at):
            return
        values: dict[str, Any] = {
            "start": records["at"][at].astype(np.int64),
            "duration": -1,
            "function": records["function"][at],
            "label": label[at],
            "slot": slot[at],
            "cpu": records["cpu"][at].astype(np.int16),
            "depth": np.minimum(paired.depth[is_entry], np.iinfo(np.int16).max).astype(np.int16),
            "parent": paired.parent[is_entry],
            "state": OPEN,
            "failed": 0,
            "result": 0,
        }
        if self.has_arguments:
            values["arguments"] = records["values"][at]
        self.calls.append(values)

    def _fill_in(
        self, records: NDArray[Any], where: NDArray[np.int64], paired: Paired, is_return: NDArray[np.bool_]
    ) -> Batch:
        """Write returns into the rows of their calls; gives the steps."""
        matched = is_return & (paired.call >= 0)
        self.counts.returned += int(np.count_nonzero(matched))
        self.counts.unmatched += int(np.count_nonzero(is_return & ~matched))
        self.counts.repaired += paired.repaired
        kept = paired.call < self.calls.rows
        ends = matched & kept
        call, at = paired.call[ends], where[ends]
        columns = self.calls
        columns["duration"][call] = np.maximum(records["at"][at].astype(np.int64) - columns["start"][call], 0)
        columns["state"][call] = DONE
        kind = np.full(len(where), ENTERED, np.uint8)
        kind[ends] = RETURNED
        if self.values is not None:
            result = records["values"][at, 0]
            failed = self.values.failed(columns["function"][call], result)
            columns["result"][call] = result
            columns["failed"][call] = failed
            kind[ends] += failed
        told = (ends | ~is_return) & kept
        return Batch(where[told], paired.call[told], paired.depth[told], kind[told])

    # --- ends that nobody saw --------------------------------------------------------------

    def _close(self, call: NDArray[np.int64], state: int) -> None:
        """Say how calls without a return ended."""
        self.calls["state"][call[call < self.calls.rows]] = state
        if state == NO_RETURN:
            self.counts.no_return += len(call)
        else:
            self.counts.thread_ended += len(call)

    def _end(self, at: int, slot: int, closings: Closings) -> None:
        """A thread has ended: its calls will not return."""
        mine = self._open.slot == slot
        rows = self._open.row[mine]
        closings.add(np.full(len(rows), at), rows, np.arange(len(rows)))
        self._close(rows, THREAD_ENDED)
        self._open = self._open.chosen(~mine)

    def cut(self, at_ns: int) -> None:
        """Nothing is known of what went on for a while: calls that are open did not return in it.

        Args:
            at_ns: Until when, ``CLOCK_MONOTONIC``.
        """
        rows = self._open.row[self._open.row < self.calls.rows]
        closings = Closings()
        closings.add(np.zeros(len(rows), np.int64), rows, self.calls["depth"][rows].astype(np.int64))
        self._close(self._open.row, NO_RETURN)
        self._open = Open.none()
        self._steps.append(np.array([at_ns], np.uint64), NO_STEPS, closings, self.calls)
        self.generation += 1

    def finish(self, at_ns: int) -> None:
        """No more will come; calls that are open stay so.

        Args:
            at_ns: When recording stopped, ``CLOCK_MONOTONIC``.
        """
        self.stopped_ns = at_ns
        self.generation += 1

    # --- out ----------------------------------------------------------------------------------

    @property
    def not_kept(self) -> int:
        """Calls that began when there was no room left."""
        return self.counts.calls - self.calls.rows

    @property
    def threads(self) -> Sequence[str]:
        """Names of threads, ``ls (1234)``; grows."""
        return self.roster.texts

    def count(self) -> int:
        """How many steps there are by now."""
        return self._steps.count

    def steps(self, start: int, stop: int) -> Steps:
        """Some of the steps; those once there never change."""
        return self._steps.part(start, stop)

    def parents(self) -> NDArray[np.int64]:
        """The call each call was made from, -1 for none."""
        if not self._completed:
            return self.calls["parent"]
        c = self.calls
        return parents_by_time(c["slot"], c["depth"], c["start"], c["duration"])

    def self_ns(self) -> NDArray[np.int64]:
        """Nanoseconds that calls took less what of them calls made from them did; -1 without a return.

        See :func:`~ktrace_nb.stream.calls.durations.time_inside` for calls that reach out of theirs.
        """
        start, duration, parent = self.calls["start"], self.calls["duration"], self.parents()
        inner = np.flatnonzero((parent >= 0) & (duration > 0))
        inside = time_inside(start, duration, inner, parent[inner])
        below = summed(inside, parent[inner], len(duration))
        return np.where(duration < 0, -1, np.maximum(duration - below, 0))

    def arguments_of(self, call: int) -> str:
        """What the function was called with; empty if not recorded."""
        if self.values is None or not self.has_arguments:
            return ""
        function = int(self.calls["function"][call])
        return self.values.arguments(function, self.calls["arguments"][call].tolist())

    def result_of(self, call: int) -> str:
        """What it returned, or why that is not known."""
        state = int(self.calls["state"][call])
        if state != DONE:
            return STATES[state]
        if self.values is None:
            return ""
        return self.values.result(int(self.calls["function"][call]), int(self.calls["result"][call]))

    def duration_of(self, call: int) -> int:
        """Nanoseconds, -1 if not known."""
        return int(self.calls["duration"][call])

    def tell(self, call: int) -> str:
        """A call in one line.

        Raises:
            KeyError: There is no such call.
        """
        if not 0 <= call < self.calls.rows:
            raise KeyError(call)
        duration, own = self.duration_of(call), -1
        if duration >= 0 and not self._completed:
            made = call + np.flatnonzero(self.calls["parent"][call:] == call)
            of_it = time_inside(self.calls["start"], self.calls["duration"], made, np.full(len(made), call))
            own = max(0, duration - int(of_it.sum()))
        function = self.functions[int(self.calls["function"][call])]
        return tell_call(function, self.arguments_of(call), self.result_of(call), duration, own)
