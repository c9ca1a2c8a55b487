"""Calls that are sent when they are over: children come before the calls they were made from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ktrace_nb.stream.calls.pairing import Events, Int, Open, Paired


def pair_adjacent(before: Open, events: Events, depth: NDArray[Any]) -> Paired:
    """Pair an entry with the next record of its thread, frame and function, if that is a return.

    Each call's two are sent one right behind the other. An interrupt may come between them, and with
    it the records of its own calls: those lie elsewhere on the stack.

    Args:
        before: Entries whose return had not come.
        events: What has come, at least one.
        depth: Of each, as the kernel counted it.

    Returns:
        Without parents: those come later, see :func:`parents_by_time`.
    """
    touched = np.zeros(max(int(events.slot.max()), int(before.slot.max(initial=0))) + 1, bool)
    touched[events.slot] = True
    waits = touched[before.slot]
    held = before.chosen(waits)
    known = len(held)
    slot = np.concatenate([held.slot, events.slot])
    order = np.argsort(slot, kind="stable")
    slot, is_return = slot[order], np.concatenate([np.zeros(known, bool), events.is_return])[order]
    function = np.concatenate([held.function, events.function])[order]
    frame = np.concatenate([held.frame, events.frame])[order]
    row = np.concatenate([held.row, events.row])[order]
    levels = np.concatenate([np.zeros(known, np.int64), depth.astype(np.int64)])[order]
    by_place = np.lexsort((function, frame, slot))  # which keeps those of one place in order
    first, second = by_place[:-1], by_place[1:]
    alike = (slot[first] == slot[second]) & (frame[first] == frame[second])
    alike &= (function[first] == function[second]) & ~is_return[first]
    fits = alike & is_return[second]
    call = np.where(is_return, -1, row)
    call[second[fits]] = row[first[fits]]
    again = alike & ~is_return[second]
    # In the order in which their places were entered again.
    by_end = np.argsort(second[again], kind="stable")
    lost, seen = first[again][by_end], second[again][by_end]
    left = ~is_return
    left[first[alike]] = False
    back = np.empty(len(order), np.int64)
    back[order] = np.arange(len(order))
    return Paired(
        call[back][known:],
        levels[back][known:],
        np.full(len(events.slot), -1),
        row[lost],
        levels[lost],
        order[seen] - known,
        before.chosen(~waits).and_then(
            Open(slot[left], row[left], function[left], frame[left], np.zeros(int(left.sum()), np.uint8))
        ),
        0,
    )


def parents_by_time(thread: NDArray[Any], depth: NDArray[Any], start: Int, duration: Int) -> Int:
    """From which calls others were made, told by their times and depths.

    Args:
        thread: A number for the thread of each call.
        depth: How many calls of the thread were open at its entry; not all of them need be here.
        start: Nanoseconds.
        duration: Nanoseconds, -1 if not known.

    Returns:
        For each call the innermost one that contains it, -1 for none.
    """
    count = len(start)
    order = np.lexsort((depth, start, thread))
    thread, depth, start = thread[order], depth[order], start[order]
    end = np.where(duration[order] < 0, start, start + duration[order])
    rank = np.arange(count)
    first = np.repeat(*_firsts(thread))
    parent = np.full(count, -1)
    for level in np.unique(depth)[:-1]:
        latest = np.maximum.accumulate(np.where(depth == level, rank, -1))
        deeper = np.flatnonzero((depth > level) & (latest >= first))
        candidate = latest[deeper]
        inside = end[candidate] >= end[deeper]
        parent[deeper[inside]] = candidate[inside]
    found = np.empty(count, np.int64)
    found[order] = np.where(parent >= 0, order[parent], -1)
    return found


def _firsts(thread: NDArray[Any]) -> tuple[Int, Int]:
    """Where each thread begins, and how many calls it has."""
    starts = np.flatnonzero(np.append(True, thread[1:] != thread[:-1])) if len(thread) else np.arange(0)
    return starts, np.diff(np.append(starts, len(thread)))
