"""Which spells begin and end with some events, given how things stood before them.

Every CPU and every task is followed on its own: events are put into an order in which those
of one CPU, or of one task, lie behind each other, and each is compared with the next.
A spell is believed only where CPU and task agree on its end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ktrace_nb.stream.spell_events import RUNNING, Switches, Wakeups
from ktrace_nb.stream.spell_line import LOST, OPEN, Carry, Line

_UNKNOWN = -2
"""What runs on a CPU of which it is not known."""


@dataclass(frozen=True, slots=True)
class Begun:
    """Spells that begin, in the order of their starts."""

    start: NDArray[np.int64]
    end: NDArray[np.int64]
    cpu: NDArray[np.int16]
    tid: NDArray[np.int32]
    comm: NDArray[np.int32]
    state: NDArray[np.int8]
    event: NDArray[np.int64]
    """Which of the switches it begins with, -1 for a wakeup."""


@dataclass(frozen=True, slots=True)
class Ended:
    """Spells of before that end, by their row."""

    row: NDArray[np.int64]
    end: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Gaps:
    """When it is not known what ran on some CPU."""

    start: NDArray[np.int64]
    end: NDArray[np.int64]

    def over(self, start: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which spells lie over one of them; one that has not ended if it began before its end."""
        order = np.argsort(self.start, kind="stable")
        starts, latest = self.start[order], np.maximum.accumulate(self.end[order])
        until = np.where(end == OPEN, np.iinfo(np.int64).max, end)
        before = np.searchsorted(starts, until)  # so many gaps begin before it ends
        return np.asarray((before > 0) & (latest[np.maximum(before, 1) - 1] > start))


@dataclass(frozen=True, slots=True)
class Turns:
    """What comes of some events."""

    begun: Begun
    ended: Ended
    gaps: Gaps
    """Between two events of a CPU."""

    count: int
    """How often what ran was lost, where that was not counted before."""

    carry: Carry


def follow(carry: Carry, switches: Switches, wakeups: Wakeups, first: int, *, waiting: bool) -> Turns:
    """Find what begins and ends.

    Args:
        carry: How things stood.
        switches: By time, none before the carry.
        wakeups: Likewise.
        first: The row of the first spell that begins.
        waiting: Whether spells of tasks that do not run are wanted.
    """
    old, none = len(carry.at), np.full(len(carry.at), -1)
    at, cpu = np.concatenate([carry.at, switches.at]), np.concatenate([carry.cpu, switches.cpu])
    leaves = np.concatenate([none.astype(np.int32), switches.prev])
    comes = np.concatenate([carry.tid, switches.next])

    # Each CPU for itself. Sorting is fast because the numbers have 16 bits.
    order = np.argsort(cpu, kind="stable")
    together = cpu[order][1:] == cpu[order][:-1]
    one, other = order[:-1][together], order[1:][together]
    fits = leaves[other] == comes[one]
    end = np.full(len(at), OPEN)
    end[one] = np.where(fits, at[other], LOST)
    following = np.full(len(at), -1)
    following[one] = other

    # Each task for itself.
    line = Line.of(carry, switches, wakeups, (at, cpu, leaves, comes), waiting=waiting)
    agreed = line.end_of_runs(len(at), cpu)
    runs = comes > 0
    end[runs & (end != agreed)] = LOST
    lost = (end == LOST) & (following >= 0)
    gaps = Gaps(at[lost], at[following[lost]])

    begun, rows, wait_rows = _begun(line, switches, (at, cpu, comes, end), old, first)
    last = np.append(order[:-1][~together], order[-1:])
    row = np.concatenate([carry.row, rows])
    stopped = np.flatnonzero((row[:old] >= 0) & (end[:old] != OPEN))
    over = (line.carried >= 0) & (line.end != OPEN) & (line.carried_row >= 0)
    after = line.open_waits(wait_rows)
    return Turns(
        begun,
        Ended(
            np.concatenate([row[stopped], line.carried_row[over]]),
            np.concatenate([end[stopped], line.end[over]]),
        ),
        gaps,
        int(((end == LOST) & (comes != _UNKNOWN)).sum()),
        Carry(
            at[last],
            cpu[last],
            np.where(end[last] == LOST, _UNKNOWN, comes[last]).astype(np.int32),
            np.where(end[last] == LOST, -1, row[last]),
            *after,
        ),
    )


def _begun(
    line: Line,
    switches: Switches,
    columns: tuple[NDArray[np.int64], NDArray[np.int16], NDArray[np.int32], NDArray[np.int64]],
    old: int,
    first: int,
) -> tuple[Begun, NDArray[np.int64], NDArray[np.int64]]:
    """The spells that begin; and the row of each switch's and of each of the line's, -1 if it has none."""
    at, cpu, comes, end = columns
    ran = np.flatnonzero((comes > 0) & (end != LOST) & (np.arange(len(at)) >= old))
    new = line.waits & (line.carried < 0) & (line.end != LOST)
    waited = np.flatnonzero(new)
    count = len(ran) + len(waited)
    start = np.concatenate([at[ran], line.at[waited]])
    order = np.argsort(start, kind="stable")
    row = np.empty(count, np.int64)
    row[order] = np.arange(first, first + count)
    rows, wait_rows = np.full(len(at) - old, -1), line.carried_row.copy()
    rows[ran - old] = row[: len(ran)]
    wait_rows[waited] = row[len(ran) :]
    event = np.where(line.source[waited] >= 0, line.source[waited] - old, -1)
    begun = Begun(
        start[order],
        np.concatenate([end[ran], line.end[waited]])[order],
        np.concatenate([cpu[ran], np.full(len(waited), -1, np.int16)])[order],
        np.concatenate([comes[ran], line.tid[waited]])[order],
        np.concatenate([switches.next_comm[ran - old], line.comm[waited]])[order],
        np.concatenate([np.full(len(ran), RUNNING, np.int8), line.state[waited]])[order],
        np.concatenate([ran - old, event])[order],
    )
    return begun, rows, wait_rows
