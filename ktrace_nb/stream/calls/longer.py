"""Calls that took long, chosen as they arrive: for ftrace's tracer, which writes down all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ktrace_nb.ir.calls import ENTRY, RETURN
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
        self.unmatched = 0
        """Entries whose return did not come: how long they took is not known."""

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
        order = np.lexsort((np.arange(len(at)), calls["frame"], thread))
        calls, at, thread = calls[order], at[order], thread[order]
        entered = calls["kind"] == ENTRY
        same = (thread[1:] == thread[:-1]) & (calls["frame"][1:] == calls["frame"][:-1])
        pair = same & entered[:-1] & ~entered[1:] & (calls["function"][1:] == calls["function"][:-1])
        first = np.flatnonzero(pair)
        alone = entered.copy()
        alone[first] = False
        is_last = np.append(~same, True) if len(at) else np.empty(0, bool)
        self.unmatched += int((alone & ~is_last).sum())
        self._open = both[np.sort(at[alone & is_last])]
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
