"""Threads of a walk: whose records are whose, and what they were called at the time.

The number of a thread is used again after it has ended, and every CPU has an idle thread
with the number 0. A *slot* stands for one thread from its beginning to its end. A *label*
is a thread with a name: it has several if it was renamed, as a shell's child is by ``exec``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ktrace_nb.errors import StreamError
from ktrace_nb.ir.calls import END, THREAD
from ktrace_nb.stream.calls.columns import Columns
from ktrace_nb.stream.calls.listing import parse_listing
from ktrace_nb.stream.calls.records import PID_MAX_LIMIT

_FORK = 1


@dataclass(frozen=True, slots=True)
class Label:
    """A thread under one of its names."""

    tid: int
    pid: int
    """Its process, -1 if not known."""
    comm: str
    """Empty if not known."""

    @property
    def text(self) -> str:
        """``ls (1234)``."""
        return f"{self.comm or '?'} ({self.tid})"


@dataclass(frozen=True, slots=True)
class Placed:
    """The threads of a batch of records."""

    slot: NDArray[np.uint32]
    label: NDArray[np.uint32]
    ends: list[tuple[int, int]]
    """Place in the batch, slot whose thread has ended there."""


class Roster:
    """All threads met so far."""

    def __init__(self) -> None:
        self.labels: list[Label] = []
        """Of threads that made calls."""
        self.texts: list[str] = []
        self._slot_of = np.full(1 << 15, -1, np.int64)
        """By thread."""
        self._idle_of = np.full(1 << 10, -1, np.int64)
        """By CPU."""
        self._known: dict[int, Label] = {}
        """Threads without a slot: none of their calls has been seen."""
        self._slots = Columns({"label": np.uint32, "used": bool}, rows=1 << 32)

    def add_listed(self, listing: bytes) -> None:
        """Take in lines ``TID TGID PPID COMM``, see :mod:`ktrace_nb.stream.calls.listing`."""
        for one in parse_listing(listing):
            tid = one.tid
            named = Label(tid, one.process, one.comm)
            slot = int(self._slot_of[tid]) if tid < len(self._slot_of) else -1
            if slot < 0:
                self._known.setdefault(tid, named)
            elif not self.labels[int(self._slots["label"][slot])].comm:
                self._name(slot, named, always=True)

    def place(self, records: NDArray[np.void]) -> Placed:
        """Find the threads of records, and learn from those that tell of threads.

        Raises:
            StreamError: A thread or process has a number that none can have.
        """
        is_call = records["kind"] < THREAD
        process = int(records["frame"][records["kind"] == THREAD].max(initial=0))
        if process >= PID_MAX_LIMIT:
            raise StreamError(f"a record of calls names process {process}")
        slot = self._slots_of(records["tid"], records["cpu"], is_call)
        there = slot >= 0
        label = np.zeros(len(slot), np.uint32)
        label[there] = self._slots["label"][slot[there]]
        ends: list[tuple[int, int]] = []
        tells = np.flatnonzero(~is_call)
        if len(tells):
            self._follow(records, tells.tolist(), slot, label, ends)
        self._slots["used"][slot[is_call]] = True
        return Placed(slot.astype(np.uint32), label, ends)

    def _slots_of(
        self, tid: NDArray[np.uint32], cpu: NDArray[np.uint16], is_call: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """The slot of each record, -1 for threads of which no call has been seen."""
        highest = int(tid.max(initial=0))
        if highest >= PID_MAX_LIMIT:
            raise StreamError(f"a record of calls names thread {highest}")
        self._slot_of = _reach(self._slot_of, highest)
        slot = self._slot_of[tid]
        idle = np.flatnonzero((tid == 0) & is_call)
        if len(idle):
            self._idle_of = _reach(self._idle_of, int(cpu[idle].max()))
            for number in np.unique(cpu[idle]):
                if self._idle_of[number] < 0:
                    self._idle_of[number] = self._new(Label(0, 0, f"swapper/{number}"))
            slot[idle] = self._idle_of[cpu[idle]]
        for number in np.unique(tid[(slot < 0) & is_call]).tolist():
            self._slot_of[number] = self._new(self._known.pop(number, Label(number, -1, "")))
        late = slot < 0
        slot[late] = self._slot_of[tid[late]]
        return slot

    def _new(self, label: Label) -> int:
        self.labels.append(label)
        self.texts.append(label.text)
        one = np.array([len(self.labels) - 1])
        self._slots.append({"label": one, "used": False})
        return self._slots.rows - 1

    def _name(self, slot: int, label: Label, *, always: bool = False) -> int:
        """Name a thread; gives its label, the present one where that has not been used so far."""
        labels = self._slots["label"]
        number = int(labels[slot])
        if self.labels[number] == label:
            return number
        if always or not self._slots["used"][slot]:
            self.labels[number], self.texts[number] = label, label.text
            return number
        self.labels.append(label)
        self.texts.append(label.text)
        labels[slot] = len(self.labels) - 1
        return len(self.labels) - 1

    def _follow(
        self,
        records: NDArray[np.void],
        tells: list[int],
        slot: NDArray[np.int64],
        label: NDArray[np.uint32],
        ends: list[tuple[int, int]],
    ) -> None:
        places = _Places(slot)
        for at in tells:
            record = records[at]
            tid = int(record["tid"])
            here = int(slot[at])
            called = bytes(record["values"].tobytes()[:16]).split(b"\0")[0].decode("utf-8", "replace")
            named = Label(tid, int(record["frame"]), called)
            if here < 0:
                self._known[tid] = named
                if record["kind"] == END:
                    del self._known[tid]
                continue
            where = places.of(here)
            later = where[np.searchsorted(where, at) :]
            calls = records["kind"][where] < THREAD
            was_used = bool(self._slots["used"][here]) or bool(calls[: len(where) - len(later)].any())
            is_end = bool(record["kind"] == END)
            if is_end:
                named = Label(tid, -1, "")  # whoever has the number from here on
            if was_used and (is_end or record["what"] == _FORK):
                ends.append((at, here))
                self._slot_of[tid] = -1
                if len(later) > is_end:
                    self._begin(named, later[is_end:], slot, label, places)
            else:
                self._slots["used"][here] = was_used
                label[later] = self._name(here, named)

    def _begin(
        self,
        name: Label,
        later: NDArray[np.int64],
        slot: NDArray[np.int64],
        label: NDArray[np.uint32],
        places: _Places,
    ) -> None:
        """Give the number of a thread that has ended, and its records from there on, to a new one."""
        fresh = self._new(name)
        self._slot_of[name.tid] = fresh
        slot[later] = fresh
        places.move(fresh, later)
        label[later] = self._slots["label"][fresh]


class _Places:
    """Where in a batch the records of a slot are."""

    def __init__(self, slot: NDArray[np.int64]) -> None:
        self._order = np.argsort(slot, kind="stable")
        self._ordered = slot[self._order]
        self._moved: dict[int, NDArray[np.int64]] = {}

    def of(self, slot: int) -> NDArray[np.int64]:
        """Rising."""
        if slot in self._moved:
            return self._moved[slot]
        first, last = np.searchsorted(self._ordered, [slot, slot + 1])
        return self._order[first:last]

    def move(self, slot: int, places: NDArray[np.int64]) -> None:
        """Say that these are a new slot's."""
        self._moved[slot] = places


def _reach(table: NDArray[np.int64], number: int) -> NDArray[np.int64]:
    """The table, long enough to have a place for a number."""
    if number < len(table):
        return table
    grown = np.full(max(2 * len(table), number + 1), -1, np.int64)
    grown[: len(table)] = table
    return grown
