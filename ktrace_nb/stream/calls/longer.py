"""Calls that took long, chosen as they arrive: for ftrace's tracer, which writes down all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ktrace_nb.ir.calls import END, ENTRY, RETURN
from ktrace_nb.stream.calls.records import RECORD

_OUTERMOST = 0xFFFF_FFFF
"""The frame that a record of function_graph has at depth 0; of depth 1 it is one less."""


class Longer:
    """Gives of calls those that took at least so long, as programs send them at their return.

    Args:
        least_ns: How long, nanoseconds.
    """

    def __init__(self, least_ns: int) -> None:
        self._least_ns = least_ns
        self._open = np.empty(0, RECORD)
        self.no_return = 0
        """Entries whose return did not come: how long they took is not known."""
        self.unmatched = 0
        """Returns whose entry did not come."""

    def add(self, records: NDArray[Any]) -> NDArray[Any]:
        """Take in records in the order of their times, and give those that are wanted by now.

        Of a call both records come where its return was, the entry first, with its depth; what tells
        of threads stays where it is.
        """
        known = len(self._open)
        both = np.concatenate([self._open, records])
        is_call = (both["kind"] == ENTRY) | (both["kind"] == RETURN)
        at = np.flatnonzero(is_call)
        calls = both[at]
        # Of the idle threads every CPU has one, all with the number 0.
        thread = calls["tid"].astype(np.int64)
        thread = np.where(thread == 0, -1 - calls["cpu"].astype(np.int64), thread)
        life, is_gone = _lives(both, thread, at)
        order = np.lexsort((np.arange(len(at)), calls["frame"], life, thread))
        calls, at, thread = calls[order], at[order], thread[order]
        life, is_gone = life[order], is_gone[order]
        entered = calls["kind"] == ENTRY
        same = (thread[1:] == thread[:-1]) & (calls["frame"][1:] == calls["frame"][:-1])
        same &= life[1:] == life[:-1]
        pair = same & entered[:-1] & ~entered[1:] & (calls["function"][1:] == calls["function"][:-1])
        first = np.flatnonzero(pair)
        alone = entered.copy()
        alone[first] = False
        waits = alone & ~is_gone & (np.append(~same, True) if len(at) else np.empty(0, bool))
        self.no_return += int((alone & ~waits).sum())
        self.unmatched += int((~entered).sum()) - len(first)
        self._open = both[np.sort(at[waits])]
        took = calls["at"][first + 1].astype(np.int64) - calls["at"][first].astype(np.int64)
        first = first[took >= self._least_ns]
        others = np.flatnonzero(~is_call)
        position = np.concatenate([at[first + 1], at[first + 1], others])
        chosen = np.concatenate([calls[first], calls[first + 1], both[others]])
        in_calls = slice(0, 2 * len(first))
        depth = _OUTERMOST - chosen["frame"][in_calls].astype(np.int64)
        chosen["depth"][in_calls] = np.minimum(depth, 255)
        assert not len(others) or others[0] >= known
        return chosen[np.argsort(position, kind="stable")]

    def finish(self) -> None:
        """No more will come: count the entries that still wait for their return."""
        self.no_return += len(self._open)
        self._open = np.empty(0, RECORD)


def _lives(
    records: NDArray[Any], thread: NDArray[np.int64], at: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """How often each call's thread had ended before it, and whether it ended after it.

    A thread's number is used again. Some functions of one that ends do not return.

    Args:
        records: All of them, in order.
        thread: Of each call.
        at: Of each call its place among the records.
    """
    ends = np.flatnonzero(records["kind"] == END)
    known = np.sort((records["tid"][ends].astype(np.int64) << 32) | ends)
    first = np.searchsorted(known, thread << 32)
    before = np.searchsorted(known, (thread << 32) | at)
    return before - first, np.searchsorted(known, (thread + 1) << 32) > before
