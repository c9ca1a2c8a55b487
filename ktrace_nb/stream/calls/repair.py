"""Pairing one record after the other, for threads of which records are missing.

What is known of a call whose return does not come: it is over when its thread is seen
at, or above, the place on the stack where it was called from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from ktrace_nb.stream.calls.records import STACK_BITS

CLOSING = 1
"""Flag of an open call: it jumped to another one that has returned, so it returns next."""
RUN = 8
"""How many calls may jump on to the next one; more calls of one frame have missed their returns."""


class Sequence(NamedTuple):
    """Entries and returns of one thread."""

    is_return: list[bool]
    function: list[int]
    frame: list[int]
    flags: list[int]
    known: int
    """How many of the entries are calls that were open before."""


@dataclass(slots=True)
class Repaired:
    """What became of a sequence; all numbers are places in it."""

    mate: list[int]
    """The other record of the call, -1 for none."""
    parent: list[int]
    level: list[int]
    missed: list[tuple[int, int]] = field(default_factory=list)
    """Calls that must have returned, and what told so."""
    closing: set[int] = field(default_factory=set)
    """Calls open at the end that return next."""


def repair(records: Sequence) -> Repaired:
    """Pair the records of a thread, whatever is missing."""
    size = len(records.frame)
    found = Repaired([-1] * size, [-1] * size, [0] * size)
    work = _Stack(records, found)
    for at in range(records.known):
        work.enter(at, records.frame[at], records.function[at])
        if records.flags[at] & CLOSING:
            found.closing.add(at)
    is_return, frames, functions = records.is_return, records.frame, records.function
    for at in range(records.known, size):
        if is_return[at]:
            work.leave(at, frames[at], functions[at])
        else:
            work.settle(at, frames[at], entering=True)
            work.enter(at, frames[at], functions[at])
    found.closing.intersection_update(work.calls)
    return found


class _Stack:
    """Calls open at one moment: their places, frames and functions."""

    def __init__(self, records: Sequence, found: Repaired) -> None:
        self.calls: list[int] = []
        self.frames: list[int] = []
        self.functions: list[int] = []
        self._found = found

    def enter(self, at: int, frame: int, function: int) -> None:
        found, calls = self._found, self.calls
        found.level[at] = len(calls)
        if calls:
            found.parent[at] = calls[-1]
        calls.append(at)
        self.frames.append(frame)
        self.functions.append(function)

    def leave(self, at: int, frame: int, function: int) -> None:
        frames = self.frames
        found = self._found
        if not (frames and frames[-1] == frame and self.functions[-1] == function):
            place = self._search(frame, function)
            if place < 0:
                self.settle(at, frame, entering=False)
                found.level[at] = len(frames)
                if frames and frames[-1] == frame:  # another function: perhaps it jumped to this one
                    found.closing.add(self.calls[-1])
                return
            while len(frames) > place + 1:
                self._miss(at)
        call = self.calls.pop()
        frames.pop()
        self.functions.pop()
        found.mate[call], found.mate[at] = at, call
        found.level[at] = len(frames)
        if frames and frames[-1] == frame:
            found.closing.add(self.calls[-1])

    def settle(self, at: int, frame: int, *, entering: bool) -> None:
        """Give up the calls that are over if the thread works at this frame."""
        frames = self.frames
        while frames:
            top = frames[-1]
            if (top ^ frame) >> STACK_BITS:
                stack = frame >> STACK_BITS
                if all(other >> STACK_BITS != stack for other in frames):
                    return
            elif top == frame and not entering:
                return  # the return of one that it jumped to, whose entry is missing
            elif self.calls[-1] not in self._found.closing and (
                top > frame or (top == frame and not self._is_run(frame))
            ):
                return
            self._miss(at)

    def _is_run(self, frame: int) -> bool:
        return self.frames[-RUN:] == [frame] * RUN

    def _search(self, frame: int, function: int) -> int:
        """The innermost open call of that frame and function, -1 for none."""
        for place in range(len(self.frames) - 1, -1, -1):
            other = self.frames[place]
            if other == frame:
                if self.functions[place] == function:
                    return place
            elif other > frame and not (other ^ frame) >> STACK_BITS:
                return -1
        return -1

    def _miss(self, by: int) -> None:
        self._found.missed.append((self.calls.pop(), by))
        self.frames.pop()
        self.functions.pop()
