"""Calls as a sequence of steps, for views that show them as they happened.

A :class:`Feed` is what a view reads: entries and returns, one behind the other, never
changed once they are there. A running walk is one (:class:`~ktrace_nb.stream.calls.store.CallStore`);
:class:`FrameFeed` makes one of a frame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.stream.calls.durations import told

ENTERED, RETURNED, FAILED, UNSEEN = 0, 1, 2, 3
"""Kinds of steps: an entry, a return, a return with an error, the end of a call that was not seen."""


class Steps(NamedTuple):
    """Entries and returns in order, one array for each of their properties."""

    at: NDArray[np.uint64]
    """``CLOCK_MONOTONIC``, nanoseconds."""
    function: NDArray[np.uint16]
    """Index into :attr:`Feed.functions`."""
    thread: NDArray[np.uint32]
    """Index into :attr:`Feed.threads`; of a return that of its entry."""
    depth: NDArray[np.uint8]
    """Of the call in its thread, 0 for the outermost; 255 stands for all that are deeper."""
    kind: NDArray[np.uint8]
    """:data:`ENTERED`, :data:`RETURNED`, :data:`FAILED` or :data:`UNSEEN`."""
    call: NDArray[np.int64]
    """Index of the call in the frame ``calls``."""


class Feed(Protocol):
    """What a view of calls reads."""

    @property
    def functions(self) -> Sequence[str]:
        """Names of functions."""
        ...

    @property
    def threads(self) -> Sequence[str]:
        """Names of threads, ``ls (1234)``; grows. A thread that has a new name is there twice."""
        ...

    def count(self) -> int:
        """How many steps there are by now."""
        ...

    def steps(self, start: int, stop: int) -> Steps:
        """Some of them."""
        ...

    def tell(self, call: int) -> str:
        """A call in one line: function, arguments, result, duration, time of its own."""
        ...


class FrameFeed:
    """A frame of calls, or of some of them, as a feed.

    Args:
        calls: ``start_ns``, ``duration_ns``, ``depth``, ``tid``, ``comm``, ``function``, ``error``
            as in the frame ``calls``. Calls without a duration end unseen where the next call of
            their depth begins, unless ``state`` says they are open.
    """

    def __init__(self, calls: pd.DataFrame) -> None:
        self._calls = calls
        function = pd.Categorical(calls["function"])
        self.functions: Sequence[str] = [str(name) for name in function.categories]
        names = [f"{comm} ({tid})" for comm, tid in zip(_texts(calls["comm"]), calls["tid"], strict=True)]
        labels, threads = pd.factorize(np.array(names, object))
        self.threads: Sequence[str] = list(threads)
        self._steps = _steps_of(calls, np.asarray(function.codes), labels)
        self._row: Callable[[int], Any] = _rows(calls.index)
        self._texts: dict[str, Callable[[int], str]] = {}

    def count(self) -> int:
        """How many steps there are."""
        return len(self._steps.at)

    def steps(self, start: int, stop: int) -> Steps:
        """Some of them."""
        columns: Any = (values[start:stop] for values in self._steps)
        return Steps(*columns)

    def arguments_of(self, call: int) -> str:
        """What the function was called with, if the frame tells."""
        return self._text_of("arguments", call)

    def result_of(self, call: int) -> str:
        """What it returned, or why that is not known."""
        if self.duration_of(call) < 0:
            return self._text_of("state", call)
        if result := self._text_of("return", call):
            return result
        error = self._text_of("error", call)
        return f"-{error}" if error else ""

    def duration_of(self, call: int) -> int:
        """Nanoseconds, -1 if not known."""
        return int(self._durations[self._row(call)])

    def tell(self, call: int) -> str:
        """A call in one line.

        Raises:
            KeyError: The frame has no such call.
        """
        own: Any = self._calls["self_ns"].array[self._row(call)] if "self_ns" in self._calls else pd.NA
        return tell_call(
            self._text_of("function", call),
            self.arguments_of(call),
            self.result_of(call),
            self.duration_of(call),
            -1 if own is pd.NA else int(own),
        )

    @cached_property
    def _durations(self) -> NDArray[np.int64]:
        return self._calls["duration_ns"].to_numpy(dtype=np.int64, na_value=-1)

    def _text_of(self, column: str, call: int) -> str:
        if column not in self._texts:
            self._texts[column] = _reader(self._calls, column)
        return self._texts[column](self._row(call))


def _rows(index: pd.Index[Any]) -> Callable[[int], Any]:
    """Finds the row of a call."""
    first = int(index[0]) if len(index) else 0
    if not np.array_equal(index, np.arange(first, first + len(index))):
        return index.get_loc

    def row(call: int) -> int:
        if not 0 <= call - first < len(index):
            raise KeyError(call)
        return call - first

    return row


def _reader(calls: pd.DataFrame, column: str) -> Callable[[int], str]:
    """Reads a column's texts row by row: pandas takes a hundred times as long for each."""
    if column not in calls:
        return lambda row: ""
    values = calls[column].array
    if isinstance(values, pd.Categorical):
        names, codes = [*map(_text, values.categories), ""], values.codes
        return lambda row: names[codes[row]]  # -1 where there is none
    return lambda row: _text(values[row])


def tell_call(function: str, arguments: str, result: str, duration_ns: int, self_ns: int) -> str:
    """``ext4_lookup(dir=0xffff…, flags=0) = -ENOENT  12.3 µs (self 4.00 µs)``.

    Args:
        function: Its name.
        arguments: As text.
        result: As text; of a call whose return was not seen its state.
        duration_ns: Nanoseconds, -1 if not known.
        self_ns: Nanoseconds of its own, -1 if not known.
    """
    line = f"{function}({arguments})"
    if duration_ns < 0:
        return f"{line}  {result}".rstrip()
    line += f" = {result}" if result else ""
    own = f" (self {told(self_ns)})" if self_ns >= 0 and self_ns != duration_ns else ""
    return f"{line}  {told(duration_ns)}{own}"


def _steps_of(calls: pd.DataFrame, function: NDArray[Any], label: NDArray[Any]) -> Steps:
    thread = pd.factorize(calls["tid"])[0]
    if "cpu" in calls:  # each CPU has an idle thread, and all of them are thread 0
        idle = calls["tid"].to_numpy() == 0
        thread = np.where(idle, thread.max(initial=0) + 1 + calls["cpu"].to_numpy(), thread)
    order = np.argsort(thread, kind="stable")
    depth = calls["depth"].to_numpy().astype(np.int64)
    start = calls["start_ns"].to_numpy().astype(np.int64)
    same = thread[order[1:]] == thread[order[:-1]]
    if (same & (start[order[1:]] < start[order[:-1]])).any():  # sent when completed: children come first
        order = np.lexsort((depth, start, thread))
    level = _levels(calls, thread, depth)[order]
    thread, depth, start = thread[order], depth[order], start[order]
    took = calls["duration_ns"].to_numpy(dtype=np.int64, na_value=-1)[order]
    failed = calls["error"].notna().to_numpy()[order]
    closed = calls["state"].to_numpy()[order] != "open" if "state" in calls else np.ones(len(calls), bool)
    rank = np.arange(len(calls))
    ends = np.flatnonzero(closed)
    # A return stands before the next entry of its thread that is not inside; deeper ones return first.
    who = np.concatenate([rank, ends])
    is_end = np.concatenate([np.zeros(len(rank), bool), np.ones(len(ends), bool)])
    place = np.concatenate([rank, _next_outside(thread, depth, level)[ends]])
    sequence = np.lexsort((np.where(is_end, -depth[who], 0), ~is_end, place, thread[who]))
    who, is_end = who[sequence], is_end[sequence]
    unseen = is_end & (took[who] < 0)
    at = np.where(is_end, start[who] + np.maximum(took[who], 0), start[who])
    at = _never_back(at, thread[who])
    kind = np.where(is_end, np.where(failed[who], FAILED, RETURNED), ENTERED)
    kind[unseen] = UNSEEN
    merged = np.argsort(at, kind="stable")
    who, original = who[merged], order[who[merged]]
    return Steps(
        at[merged].astype(np.uint64),
        function[original].astype(np.uint16),
        label[original].astype(np.uint32),
        np.minimum(depth[who], 255).astype(np.uint8),
        kind[merged].astype(np.uint8),
        calls.index.to_numpy()[original].astype(np.int64),
    )


def _levels(calls: pd.DataFrame, thread: NDArray[Any], depth: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many calls are still open around each.

    That is its depth where all calls are recorded. Of those that were wanted for their end some are
    missing: what was called from one of them is deep, and yet not inside the call before it.
    """
    if "parent" not in calls:
        return depth
    parent = calls["parent"].to_numpy()
    at = calls.index.get_indexer(pd.Index(parent)) if calls.index.is_unique else np.full(len(parent), -1)
    is_known = (at >= 0) & (thread[at] == thread)
    level = np.where(parent < 0, 0, np.where(is_known, depth[at] + 1, depth))
    return np.minimum(level, depth)


def _next_outside(thread: NDArray[Any], depth: NDArray[Any], levels: NDArray[Any]) -> NDArray[np.int64]:
    """For each call, sorted by thread, the next of its thread that is not inside; or behind its last."""
    count = len(depth)
    rank = np.arange(count)
    ends = np.flatnonzero(np.append(thread[1:] != thread[:-1], True)) + 1 if count else rank
    thread_end = np.repeat(ends, np.diff(ends, prepend=0))
    found = thread_end.copy()
    for level in np.unique(depth):
        following = np.append(np.where(levels <= level, rank, count), count)
        following = np.minimum.accumulate(following[::-1])[::-1]
        here = np.flatnonzero(depth == level)
        found[here] = np.minimum(following[here + 1], thread_end[here])
    return found


def _never_back(at: NDArray[np.int64], thread: NDArray[Any]) -> NDArray[np.int64]:
    """Times that do not go back within a thread: what ended unseen did so after what it called."""
    if not len(at):
        return at
    first = int(at.min())
    span = (int(at.max()) - first + 1).bit_length()
    number = np.cumsum(np.append(0, thread[1:] != thread[:-1]))
    if span + int(number[-1]).bit_length() > 62:
        return at
    shifted: NDArray[np.int64] = number << span
    found: NDArray[np.int64] = np.maximum.accumulate(shifted + (at - first)) - shifted + first
    return found


def _texts(values: pd.Series[Any]) -> list[str]:
    return [_text(value) or "?" for value in values]


def _text(value: Any) -> str:
    return "" if value is None or value is pd.NA or value != value else str(value)
