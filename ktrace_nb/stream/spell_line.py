"""Comings, leavings and wakeups of tasks in one line, each task's by time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.stream.spell_events import GONE, RUNNABLE, Switches, Wakeups

OPEN = np.iinfo(np.int64).min
"""The end of a spell that has not ended."""

LOST = OPEN + 1
"""The end of a spell whose end was not seen."""

_IN, _OUT, _WAKE = range(3)


@dataclass(frozen=True, slots=True)
class Carry:
    """How things stand after some events: the last switch of each CPU, and the tasks that wait."""

    at: NDArray[np.int64]
    cpu: NDArray[np.int16]
    tid: NDArray[np.int32]
    row: NDArray[np.int64]
    """Of the spell that runs, -1 if there is none."""

    wait_at: NDArray[np.int64]
    wait_tid: NDArray[np.int32]
    wait_comm: NDArray[np.int32]
    wait_state: NDArray[np.int8]
    wait_row: NDArray[np.int64]

    @classmethod
    def none(cls) -> Carry:
        """How things stand at first."""
        long, word, short = np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.int16)
        return cls(long, short, word, long, long, word, word, short.astype(np.int8), long)

    def moved(self, to: NDArray[np.int64]) -> Carry:
        """The same when rows have other numbers; -1 for those that are no more."""
        table = np.append(to, -1)
        return replace(self, row=table[self.row], wait_row=table[self.wait_row])


@dataclass(frozen=True, slots=True)
class Line:
    """Comings, leavings and wakeups task by task, each task's by time."""

    at: NDArray[np.int64]
    tid: NDArray[np.int32]
    kind: NDArray[np.int8]
    cpu: NDArray[np.int16]
    state: NDArray[np.int8]
    comm: NDArray[np.int32]
    source: NDArray[np.int64]
    """Of a coming or leaving, the number of the switch among those of the carry and the new."""

    carried: NDArray[np.int64]
    """Number in the carry's waits, -1 for the others."""

    carried_row: NDArray[np.int64]
    end: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        carry: Carry,
        switches: Switches,
        wakeups: Wakeups,
        columns: tuple[NDArray[np.int64], NDArray[np.int16], NDArray[np.int32], NDArray[np.int32]],
        *,
        waiting: bool,
    ) -> Line:
        """Put the events into this order and find where each spell ends."""
        at, cpu, leaves, comes = columns
        count, old = len(at), len(carry.at)
        tid = np.empty(2 * count, np.int32)
        tid[0::2], tid[1::2] = leaves, comes
        times, source = np.repeat(at, 2), np.repeat(np.arange(count), 2)
        kind = np.tile(np.array([_OUT, _IN], np.int8), count)
        state = np.full(2 * count, GONE, np.int8)
        comm = np.full(2 * count, -1, np.int32)
        if waiting:
            state[2 * old :: 2] = switches.state
            comm[2 * old :: 2] = switches.prev_comm
        carried = np.full(2 * count, -1)
        carried_row = carried.copy()
        if waiting and (len(carry.wait_at) or len(wakeups.at)):
            waits, woken = len(carry.wait_at), len(wakeups.at)
            none = np.full(waits + woken, -1)
            tid = np.concatenate([carry.wait_tid, wakeups.tid, tid])
            times = np.concatenate([carry.wait_at, wakeups.at, times])
            kind = np.concatenate([np.full(waits, _OUT, np.int8), np.full(woken, _WAKE, np.int8), kind])
            state = np.concatenate([carry.wait_state, np.full(woken, RUNNABLE, np.int8), state])
            comm = np.concatenate([carry.wait_comm, wakeups.comm, comm])
            source = np.concatenate([none, source])
            carried = np.concatenate([np.arange(waits), np.full(woken, -1), carried])
            carried_row = np.concatenate([carry.wait_row, np.full(woken, -1), carried_row])
        chosen = np.flatnonzero(tid > 0)
        if len(tid) > 2 * count:
            chosen = chosen[np.argsort(times[chosen], kind="stable")]
        chosen = chosen[_task_by_task(tid[chosen])]
        if len(wakeups.at):
            chosen = chosen[_meaningful(tid[chosen], kind[chosen], state[chosen])]
        line = cls(
            times[chosen],
            tid[chosen],
            kind[chosen],
            np.append(cpu, np.int16(-1))[source[chosen]],
            state[chosen],
            comm[chosen],
            source[chosen],
            carried[chosen],
            carried_row[chosen],
            np.full(len(chosen), OPEN),
        )
        line._find_ends()
        return line

    def _find_ends(self) -> None:
        same = self.tid[1:] == self.tid[:-1]
        kind, then = self.kind[:-1], self.kind[1:]
        left = (kind == _IN) & (then == _OUT) & (self.cpu[1:] == self.cpu[:-1])
        waited = (kind != _IN) & (then != _OUT)
        self.end[:-1] = np.where(same, np.where(left | waited, self.at[1:], LOST), OPEN)
        # A wakeup that tells no name is of the task that slept before.
        nameless = np.flatnonzero(same & (then == _WAKE) & (self.comm[1:] < 0)) + 1
        self.comm[nameless] = self.comm[nameless - 1]

    def end_of_runs(self, count: int, cpu: NDArray[np.int16]) -> NDArray[np.int64]:
        """For each switch, when the task that came left again, as the task's events tell."""
        ends = np.full(count, OPEN)
        comings = self.kind == _IN
        ends[self.source[comings]] = self.end[comings]
        return ends

    @property
    def waits(self) -> NDArray[np.bool_]:
        """Which begin a spell of a task that does not run."""
        return np.asarray((self.kind != _IN) & (self.state != GONE))

    def open_waits(self, rows: NDArray[np.int64]) -> tuple[Any, ...]:
        """The tasks that wait in the end, as the carry has them."""
        kept = self.waits & (self.end == OPEN) & (rows >= 0)
        return self.at[kept], self.tid[kept], self.comm[kept], self.state[kept], rows[kept]


def _task_by_task(tid: NDArray[np.int32]) -> NDArray[np.int64]:
    """The order in which each task's events lie behind each other."""
    codes, tasks = pd.factorize(tid)
    narrow = codes.astype(np.uint16) if len(tasks) < 2**16 else codes  # 16 bits are sorted much faster
    return np.argsort(narrow, kind="stable")


def _meaningful(tid: NDArray[np.int32], kind: NDArray[np.int8], state: NDArray[np.int8]) -> NDArray[np.bool_]:
    """All but wakeups of tasks that ran, were about to, or had been woken."""
    kept = np.ones(len(tid), bool)
    asleep = (kind == _OUT) & (state != RUNNABLE) & (state != GONE)
    kept[1:] = (kind[1:] != _WAKE) | (tid[1:] != tid[:-1]) | asleep[:-1]
    return kept
