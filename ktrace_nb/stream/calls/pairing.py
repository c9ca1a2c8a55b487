"""Which return belongs to which entry, and which call was made from which.

Records of a thread come in the order of its program, so that entries and returns are
brackets. A batch is sorted by thread; the number of brackets open at each record is a
cumulative sum, and of one depth entries and returns alternate: each pair stands side by
side. No record is looked at alone.

That holds as long as nothing is missing. The frame of a record says whether something
is (see :mod:`ktrace_nb.stream.calls.records`): both records of a call have the same one,
and a call made from another on the same stack has a smaller one, or the same if its
caller jumped to it (a tail call: then its return must be followed by the caller's).
Threads of a batch in which any of this fails go through
:func:`~ktrace_nb.stream.calls.repair.repair`, one record after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ktrace_nb.stream.calls.records import STACK_BITS
from ktrace_nb.stream.calls.repair import CLOSING, RUN, Sequence, repair

Int = NDArray[np.int64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Open:
    """Calls without a return so far; those of one thread stand in order, the outermost first."""

    slot: NDArray[np.uint32]
    """Of its thread."""
    row: Int
    function: NDArray[np.uint16]
    frame: NDArray[np.uint32]
    flags: NDArray[np.uint8]
    """:data:`~ktrace_nb.stream.calls.repair.CLOSING` or 0."""

    @staticmethod
    def none() -> Open:
        """No calls."""
        types = (np.uint32, np.int64, np.uint16, np.uint32, np.uint8)
        columns: Any = (np.empty(0, dtype) for dtype in types)
        return Open(*columns)

    def __len__(self) -> int:
        return len(self.slot)

    def chosen(self, which: Bool | Int) -> Open:
        """Some of them, by a mask or by their places."""
        return Open(*(getattr(self, name)[which] for name in self.__slots__))

    def and_then(self, other: Open) -> Open:
        """These, then others."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in self.__slots__)
        return Open(*(np.concatenate(pair) for pair in pairs))


@dataclass(frozen=True, slots=True)
class Events:
    """Entries and returns in the order of the ring."""

    slot: NDArray[np.uint32]
    is_return: Bool
    function: NDArray[np.uint16]
    frame: NDArray[np.uint32]
    row: Int
    """Of an entry its call; of a return -1."""


@dataclass(frozen=True, slots=True)
class Paired:
    """What a batch says: one value for each event, and what was missed."""

    call: Int
    """The call that begins or ends here; -1 for a return without an entry."""
    depth: Int
    parent: Int
    """Of an entry: the call it was made from, -1 for none."""
    missed: Int
    """Calls whose return was missed."""
    missed_depth: Int
    noticed: Int
    """By which event it was noticed."""
    open: Open
    """Calls open after the batch."""
    repaired: int
    """Events of threads that had to be looked at one by one."""


class _Threads:
    """Events sorted by thread, each thread's behind the calls it had open before."""

    def __init__(self, held: Open, events: Events, dense: NDArray[Any]) -> None:
        self.held = len(held)
        slot = np.concatenate([held.slot, events.slot])
        key = dense[slot]
        self.order: Int = np.argsort(key, kind="stable")
        self.key = key[self.order]
        self.slot = slot[self.order]
        zeros = np.zeros(self.held, bool)
        self.is_return: Bool = np.concatenate([zeros, events.is_return])[self.order]
        self.function = np.concatenate([held.function, events.function])[self.order]
        self.frame = np.concatenate([held.frame, events.frame])[self.order]
        self.row: Int = np.concatenate([held.row, events.row])[self.order]
        self.was: NDArray[np.uint8] = np.zeros(len(self.order), np.uint8)
        """Flags of calls that were open before."""
        self.was[self.order < self.held] = held.flags
        self.flags = np.zeros_like(self.was)
        change = np.flatnonzero(self.key[1:] != self.key[:-1]) + 1
        self.starts: Int = np.concatenate([[0], change])
        self.ends: Int = np.append(change, len(self.order))
        self.bad: Bool = np.zeros(len(self.starts), bool)
        size = len(self.order)
        self.mate: Int = np.full(size, -1)
        self.parent: Int = np.full(size, -1)
        self.level: Int = self._levels()

    def _levels(self) -> Int:
        sign = np.where(self.is_return, -1, 1)
        total = np.cumsum(sign)
        before = (total - sign)[self.starts]
        level: Int = total - np.repeat(before, self.ends - self.starts) - ~self.is_return
        self.bad |= np.minimum.reduceat(level, self.starts) < 0
        return np.maximum(level, 0)

    def find_pairs(self) -> None:
        """Entries and returns of one depth alternate."""
        order = self._by_level()
        key, level = self.key[order], self.level[order]
        is_return = self.is_return[order]
        same = (key[1:] == key[:-1]) & (level[1:] == level[:-1])
        first = np.flatnonzero(same & ~is_return[:-1] & is_return[1:])
        entry, end = order[first], order[first + 1]
        self.mate[entry], self.mate[end] = end, entry
        wrong = (self.function[entry] != self.function[end]) | (self.frame[entry] != self.frame[end])
        self.blame(entry[wrong])
        self._find_parents(order[~is_return])

    def _by_level(self) -> Int:
        """A stable order by thread and depth. Numpy sorts 16 bits by counting."""
        levels = int(self.level.max()) + 1
        if levels * len(self.starts) < 1 << 16:
            both = self.key.astype(np.uint16) * np.uint16(levels) + self.level.astype(np.uint16)
            return np.argsort(both, kind="stable")
        narrow = np.uint16 if levels < 1 << 16 else np.uint32
        order = np.argsort(self.level.astype(narrow), kind="stable")
        return order[np.argsort(self.key[order], kind="stable")]

    def _find_parents(self, entries: Int) -> None:
        """A first call stands right behind the entry of its caller; the next ones have the same."""
        is_start = np.zeros(len(self.order), bool)
        is_start[self.starts] = True
        begins = is_start[entries]
        sibling = self.is_return[entries - 1] & ~begins
        direct = np.where(begins, -1, entries - 1)
        source = np.maximum.accumulate(np.where(sibling, 0, np.arange(len(entries))))
        parent = direct[source]
        # Only in a thread with errors could it stand behind.
        self.parent[entries] = np.where(parent < entries, parent, -1)

    def check_frames(self) -> None:
        """Blame threads whose frames do not fit their brackets."""
        child = np.flatnonzero(self.parent >= 0)
        parent = self.parent[child]
        stack = self.frame >> STACK_BITS
        alike = stack[child] == stack[parent]
        above, below = self.frame[child], self.frame[parent]
        self.blame(child[alike & (above > below)])
        self._check_tail_calls(child[alike & (above == below)])
        self._check_stacks(child[~alike], stack)
        self._check_closing()

    def _check_stacks(self, child: Int, stack: NDArray[Any]) -> None:
        # Whoever works on another stack goes back only when everything there has returned.
        ancestor = self.parent[child]
        while len(child):
            ancestor = self.parent[ancestor]
            there = ancestor >= 0
            child, ancestor = child[there], ancestor[there]
            clash = stack[child] == stack[ancestor]
            self.blame(child[clash])
            child, ancestor = child[~clash], ancestor[~clash]

    def _check_tail_calls(self, child: Int) -> None:
        parent, end = self.parent[child], self.mate[child]
        returned = end >= 0
        is_last = returned & np.isin(end + 1, self.ends)
        self.flags[parent[is_last]] |= CLOSING
        self.blame(child[returned & ~is_last & (self.mate[parent] != end + 1)])
        self._check_runs(child[~returned])

    def _check_runs(self, child: Int) -> None:
        last, at = child, child
        for _ in range(RUN):
            before = self.parent[at]
            alike = (before >= 0) & (self.frame[before] == self.frame[at])
            last, at = last[alike], before[alike]
        self.blame(last)

    def _check_closing(self) -> None:
        # A call that jumped to another before this batch has to return next.
        flagged = np.flatnonzero(self.was & CLOSING)
        late = self.mate[flagged] != flagged + 1
        self.blame(flagged[late])

    def blame(self, at: Int) -> None:
        """Have the threads of these events repaired."""
        self.bad[np.searchsorted(self.starts, at, side="right") - 1] = True

    def repair(self) -> tuple[list[tuple[int, int]], int]:
        """Go through the threads that were blamed; gives missed calls and their witnesses, and a count."""
        missed: list[tuple[int, int]] = []
        count = 0
        for number in np.flatnonzero(self.bad).tolist():
            part = slice(int(self.starts[number]), int(self.ends[number]))
            found = repair(
                Sequence(
                    self.is_return[part].tolist(),
                    self.function[part].tolist(),
                    self.frame[part].tolist(),
                    self.was[part].tolist(),
                    int(np.count_nonzero(self.order[part] < self.held)),
                )
            )
            mate, parent = np.array(found.mate), np.array(found.parent)
            self.mate[part] = np.where(mate >= 0, mate + part.start, -1)
            self.parent[part] = np.where(parent >= 0, parent + part.start, -1)
            self.level[part] = found.level
            self.flags[part] = 0
            self.flags[[part.start + call for call in found.closing]] |= CLOSING
            missed += [(part.start + call, part.start + by) for call, by in found.missed]
            count += part.stop - part.start
        return missed, count


def pair(before: Open, events: Events) -> Paired:
    """Pair the entries and returns of a batch.

    Args:
        before: Calls that were open.
        events: What has come, at least one.
    """
    highest = max(int(events.slot.max()), int(before.slot.max(initial=0)))
    touched = np.zeros(highest + 1, bool)
    touched[events.slot] = True
    dense = np.cumsum(touched) - 1
    dense = dense.astype(np.uint16 if dense[-1] < 1 << 16 else np.uint32)
    waits = touched[before.slot]
    held = before.chosen(waits)
    # In the order of the threads, as they come out of the sort by thread.
    held = held.chosen(np.argsort(held.slot, kind="stable"))
    threads = _Threads(held, events, dense)
    threads.find_pairs()
    threads.check_frames()
    missed, repaired = threads.repair()
    return _told(threads, before.chosen(~waits), missed, repaired)


def _told(threads: _Threads, others: Open, missed: list[tuple[int, int]], repaired: int) -> Paired:
    row, mate, parent = threads.row, threads.mate, threads.parent
    call = np.where(threads.is_return, np.where(mate >= 0, row[mate], -1), row)
    gone = np.zeros(len(row), bool)
    lost = np.array(missed, np.int64).reshape(-1, 2)
    gone[lost[:, 0]] = True
    left = ~threads.is_return & (mate < 0) & ~gone
    still = Open(
        threads.slot[left],
        row[left],
        threads.function[left],
        threads.frame[left],
        threads.flags[left],
    )
    held = threads.held
    return Paired(
        _back(threads, call)[held:],
        _back(threads, threads.level)[held:],
        _back(threads, np.where(parent >= 0, row[parent], -1))[held:],
        row[lost[:, 0]],
        threads.level[lost[:, 0]],
        threads.order[lost[:, 1]] - held,
        others.and_then(still),
        repaired,
    )


def _back(threads: _Threads, values: Int) -> Int:
    """Into the order of the ring."""
    found = np.empty_like(values)
    found[threads.order] = values
    return found
